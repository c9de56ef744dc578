//! Scores on the validation part of Aff-Wild2, and submissions for its test part: per frame, or over windows of a video.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use burn::tensor::Device;
use serde::Serialize;

use super::{FaceArgs, Model, Task, print};
use crate::affwild2::CropReader;
use affectlens::{
    backbone,
    calibration::{ActionUnitSettings, softmax},
    device::OpenedDevice,
    faces::{FaceClassifier, FaceControls, FaceScores},
    head::{ActionUnits, Mlp, ValenceArousal},
    label::{AFF_WILD2, AFF_WILD2_ACTION_UNITS, Expression},
    metrics::{ActionUnitScores, Confusion, Covariance, Scores, ValenceArousalScores},
    task::Tasks,
    weights::Weights,
};
use affectlens_data::{
    AffWild2, FeatureRows, FrameLabel, Keep, Part, SampleList, SubmissionRow, VideoFeatures,
};
use affectlens_train::predict;

/// Turns features into decisions: rows that can be averaged over frames, and a decision on each.
trait Predictor {
    type Label: FrameLabel + SubmissionRow + Copy;

    /// One row a crop.
    fn rows(&self, embeddings: &FeatureRows, outputs: &FeatureRows) -> Vec<Vec<f32>>;

    /// Frames to each side that are averaged.
    fn half_window(&self) -> usize;

    fn decide(&self, row: &[f32]) -> Result<Self::Label>;

    /// What is printed: as JSON, or as lines of text.
    fn score(&self, predictions: &[Self::Label], labels: &[Self::Label], json: bool) -> Result<()>;
}

/// Scores the model, or writes its submission.
pub(super) fn run(args: &FaceArgs, task: Task, root: &Path) -> Result<()> {
    let tree = AffWild2::open(root)?;
    let device = args.device.open()?;
    let reader = CropReader::open(tree, &args.weights, device.clone())?;
    match task {
        Task::Expression => evaluate(args, &reader, &Expressions::load(args, &device)?),
        Task::ValenceArousal => evaluate(args, &reader, &ValencesArousals::load(args, &reader)?),
        Task::ActionUnits => evaluate(args, &reader, &Units::load(args)?),
    }
}

fn evaluate<P: Predictor>(args: &FaceArgs, reader: &CropReader, predictor: &P) -> Result<()> {
    let window = match args.model {
        Model::Full => predictor.half_window(),
        Model::Pretrained | Model::Head => 0,
    };
    let rows = |features: &VideoFeatures<P::Label>| {
        predictor.rows(&features.embeddings, &features.outputs)
    };
    if let Some(sample) = &args.submission {
        let out = args.out.as_ref().context("--submission needs --out FILE")?;
        let list = SampleList::read(sample)?;
        let features = reader.read_list::<P::Label>(&list)?;
        let rows = rows(&features);
        let mut videos = features.videos.iter();
        let text = list.submission(|wanted| {
            let video = videos.next().context("a video of the list")?;
            if video.frames.is_empty() {
                eprintln!(
                    "affectlens: `{}` has no crops, its rows are neutral",
                    wanted.name
                );
            }
            let smoothed = video.smoothed(&rows, window, wanted.files.len());
            smoothed
                .iter()
                .map(|row| predictor.decide(row))
                .collect::<Result<Vec<_>>>()
        })?;
        return std::fs::write(out, text).with_context(|| format!("--out `{}`", out.display()));
    }
    let (features, _) = reader.read::<P::Label>(Part::Validation, Keep::All)?;
    let smoothed = features.smoothed(&rows(&features), window);
    let predictions = smoothed
        .iter()
        .map(|row| predictor.decide(row))
        .collect::<Result<Vec<_>>>()?;
    predictor.score(&predictions, &features.labels(), args.json)
}

fn print_json(scores: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(scores)?);
    Ok(())
}

/// Expressions as the pipeline decides them.
struct Expressions {
    classifier: FaceClassifier,
    controls: FaceControls,
    head: Option<Mlp>,
}

impl Expressions {
    fn load(args: &FaceArgs, device: &OpenedDevice) -> Result<Self> {
        let mut weights = args.weights.load_classifier(Tasks::EXPRESSION)?;
        // Features hold the backbone's own outputs where it has any.
        if !backbone::outputs(&weights.backbone)?.classes.is_empty() {
            weights.pretrained = None;
        }
        match args.model {
            Model::Pretrained => weights.head = None,
            Model::Head if weights.head.is_none() => {
                bail!("there is no head for backbone `{}`", args.weights.backbone)
            }
            Model::Head | Model::Full => {}
        }
        let classifier = FaceClassifier::load(&weights, device)?;
        let mut controls = args.controls(&classifier)?;
        if args.model == Model::Head {
            controls.confidence = 1.0;
            controls.blend = 1.0;
        }
        let head = weights.head.as_ref();
        let head = head
            .map(|head| Mlp::load(head, &Device::flex()))
            .transpose()?;
        Ok(Self {
            classifier,
            controls,
            head,
        })
    }
}

impl Predictor for Expressions {
    type Label = usize;

    fn rows(&self, embeddings: &FeatureRows, outputs: &FeatureRows) -> Vec<Vec<f32>> {
        let head = self.head.as_ref();
        let head = head.map(|head| predict(head, embeddings, &Device::flex()));
        let classes = self.classifier.pretrained_classes().len();
        let scores = outputs.iter().enumerate().map(|(row, outputs)| FaceScores {
            head: head
                .as_ref()
                .map_or_else(Vec::new, |head| head[row].clone()),
            pretrained: softmax(&outputs[..classes]),
            valence_arousal: None,
            action_units: None,
        });
        scores
            .map(|scores| self.classifier.combine(&scores, &self.controls))
            .collect()
    }

    fn half_window(&self) -> usize {
        self.controls.half_window
    }

    fn decide(&self, row: &[f32]) -> Result<usize> {
        let decision = self.classifier.decide(row, &self.controls)?;
        let place = AFF_WILD2.iter().position(|class| *class == decision.label);
        place.with_context(|| format!("{} is no class of Aff-Wild2", decision.label.name()))
    }

    fn score(&self, predictions: &[usize], labels: &[usize], json: bool) -> Result<()> {
        let confusion = Confusion::from_pairs(AFF_WILD2.len(), labels, predictions);
        let scores = Scores::new(&confusion, &AFF_WILD2);
        if json {
            return print_json(&scores);
        }
        print(&scores, Expression::name, "frames");
        Ok(())
    }
}

/// Valence and arousal of a head, or of the backbone itself.
struct ValencesArousals {
    head: Option<ValenceArousal>,
}

impl ValencesArousals {
    fn load(args: &FaceArgs, reader: &CropReader) -> Result<Self> {
        let head = match args.model {
            Model::Pretrained => None,
            Model::Head | Model::Full => own_head(args, "valence-arousal-head")?,
        };
        if head.is_none() && args.model == Model::Head {
            bail!("there is no `valence-arousal-head` among the weights; train one");
        }
        if head.is_none() && !reader.embedder().says_valence_arousal() {
            bail!(
                "backbone `{}` does not say valence and arousal and there is no `valence-arousal-head`",
                args.weights.backbone
            );
        }
        let head = head
            .map(|head| ValenceArousal::load(&head, &Device::flex()))
            .transpose()?;
        Ok(Self { head })
    }
}

impl Predictor for ValencesArousals {
    type Label = [f32; 2];

    fn rows(&self, _: &FeatureRows, outputs: &FeatureRows) -> Vec<Vec<f32>> {
        match &self.head {
            Some(head) => outputs.forward(&Device::flex(), |batch| head.forward(batch)),
            None => {
                let last = |row: Vec<f32>| row[row.len() - 2..].to_vec();
                let clip = |row: Vec<f32>| row.into_iter().map(|it| it.clamp(-1.0, 1.0)).collect();
                outputs.iter().map(last).map(clip).collect()
            }
        }
    }

    fn half_window(&self) -> usize {
        FaceControls::VALENCE_AROUSAL_HALF_WINDOW
    }

    fn decide(&self, row: &[f32]) -> Result<[f32; 2]> {
        Ok([row[0], row[1]])
    }

    fn score(&self, predictions: &[[f32; 2]], labels: &[[f32; 2]], json: bool) -> Result<()> {
        let scores = ValenceArousalScores::new(predictions, labels, Covariance::Sample);
        if json {
            return print_json(&scores);
        }
        println!("{scores}, {} frames", scores.count);
        Ok(())
    }
}

/// Action units of a head.
struct Units {
    head: ActionUnits,
    settings: ActionUnitSettings,
}

impl Units {
    fn load(args: &FaceArgs) -> Result<Self> {
        if args.model == Model::Pretrained {
            bail!("no backbone says action units; expected --model head or full");
        }
        let weights = own_head(args, "action-units-head")?
            .context("there is no `action-units-head` among the weights; train one")?;
        let head = ActionUnits::load(&weights, &Device::flex())?;
        let settings =
            ActionUnitSettings::read(&weights.metadata.extra, AFF_WILD2_ACTION_UNITS.len())?;
        Ok(Self { head, settings })
    }
}

impl Predictor for Units {
    type Label = [bool; 12];

    fn rows(&self, embeddings: &FeatureRows, outputs: &FeatureRows) -> Vec<Vec<f32>> {
        let device = Device::flex();
        let of_embeddings = embeddings.forward(&device, |batch| self.head.embedding.forward(batch));
        let of_outputs = outputs.forward(&device, |batch| self.head.logits.forward(batch));
        let pairs = of_embeddings.iter().zip(&of_outputs);
        pairs
            .map(|(one, other)| self.settings.blend(one, other))
            .collect()
    }

    fn half_window(&self) -> usize {
        FaceControls::ACTION_UNITS_HALF_WINDOW
    }

    fn decide(&self, row: &[f32]) -> Result<[bool; 12]> {
        let present = self.settings.present(row);
        present
            .try_into()
            .map_err(|_| anyhow::anyhow!("expected twelve action units"))
    }

    fn score(&self, predictions: &[[bool; 12]], labels: &[[bool; 12]], json: bool) -> Result<()> {
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

/// A head of the weights folder that was trained on the backbone in use.
fn own_head(args: &FaceArgs, name: &str) -> Result<Option<Weights>> {
    let head = args.weights.own(name)?;
    if let Some(head) = &head
        && let Some(trained_on) = head.metadata.embedding()
        && trained_on != args.weights.backbone
    {
        bail!(
            "`{name}` was trained on `{trained_on}`, the backbone is `{}`",
            args.weights.backbone
        );
    }
    Ok(head)
}
