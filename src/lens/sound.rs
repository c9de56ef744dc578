//! Sound beside the frames of a lens: whether somebody speaks, and expressions that a head gives for its vectors.

mod expression;
mod head;
mod live;

use crate::{error::LensError, role::Role, weights::Weights};

pub use head::SoundHead;
pub use live::LiveSound;

/// Files that a live stream is listened to with.
#[derive(Clone, Debug)]
pub struct SoundWeights {
    /// Network that hears whether somebody speaks, architecture `silero-vad`.
    pub voice: Weights,
    /// What hears expressions.
    pub expression: Option<SoundExpressionWeights>,
}

/// Files for expressions.
#[derive(Clone, Debug)]
pub struct SoundExpressionWeights {
    /// Network that embeds sound, architecture `wav2vec2-base`.
    pub encoder: Weights,
    /// Classifier of its vectors, architecture `mlp`.
    pub head: Weights,
}

impl SoundWeights {
    /// Reads the files that are there: `find` gives the file of a role, `parse` reads it; `None` if there is none for sound.
    ///
    /// # Errors
    ///
    /// [`LensError::MissingWeights`] for a file that another one is worth nothing without, or the error of `parse`.
    pub fn read<F, E: From<LensError>>(
        find: impl Fn(Role) -> Option<F>,
        parse: impl Fn(Role, F) -> Result<Weights, E>,
    ) -> Result<Option<Self>, E> {
        let [voice, encoder, head] = Role::SOUND.map(&find);
        if voice.is_none() && encoder.is_none() && head.is_none() {
            return Ok(None);
        }
        let required = |role, file: Option<F>| file.ok_or(LensError::MissingWeights { role });
        let voice = required(Role::Voice, voice)?;
        let expression = match (encoder, head) {
            (None, None) => None,
            (encoder, head) => {
                let encoder = required(Role::AudioEncoder, encoder)?;
                let head = required(Role::AudioExpressionHead, head)?;
                Some(SoundExpressionWeights {
                    head: parse(Role::AudioExpressionHead, head)?,
                    encoder: parse(Role::AudioEncoder, encoder)?,
                })
            }
        };
        Ok(Some(Self {
            voice: parse(Role::Voice, voice)?,
            expression,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[Role]) -> Result<Option<SoundWeights>, LensError> {
        let find = |role| files.contains(&role).then_some(role);
        SoundWeights::read(find, |role, file| {
            assert_eq!(role, file);
            Ok(Weights::default())
        })
    }

    #[test]
    fn sound_needs_a_voice_and_expressions_need_both_files() {
        use Role::{AudioEncoder, AudioExpressionHead, Voice};
        let has_expressions = |files: &[Role]| {
            let weights = read(files).expect("enough");
            weights.map(|weights| weights.expression.is_some())
        };
        assert_eq!(has_expressions(&[Role::Detector]), None);
        assert_eq!(has_expressions(&[Voice]), Some(false));
        assert_eq!(has_expressions(&Role::SOUND), Some(true));
        let missing = |files: &[Role]| read(files).expect_err("missing").to_string();
        assert_eq!(
            missing(&[AudioEncoder, AudioExpressionHead]),
            "weights have no `voice`"
        );
        assert_eq!(
            missing(&[Voice, AudioEncoder]),
            "weights have no `audioExpressionHead`"
        );
        assert_eq!(
            missing(&[Voice, AudioExpressionHead]),
            "weights have no `audioEncoder`"
        );
    }
}
