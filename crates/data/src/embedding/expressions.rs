//! Expressions that the sound of a video gives, frame by frame.

use std::path::Path;

use super::{EmbedSound, EmbedSoundError, sound::hear_blocks};
use crate::{
    SAMPLE_RATE,
    sound::{FrameVectors, lengths_apart},
};
use affectlens::{label::Expression, sound::SoundHead};

/// Longest sound that is listened to: its probabilities take 6 MB an hour.
const MOST_HOURS: u64 = 24;

/// Probabilities of expressions for each vector of a sound, and which frame hears which.
#[derive(Clone, Debug, PartialEq)]
pub struct HeardExpressions {
    classes: Vec<Expression>,
    /// A row for each vector.
    rows: Vec<Vec<f32>>,
    /// Samples at 16 kHz.
    samples: u64,
    /// Which vector each frame hears; `None` where nobody knows how many frames there are.
    frames: Option<FrameVectors>,
    /// What a user should know: that the sound ended early, or is not as long as the pictures.
    pub complaints: Vec<String>,
}

impl HeardExpressions {
    /// Listens to the whole sound of a video, in the published blocks of 360 seconds; `listen` gets the samples of each.
    ///
    /// # Errors
    ///
    /// [`EmbedSoundError`] if the file has no sound that can be read, or the network fails.
    pub fn hear(
        path: &Path,
        network: &mut dyn EmbedSound,
        head: &SoundHead,
        gla: bool,
        listen: impl FnMut(&[f32]),
    ) -> Result<Self, EmbedSoundError> {
        let mut rows = Vec::new();
        let heard = hear_blocks(path, network, MOST_HOURS, listen, |vectors| {
            rows.extend(head.classify(vectors, gla));
            Ok(())
        })?;
        let frames = heard
            .pictures
            .map(|pictures| FrameVectors::new(rows.len(), heard.samples, pictures));
        let apart = heard
            .pictures
            .and_then(|pictures| lengths_apart(heard.samples, pictures));
        let apart = apart
            .map(|[heard, seen]| format!("it lasts {heard:.1} seconds, the pictures {seen:.1}"));
        Ok(Self {
            classes: head.classes().to_vec(),
            rows,
            samples: heard.samples,
            frames,
            complaints: heard.complaint.into_iter().chain(apart).collect(),
        })
    }

    /// Probabilities at a frame, which is counted from 0; none where the sound is over.
    pub fn at(&self, frame: u64, time_ms: f64) -> Option<Vec<(Expression, f32)>> {
        let vector = match &self.frames {
            Some(frames) => frames.of_crop(usize::try_from(frame).ok()?.checked_add(1)?),
            None => self.at_time(time_ms),
        };
        let row = self.rows.get(vector?)?;
        Some(
            self.classes
                .iter()
                .copied()
                .zip(row.iter().copied())
                .collect(),
        )
    }

    /// The vector of a time, where the pictures could not be counted.
    fn at_time(&self, time_ms: f64) -> Option<usize> {
        let length_ms = self.samples as f64 * 1000.0 / f64::from(SAMPLE_RATE);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of vectors"
        )]
        let vector = (time_ms.max(0.0) / length_ms * self.rows.len() as f64) as usize;
        (time_ms < length_ms).then_some(vector)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::EmbedError;
    use affectlens::{head::MlpConfig, label::AFF_WILD2};

    /// Gives each 320 samples their first one, four times.
    struct Ears;

    impl EmbedSound for Ears {
        fn width(&self) -> usize {
            4
        }

        fn vectors(&self, samples: usize) -> usize {
            samples / 320
        }

        fn embed(&mut self, samples: &[f32]) -> Result<Vec<f32>, EmbedError> {
            let pieces = samples.chunks_exact(320);
            Ok(pieces.flat_map(|piece| [piece[0]; 4]).collect())
        }
    }

    fn head() -> SoundHead {
        let config = MlpConfig {
            inputs: 4,
            hidden: 6,
            classes: 8,
        };
        let mut weights = config.init(5, &Device::flex()).to_weights();
        weights.metadata.classes = AFF_WILD2.to_vec();
        let extra = &mut weights.metadata.extra;
        extra.insert("embedding".to_owned(), "ears".to_owned());
        SoundHead::load(&weights, "ears").expect("fits")
    }

    #[test]
    fn sound_without_pictures_is_heard_at_its_time() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("ramp.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SAMPLE_RATE,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).expect("temporary file");
        for place in 0..3200_i16 {
            writer.write_sample(place).expect("writable");
        }
        writer.finalize().expect("writable");
        let head = head();
        let mut listened = Vec::new();
        let listen = |samples: &[f32]| listened.extend_from_slice(samples);
        let heard = HeardExpressions::hear(&path, &mut Ears, &head, true, listen);
        let heard = heard.expect("has sound");
        let ramp = (0..3200).map(|place: u16| f32::from(place) / 32768.0);
        assert_eq!(listened, ramp.collect::<Vec<_>>());
        assert_eq!((heard.rows.len(), heard.complaints.len()), (10, 0));
        // A ramp of 200 ms: every 20 ms another vector.
        let at = |time_ms| {
            let row = heard.at(7, time_ms)?;
            assert!(row.iter().map(|(class, _)| *class).eq(AFF_WILD2));
            let row: Vec<f32> = row.into_iter().map(|(_, p)| p).collect();
            heard.rows.iter().position(|other| *other == row)
        };
        let vectors = [0.0, 19.0, 21.0, 199.0, 200.0].map(at);
        assert_eq!(vectors, [Some(0), Some(0), Some(1), Some(9), None]);
    }
}
