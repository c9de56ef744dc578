//! Sound beside the frames of a lens: expressions that a head gives for its vectors, and what is heard live.

use std::collections::VecDeque;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{
    calibration::{ExpressionSettings, softmax},
    error::LensError,
    head::Mlp,
    label::Expression,
    report::AudioReport,
    role::Role,
    voice::{VOICE_CHUNK, VOICE_RATE, VoiceActivity},
    weights::Weights,
};

/// How long what was heard is remembered, milliseconds; frames are looked at within that time.
const REMEMBERED_MS: f64 = 10_000.0;
/// Pieces whose times differ by less follow each other: clocks of cameras and microphones are not the same.
const TOLERANCE_MS: f64 = 250.0;

/// A head that classifies vectors of sound, on the CPU.
#[derive(Debug)]
pub struct SoundHead {
    head: Mlp,
    classes: Vec<Expression>,
    settings: ExpressionSettings,
}

impl SoundHead {
    /// Takes a head that was trained on the vectors of the network `encoder`.
    ///
    /// # Errors
    ///
    /// [`LensError`] for a head of another architecture or over other vectors, or for settings that cannot be read.
    pub fn load(weights: &Weights, encoder: &str) -> Result<Self, LensError> {
        let role = Role::AudioExpressionHead;
        let named = weights.metadata.embedding();
        if named != Some(encoder) {
            return Err(LensError::Embedding {
                role,
                expected: named.unwrap_or("an unknown network").to_owned(),
                got: encoder.to_owned(),
            });
        }
        let head = Mlp::load(weights, &Device::flex()).map_err(LensError::weights(role))?;
        let classes = weights.metadata.classes.clone();
        let got = head.config().classes;
        if classes.len() != got {
            return Err(LensError::Classes {
                role,
                expected: got,
                got: classes.len(),
            });
        }
        Ok(Self {
            settings: ExpressionSettings::read(&weights.metadata.extra, got)?,
            head,
            classes,
        })
    }

    /// Classes of a row, in order.
    pub fn classes(&self) -> &[Expression] {
        &self.classes
    }

    /// Frames to each side that the head was tuned to be averaged over.
    pub fn half_window(&self) -> usize {
        self.settings.half_window
    }

    /// Numbers of a vector.
    pub fn inputs(&self) -> usize {
        self.head.config().inputs
    }

    /// Classifies a batch of vectors.
    ///
    /// # Shapes
    ///
    /// - vectors: `[batch, inputs]`, on the CPU
    /// - output: `[batch, classes]`, before softmax
    pub fn forward(&self, vectors: Tensor<2>) -> Tensor<2> {
        self.head.forward(vectors)
    }

    /// Probabilities from logits; with `gla` the head's class biases count.
    pub fn probabilities(&self, logits: &[f32], gla: bool) -> Vec<f32> {
        let probabilities = softmax(logits);
        match gla {
            true => self.settings.gla.adjust(&probabilities),
            false => probabilities,
        }
    }

    /// Probabilities of each class for vectors that lie one after the other.
    ///
    /// # Panics
    ///
    /// If vectors have another length than [`Self::inputs`].
    pub fn classify(&self, vectors: &[f32], gla: bool) -> Vec<Vec<f32>> {
        let inputs = self.inputs();
        assert_eq!(vectors.len() % inputs, 0, "vectors of {inputs} numbers");
        if vectors.is_empty() {
            return Vec::new();
        }
        let shape = [vectors.len() / inputs, inputs];
        let vectors = TensorData::new(vectors.to_vec(), shape);
        let logits = self.forward(Tensor::from_data(vectors, &Device::flex()));
        let logits = logits.into_data();
        let logits = logits.as_slice::<f32>().expect("networks compute in f32");
        let rows = logits.chunks_exact(self.classes.len());
        rows.map(|row| self.probabilities(row, gla)).collect()
    }
}

/// What a microphone hears beside the frames of a camera: whether somebody speaks.
///
/// Sound comes in pieces, with the time of each on the clock of the frames. Where a piece does not follow the one before,
/// listening begins anew.
#[derive(Debug)]
pub struct LiveSound {
    voice: VoiceActivity,
    /// Samples that wait until they fill a chunk.
    rest: Vec<f32>,
    /// Time at which the next piece should begin; `None` before the first one.
    next_ms: Option<f64>,
    /// End of each chunk, and how likely somebody speaks in it.
    heard: VecDeque<(f64, f32)>,
}

impl LiveSound {
    /// Most samples of a piece: ten seconds.
    pub const MOST_SAMPLES: usize = 10 * VOICE_RATE as usize;
    /// Length of a chunk, milliseconds.
    const CHUNK_MS: f64 = VOICE_CHUNK as f64 * Self::SAMPLE_MS;
    const SAMPLE_MS: f64 = 1000.0 / VOICE_RATE as f64;

    /// Puts the network that listens for voices on the CPU.
    ///
    /// # Errors
    ///
    /// [`LensError::Weights`] if the weights do not fit.
    pub fn load(voice: &Weights) -> Result<Self, LensError> {
        let voice = VoiceActivity::load(voice).map_err(LensError::weights(Role::Voice))?;
        Ok(Self {
            voice,
            rest: Vec::with_capacity(VOICE_CHUNK),
            next_ms: None,
            heard: VecDeque::new(),
        })
    }

    /// Hears the next samples, mono, 16 kHz, -1 to 1, of which the first is of the time `time_ms`. What is not finite
    /// counts as silence.
    ///
    /// # Errors
    ///
    /// [`LensError::Sound`] for more than [`Self::MOST_SAMPLES`], [`LensError::Time`] for a time that is not finite; what
    /// was heard before stays.
    pub fn hear(&mut self, samples: &[f32], time_ms: f64) -> Result<(), LensError> {
        if !time_ms.is_finite() {
            return Err(LensError::Time { got: time_ms });
        }
        if samples.len() > Self::MOST_SAMPLES {
            return Err(LensError::Sound {
                got: samples.len(),
                most: Self::MOST_SAMPLES,
            });
        }
        let follows = |next: f64| (time_ms - next).abs() <= TOLERANCE_MS;
        // What follows keeps its own pace: clocks drift, and a chunk must not end before it began.
        let mut next = match self.next_ms {
            Some(next) if follows(next) => next,
            _ => {
                self.reset();
                time_ms
            }
        };
        let drift = time_ms - next;
        let mut samples = samples;
        while self.rest.len() + samples.len() >= VOICE_CHUNK {
            let (first, others) = samples.split_at(VOICE_CHUNK - self.rest.len());
            self.rest.extend(first);
            samples = others;
            next += first.len() as f64 * Self::SAMPLE_MS;
            let chunk: &[f32; VOICE_CHUNK] = self.rest.as_slice().try_into().expect("filled");
            let probability = self.voice.hear(chunk);
            self.heard.push_back((next, probability));
            self.rest.clear();
        }
        self.rest.extend(samples);
        next += samples.len() as f64 * Self::SAMPLE_MS;
        // A part of what the clocks are apart is made up for with each piece.
        self.next_ms = Some(next + drift / 8.0);
        let oldest = next - REMEMBERED_MS;
        while self.heard.front().is_some_and(|(end, _)| *end < oldest) {
            self.heard.pop_front();
        }
        Ok(())
    }

    /// What is heard at a time; `None` where nothing was heard then, or it is forgotten. The newest chunk, which is not over
    /// when its frame is taken, stands for the time since.
    pub fn at(&self, time_ms: f64) -> Option<AudioReport> {
        let (newest, _) = *self.heard.back()?;
        let within = self.heard.iter().find(|(end, _)| *end > time_ms);
        let (end, speech) = *within.or_else(|| {
            let is_recent = time_ms - newest <= TOLERANCE_MS + Self::CHUNK_MS;
            self.heard.back().filter(|_| is_recent)
        })?;
        (end - Self::CHUNK_MS - TOLERANCE_MS <= time_ms).then_some(AudioReport {
            speech: Some(speech),
            ..AudioReport::default()
        })
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        self.voice.reset();
        self.rest.clear();
        self.next_ms = None;
        self.heard.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{head::MlpConfig, label::AFF_WILD2};

    fn head(classes: &[Expression], embedding: &str) -> Weights {
        let config = MlpConfig {
            inputs: 4,
            hidden: 3,
            classes: 8,
        };
        let mut weights = config.init(3, &Device::flex()).to_weights();
        weights.metadata.classes = classes.to_vec();
        let extra = &mut weights.metadata.extra;
        extra.insert("embedding".to_owned(), embedding.to_owned());
        weights
    }

    #[test]
    fn vectors_become_probabilities_with_the_biases_of_the_head() {
        let mut weights = head(&AFF_WILD2, "ears");
        let biases = "3 0 0 0 0 0 0 0".to_owned();
        weights.metadata.extra.insert("gla".to_owned(), biases);
        let head = SoundHead::load(&weights, "ears").expect("fits");
        assert_eq!((head.inputs(), head.classes()), (4, &AFF_WILD2[..]));
        let vectors = [0.5, -0.5, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        let [plain, adjusted] = [false, true].map(|gla| head.classify(&vectors, gla));
        for rows in [&plain, &adjusted] {
            assert_eq!(rows.len(), 2);
            for row in rows {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
            }
        }
        assert!(adjusted[0][0] > plain[0][0] + 0.1);
        assert_eq!(head.classify(&vectors[4..], false)[0], plain[1]);
        assert!(head.classify(&[], true).is_empty());
    }

    #[test]
    fn a_head_over_other_vectors_or_classes_is_named() {
        let refusal = |weights: &Weights| SoundHead::load(weights, "ears").expect_err("refused");
        assert_eq!(
            refusal(&head(&AFF_WILD2, "eyes")).to_string(),
            "audio expression head was trained on embeddings of `eyes`, the backbone is `ears`"
        );
        assert_eq!(
            refusal(&head(&AFF_WILD2[1..], "ears")).to_string(),
            "audio expression head names 7 classes, expected 8"
        );
        let mut other = head(&AFF_WILD2, "ears");
        other.metadata.architecture = "tcn".to_owned();
        let refused = refusal(&other).to_string();
        assert!(refused.starts_with("audio expression head: "), "{refused}");
    }
}
