//! Expressions that are heard live, in windows of some seconds.

use super::{SoundExpressionWeights, SoundHead};
use crate::{
    audio::{AudioError, SAMPLE_RATE, Wav2Vec2, normalise},
    device::OpenedDevice,
    error::LensError,
    label::Expression,
    report::LiveAudio,
    role::Role,
};

/// Samples that an estimate is of: four seconds.
pub(super) const WINDOW: usize = 4 * SAMPLE_RATE as usize;
/// Samples after which the next estimate is due, at least: a second.
const HOP: usize = SAMPLE_RATE as usize;
/// The network may take this part of the time, on machines that are slow; pictures need the rest.
const SHARE: f64 = 1.0 / 3.0;

/// The network for sound with its head, and the sound of the last seconds.
#[derive(Debug)]
pub(super) struct LiveExpressions {
    network: Wav2Vec2,
    head: SoundHead,
    /// The last samples, up to a window of them.
    samples: Vec<f32>,
    /// Samples until the next estimate.
    due_in: usize,
    newest: Option<Estimate>,
}

#[derive(Debug)]
struct Estimate {
    /// End of its window.
    end_ms: f64,
    /// Probability of each class without and with the class biases.
    probabilities: [Vec<f32>; 2],
}

impl LiveExpressions {
    pub(super) fn load(
        weights: SoundExpressionWeights,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        let SoundExpressionWeights { encoder, head } = weights;
        let head = SoundHead::load(&head, &encoder.metadata.architecture)?;
        let network = Wav2Vec2::load_for(encoder, WINDOW, device);
        let network = network.map_err(|error| match error {
            AudioError::Weights(error) => LensError::weights(Role::AudioEncoder)(error),
            error => error.into(),
        })?;
        let got = network.config().width;
        if head.inputs() != got {
            return Err(LensError::Inputs {
                role: Role::AudioExpressionHead,
                expected: got,
                got: head.inputs(),
            });
        }
        Ok(Self {
            network,
            head,
            samples: Vec::with_capacity(2 * WINDOW),
            due_in: 0,
            newest: None,
        })
    }

    /// Hears samples that end at a time, and estimates anew if that is due and a whole window was heard.
    pub(super) async fn hear(&mut self, samples: &[f32], end_ms: f64) -> Result<(), LensError> {
        let heard = samples
            .iter()
            .map(|it| if it.is_finite() { *it } else { 0.0 });
        self.samples.extend(heard);
        let surplus = self.samples.len().saturating_sub(WINDOW);
        self.samples.drain(..surplus);
        self.due_in = self.due_in.saturating_sub(samples.len());
        if self.due_in > 0 || self.samples.len() < WINDOW {
            return Ok(());
        }
        let started = web_time::Instant::now();
        let mut block = self.samples.clone();
        normalise(&mut block);
        let vectors = self.network.embed(&block).await?;
        let width = self.head.inputs();
        // What is new since the last estimate; what came before was told of.
        let new = (vectors.len() / width * HOP / WINDOW).max(1) * width;
        let newest = &vectors[vectors.len() - new..];
        let probabilities = [false, true].map(|gla| mean(&self.head.classify(newest, gla)));
        self.newest = Some(Estimate {
            end_ms,
            probabilities,
        });
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of samples; a longer one is cut off"
        )]
        let rest = (started.elapsed().as_secs_f64() / SHARE * f64::from(SAMPLE_RATE)) as usize;
        self.due_in = rest.clamp(HOP, 4 * WINDOW);
        Ok(())
    }

    /// The newest estimate as it is reported at a time.
    pub(super) fn at(
        &self,
        time_ms: f64,
        gla: bool,
    ) -> Option<(Vec<(Expression, f32)>, LiveAudio)> {
        let newest = self.newest.as_ref()?;
        let [plain, adjusted] = &newest.probabilities;
        let probabilities = if gla { adjusted } else { plain };
        let classes = self.head.classes().iter().copied();
        let live = LiveAudio {
            window_ms: WINDOW as f64 * 1000.0 / f64::from(SAMPLE_RATE),
            delay_ms: (time_ms - newest.end_ms).max(0.0),
        };
        Some((classes.zip(probabilities.iter().copied()).collect(), live))
    }

    pub(super) fn reset(&mut self) {
        self.samples.clear();
        self.due_in = 0;
        self.newest = None;
    }
}

/// Mean of rows.
fn mean(rows: &[Vec<f32>]) -> Vec<f32> {
    let mut sums = vec![0.0; rows.first().map_or(0, Vec::len)];
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    sums.iter().map(|sum| sum / rows.len() as f32).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::{
        audio::Wav2Vec2Config,
        head::MlpConfig,
        label::AFF_WILD2,
        weights::{Metadata, Weights},
    };

    /// A small network and a head for it.
    fn weights(inputs: usize) -> SoundExpressionWeights {
        let config = Wav2Vec2Config::TEST;
        let mut encoder = Weights::new(Metadata {
            architecture: config.name.to_owned(),
            ..Metadata::default()
        });
        for (seed, parameter) in config.parameters().into_iter().enumerate() {
            let count = parameter.shape.iter().product::<usize>();
            let value = |index: usize| ((index * 7919 + seed * 31) % 101) as f32 / 202.0 - 0.2;
            let values = (0..count).map(value).collect();
            let inserted = encoder.insert(parameter.name, parameter.shape, values);
            inserted.expect("as many values");
        }
        let head = MlpConfig {
            inputs,
            hidden: 8,
            classes: 8,
        };
        let mut head = head.init(9, &Device::flex()).to_weights();
        head.metadata.classes = AFF_WILD2.to_vec();
        let extra = &mut head.metadata.extra;
        extra.insert("embedding".to_owned(), config.name.to_owned());
        extra.insert("gla".to_owned(), "2 0 0 0 0 0 0 0".to_owned());
        SoundExpressionWeights { encoder, head }
    }

    fn load() -> LiveExpressions {
        LiveExpressions::load(weights(24), &OpenedDevice::cpu()).expect("fits")
    }

    fn sound(from: usize, samples: usize) -> Vec<f32> {
        let sample = |it: usize| (it as f32 * 0.05).sin() * ((it / 5_000 % 3) as f32 + 0.2);
        (from..from + samples).map(sample).collect()
    }

    #[test]
    fn an_estimate_is_of_the_last_four_seconds_however_they_came() {
        let mut whole = load();
        pollster::block_on(whole.hear(&sound(8_000, WINDOW), 4_500.0)).expect("on the CPU");
        let (expected, live) = whole.at(4_700.0, false).expect("a window was heard");
        assert_eq!((live.window_ms, live.delay_ms), (4_000.0, 200.0));
        assert!(expected.iter().map(|(class, _)| *class).eq(AFF_WILD2));
        let sum: f32 = expected.iter().map(|(_, p)| p).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{expected:?}");
        let (adjusted, _) = whole.at(4_700.0, true).expect("a window was heard");
        assert!(adjusted[0].1 > expected[0].1 + 0.1, "biases count");

        let mut pieces = load();
        for start in (0..8_000 + WINDOW).step_by(500) {
            assert_eq!(pieces.at(0.0, false).is_some(), start >= WINDOW);
            let end_ms = (start + 500) as f64 / 16.0;
            pollster::block_on(pieces.hear(&sound(start, 500), end_ms)).expect("on the CPU");
        }
        let due = pieces.due_in;
        assert!(due > 0, "the next estimate is not due");
        pollster::block_on(pieces.hear(&sound(8_000 + WINDOW, due), 9_000.0)).expect("on the CPU");
        let (_, live) = pieces.at(9_000.0, false).expect("a window was heard");
        assert_eq!(live.delay_ms, 0.0);
        pieces.reset();
        assert!(pieces.at(9_000.0, false).is_none());
        pollster::block_on(pieces.hear(&sound(8_000, WINDOW), 4_500.0)).expect("on the CPU");
        assert_eq!(pieces.at(4_700.0, false).expect("heard").0, expected);
    }

    #[test]
    fn a_head_of_another_width_is_named() {
        let refused = LiveExpressions::load(weights(16), &OpenedDevice::cpu());
        assert_eq!(
            refused.expect_err("narrow").to_string(),
            "audio expression head takes vectors of 16 numbers, expected 24"
        );
    }
}
