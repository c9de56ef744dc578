//! Scores on the validation part of Aff-Wild2, and submissions for its test part: per frame, or over windows of a video.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use super::{FaceArgs, Model, Task, print};
use crate::{progress::Terminal, readers::open_crops};
use affectlens::{
    device::OpenedDevice,
    label::{AFF_WILD2, AFF_WILD2_ACTION_UNITS, Expression},
    metrics::{ActionUnitScores, Confusion, Covariance, Scores, ValenceArousalScores},
    role::Role,
    task::Tasks,
};
use affectlens_data::{
    ActionUnitPredictor, AffWild2, CropReader, ExpressionPredictor, FramePredictor, Keep, Part,
    SampleList, ValenceArousalPredictor, predict_frames, predict_submission,
};

/// Scores the model, or writes its submission.
pub(super) fn run(args: &FaceArgs, task: Task, root: &Path) -> Result<()> {
    let tree = AffWild2::open(root)?;
    let device = args.device.open()?;
    let reader = open_crops(tree, &args.weights, device.clone())?;
    match task {
        Task::Expression => evaluate(args, &reader, &expressions(args, &device)?),
        Task::ValenceArousal => evaluate(args, &reader, &valence_arousal(args, &reader)?),
        Task::ActionUnits => evaluate(args, &reader, &action_units(args)?),
    }
}

fn evaluate<P: Printed>(args: &FaceArgs, reader: &CropReader, predictor: &P) -> Result<()> {
    let window = match args.model {
        Model::Full => predictor.half_window(),
        Model::Pretrained | Model::Head => 0,
    };
    if let Some(sample) = &args.submission {
        let out = args.out.as_ref().context("--submission needs --out FILE")?;
        let list = SampleList::read(sample)?;
        let features = reader.read_list::<P::Label>(&list)?;
        let text = predict_submission(predictor, &list, &features, window, &Terminal::default())?;
        return std::fs::write(out, text).with_context(|| format!("--out `{}`", out.display()));
    }
    let (features, _) = reader.read::<P::Label>(Part::Validation, Keep::All)?;
    let predictions = predict_frames(predictor, &features, window)?;
    P::print(&predictions, &features.labels(), args.json)
}

fn expressions(args: &FaceArgs, device: &OpenedDevice) -> Result<ExpressionPredictor> {
    let mut weights = args
        .weights
        .installed()
        .face_classifier(Tasks::EXPRESSION)?;
    match args.model {
        Model::Pretrained => weights.head = None,
        Model::Head if weights.head.is_none() => {
            bail!("there is no head for backbone `{}`", args.weights.backbone)
        }
        Model::Head | Model::Full => {}
    }
    let predictor = ExpressionPredictor::load(weights, device, |classifier| {
        let mut controls = args.controls(classifier)?;
        if args.model == Model::Head {
            controls.confidence = 1.0;
            controls.blend = 1.0;
        }
        Ok(controls)
    })?;
    Ok(predictor)
}

fn valence_arousal(args: &FaceArgs, reader: &CropReader) -> Result<ValenceArousalPredictor> {
    let head = match args.model {
        Model::Pretrained => None,
        Model::Head | Model::Full => args
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
            args.weights.backbone
        );
    }
    Ok(ValenceArousalPredictor::load(head.as_ref())?)
}

fn action_units(args: &FaceArgs) -> Result<ActionUnitPredictor> {
    if args.model == Model::Pretrained {
        bail!("no backbone predicts action units, expected --model head or full");
    }
    let installed = args.weights.installed();
    let weights = installed
        .own_head(Role::ActionUnitsHead)?
        .context("there is no `action-units-head` among the weights; train one")?;
    Ok(ActionUnitPredictor::load(&weights)?)
}

/// A predictor whose scores can be printed, as JSON or as lines of text.
trait Printed: FramePredictor {
    fn print(predictions: &[Self::Label], labels: &[Self::Label], json: bool) -> Result<()>;
}

impl Printed for ExpressionPredictor {
    fn print(predictions: &[usize], labels: &[usize], json: bool) -> Result<()> {
        let confusion = Confusion::from_pairs(AFF_WILD2.len(), labels, predictions);
        let scores = Scores::new(&confusion, &AFF_WILD2);
        if json {
            return print_json(&scores);
        }
        print(&scores, Expression::name, "frames");
        Ok(())
    }
}

impl Printed for ValenceArousalPredictor {
    fn print(predictions: &[[f32; 2]], labels: &[[f32; 2]], json: bool) -> Result<()> {
        let scores = ValenceArousalScores::new(predictions, labels, Covariance::Sample);
        if json {
            return print_json(&scores);
        }
        println!("{scores}, {} frames", scores.count);
        Ok(())
    }
}

impl Printed for ActionUnitPredictor {
    fn print(predictions: &[[bool; 12]], labels: &[[bool; 12]], json: bool) -> Result<()> {
        let rows: Vec<[f32; 12]> = predictions
            .iter()
            .map(|row| row.map(|present| if present { 1.0 } else { 0.0 }))
            .collect();
        let scores = ActionUnitScores::new(&rows, labels, &[0.5; 12], &AFF_WILD2_ACTION_UNITS);
        if json {
            return print_json(&scores);
        }
        println!("mean F1 {:.4}, {} frames", scores.mean_f1, scores.count);
        for (unit, f1) in &scores.per_unit {
            println!("{:>5} {f1:.4}", unit.name());
        }
        Ok(())
    }
}

fn print_json(scores: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(scores)?);
    Ok(())
}
