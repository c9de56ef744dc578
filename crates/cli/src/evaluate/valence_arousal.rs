//! `affectlens evaluate valence-arousal`: the backbone's own outputs or a head, on the videos of Aff-Wild2.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::{FaceOptions, Model, affwild2};
use crate::options::{Modality, VideosOption};
use affectlens::{role::Role, task::Task};
use affectlens_data::{SoundValenceArousalPredictor, ValenceArousalPredictor};

/// Options of `affectlens evaluate valence-arousal`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Root folder of Aff-Wild2; its validation videos are scored. --model full averages over windows, the others
    /// decide frame by frame.
    #[arg(long, value_name = "ROOT")]
    affwild2: PathBuf,
    /// Part of the pipeline that decides.
    #[arg(long, value_enum, default_value_t)]
    model: Model,
    /// What the head reads.
    #[arg(long, value_enum, default_value_t)]
    modality: Modality,
    #[command(flatten)]
    videos: VideosOption,
    #[command(flatten)]
    face: FaceOptions,
}

/// Scores the model, or writes its submission.
pub(super) fn run(args: &Args) -> Result<()> {
    let face = &args.face;
    face.expect_writable()?;
    if args.modality == Modality::Audio {
        args.model.expect_head()?;
        let head = face.weights.installed().sound_head(Task::ValenceArousal)?;
        let predictor = SoundValenceArousalPredictor::load(&head)?;
        let mut reader = affwild2::open_videos(face, &args.videos, &args.affwild2)?;
        return affwild2::evaluate(face, args.model, &mut reader, &predictor);
    }
    let (mut reader, _) = affwild2::open(face, &args.affwild2)?;
    let head = match args.model {
        Model::Pretrained => None,
        Model::Head | Model::Full => face
            .weights
            .installed()
            .own_head(Role::ValenceArousalHead)?,
    };
    if head.is_none() && args.model == Model::Head {
        bail!("there is no `valence-arousal-head` among the weights; train one");
    }
    if head.is_none() && !reader.embedder().has_valence_arousal() {
        bail!(
            "backbone `{}` does not predict valence and arousal and there is no `valence-arousal-head`",
            face.weights.installed().backbone_name()
        );
    }
    let predictor = ValenceArousalPredictor::load(head.as_ref())?;
    affwild2::evaluate(face, args.model, &mut reader, &predictor)
}
