//! `affectlens evaluate action-units`: a head on the videos of Aff-Wild2, or whether action units from blendshapes
//! distinguish labelled expressions from neutral faces.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::{FaceOptions, Model, affwild2, probability};
use crate::{
    folders::picture_folders,
    options::{Modality, VideosOption, expression, read_pictures},
    progress::Terminal,
};
use affectlens::{
    detect::{self, FaceDetector},
    facs::PROXIES,
    label::Expression,
    landmarks::{BLENDSHAPES_ARCHITECTURE, Blendshapes, FaceMesh, MESH_ARCHITECTURE},
    role::Role,
    task::Task,
};
use affectlens_data::{
    ActionUnitPairs, ActionUnitPredictor, BlendshapeUnits, SoundActionUnitPredictor,
    score_action_units,
};

/// Options of `affectlens evaluate action-units`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = picture_folders())]
pub(super) struct Args {
    /// Folder with DIR/LABEL/*.jpg, or with DIR/validation that has these: how well the action units of blendshapes
    /// separate each expression from neutral faces (AUC), on the largest face of each picture.
    #[arg(long, value_name = "DIR", required_unless_present = "affwild2")]
    data: Option<PathBuf>,
    /// Root folder of Aff-Wild2; a head is scored on its validation videos. --model full averages over windows, head
    /// decides frame by frame.
    #[arg(long, value_name = "ROOT", conflicts_with_all = ["data", "without"])]
    affwild2: Option<PathBuf>,
    /// Part of the pipeline that decides.
    #[arg(long, value_enum, default_value_t, conflicts_with = "data")]
    model: Model,
    /// What the head reads.
    #[arg(long, value_enum, default_value_t, requires = "affwild2")]
    modality: Modality,
    #[command(flatten)]
    videos: VideosOption,
    /// Labels to leave out.
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',', value_parser = expression)]
    without: Vec<Expression>,
    /// Score of a detection from which it is a face, from 0 to 1 [default: 0.5].
    #[arg(long, value_name = "SCORE", value_parser = probability, conflicts_with = "affwild2")]
    detector_threshold: Option<f32>,
    #[command(flatten)]
    face: FaceOptions,
}

/// Scores action units and prints the result, or writes a submission.
pub(super) fn run(args: &Args) -> Result<()> {
    args.face.expect_writable()?;
    match (&args.data, &args.affwild2) {
        (Some(data), _) => args.score_pictures(data),
        (None, Some(root)) => args.score_videos(root),
        (None, None) => bail!("expected --data DIR or --affwild2 ROOT"),
    }
}

impl Args {
    fn score_pictures(&self, data: &Path) -> Result<()> {
        let pictures = read_pictures(data, &self.without)?;
        let mut networks = load(&self.face)?;
        if let Some(threshold) = self.detector_threshold {
            networks.detector.set_threshold(threshold);
        }
        let report = score_action_units(&networks, &pictures, &Terminal::default())?;
        if self.face.json {
            crate::terminal::json(&report)?;
        } else {
            print(&report);
        }
        Ok(())
    }

    fn score_videos(&self, root: &Path) -> Result<()> {
        if self.modality == Modality::Audio {
            self.model.expect_head()?;
            let head = self
                .face
                .weights
                .installed()
                .sound_head(Task::ActionUnits)?;
            let predictor = SoundActionUnitPredictor::load(&head)?;
            let mut reader = affwild2::open_videos(&self.face, &self.videos, root)?;
            return affwild2::evaluate(&self.face, self.model, &mut reader, &predictor);
        }
        let (mut reader, _) = affwild2::open(&self.face, root)?;
        if self.model == Model::Pretrained {
            bail!("no backbone predicts action units, expected --model head or full");
        }
        let installed = self.face.weights.installed();
        let weights = installed
            .own_head(Role::ActionUnitsHead)?
            .context("there is no `action-units-head` among the weights; train one")?;
        let predictor = ActionUnitPredictor::load(&weights)?;
        affwild2::evaluate(&self.face, self.model, &mut reader, &predictor)
    }
}

fn load(args: &FaceOptions) -> Result<BlendshapeUnits> {
    let device = args.device.open()?;
    let installed = args.weights.installed();
    Ok(BlendshapeUnits {
        detector: FaceDetector::load(&installed.read(detect::ARCHITECTURE)?, &device)?,
        mesh: FaceMesh::load(&installed.read(MESH_ARCHITECTURE)?, &device)?,
        blendshapes: Blendshapes::load(&installed.read(BLENDSHAPES_ARCHITECTURE)?, &device)?,
    })
}

fn print(report: &ActionUnitPairs) {
    say!(
        "{} faces, {} pictures without one",
        report.count,
        report.without_face
    );
    say!("{:>6}  {:<24} {:>6}  faces", "", "", "AUC");
    for pair in &report.pairs {
        let is_proxy = PROXIES.iter().any(|unit| unit.name() == pair.action_unit);
        say!(
            "{:>6}  {:<24} {:>6.4}  {} against {}{}",
            pair.action_unit,
            format!("{} or {}", pair.positive.name(), pair.negative.name()),
            pair.auc,
            pair.positives,
            pair.negatives,
            if is_proxy { " (proxy)" } else { "" }
        );
    }
}
