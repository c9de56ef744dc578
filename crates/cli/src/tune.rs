//! `affectlens tune`: class biases, blend, confidence filter and temperature of the expression classifiers.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use super::{DeviceOption, WeightsOptions, probability};
use crate::{
    folders::picture_folders,
    options::{expression, read_pictures},
    outputs::expect_outputs,
    persons::score_persons,
};
use affectlens::{
    calibration::ExpressionSettings,
    faces::FaceClassifier,
    label::Expression,
    task::Tasks,
    weights::{Precision, Weights},
};
use affectlens_data::LabelledPictures;
use affectlens_train::{
    Combination, CombinationScore, Spread, Temperature, Tuning, TuningFace, TuningPlan,
    tune_combination, tune_temperature,
};

/// Options of `affectlens tune`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = picture_folders())]
pub(super) struct Args {
    /// Folder with DIR/LABEL/*.jpg, or with DIR/validation that has these; each whole picture is one face. Pictures
    /// whose names differ in the last number only (anna_1.jpg, anna_2.jpg) are of one person; where all names
    /// differ in nothing else, each picture counts as a person of its own.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Labels to leave out.
    #[arg(long, value_name = "LABEL,...", value_delimiter = ',', value_parser = expression)]
    without: Vec<Expression>,
    /// Classifier to tune: its temperature, and for the head also what it is put together with.
    #[arg(long, value_enum, default_value_t)]
    model: Tuned,
    /// Weight of the head in the average with the pretrained classifier [default: the best one].
    #[arg(long, value_name = "W", value_parser = probability)]
    blend: Option<f32>,
    /// Probability above which the pretrained classifier decides; 1 switches the filter off [default: the best one].
    #[arg(long, value_name = "P", value_parser = probability)]
    confidence: Option<f32>,
    /// Leave the head's class biases (GLA) at 0.
    #[arg(long)]
    no_gla: bool,
    /// Times that the persons are halved to see what survives.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    halvings: u16,
    /// Seed of the halvings.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Weights file to write: the classifier with its new settings.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Device that runs the networks.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceOption,
    #[command(flatten)]
    weights: WeightsOptions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Tuned {
    /// Pretrained classifier.
    Pretrained,
    /// Adapted head.
    #[default]
    Head,
}

/// Tunes, prints the table, writes the file.
pub(super) fn run(args: &Args) -> Result<()> {
    expect_outputs([("--out", args.out.as_ref())])?;
    let pictures = read_pictures(&args.data, &args.without)?;
    let installed = args.weights.installed();
    let weights = installed.face_classifier(Tasks::EXPRESSION)?;
    let tuned = match args.model {
        Tuned::Pretrained => &weights.pretrained,
        Tuned::Head => &weights.head,
    };
    let Some(tuned) = tuned.clone() else {
        bail!(
            "there is no such classifier for backbone `{}`",
            installed.backbone_name()
        );
    };
    let classifier = FaceClassifier::load(weights, &args.device.open()?)?;
    let mut faces = args.score(&classifier, &pictures)?;
    let temperature = args.temperature(&classifier, &faces)?;
    say!(
        "temperature {:.3}: expected calibration error {:.4}, {:.4} with it (cross-fitted)",
        temperature.temperature,
        temperature.error_before,
        temperature.error_after
    );
    let mut tuned = cooled(tuned, temperature.temperature)?;
    if args.model == Tuned::Head {
        for face in &mut faces {
            face.scores.head = temperature.apply(&face.scores.head);
        }
        let counts = counts(&tuned, classifier.head_classes(), &faces, &classifier);
        let found = tune_combination(&classifier, &faces, &counts, &args.plan())?;
        print(&found);
        let classes = classifier.head_classes().len();
        ExpressionSettings {
            gla: found.gla,
            blend: found.best.blend,
            confidence: found.best.confidence,
            ..ExpressionSettings::read(&tuned.metadata.extra, classes)?
        }
        .write(&mut tuned.metadata.extra);
    }
    if let Some(out) = &args.out {
        tuned.write(out, Precision::Half).context("--out")?;
    }
    Ok(())
}

impl Args {
    fn plan(&self) -> TuningPlan {
        let mut plan = TuningPlan {
            halvings: usize::from(self.halvings),
            seed: self.seed,
            without_gla: self.no_gla,
            ..TuningPlan::default()
        };
        if let Some(blend) = self.blend {
            plan.blends = vec![blend];
        }
        if let Some(confidence) = self.confidence {
            plan.confidences = vec![confidence];
        }
        plan
    }

    fn score(
        &self,
        classifier: &FaceClassifier,
        pictures: &LabelledPictures,
    ) -> Result<Vec<TuningFace>> {
        let (mut faces, are_told_apart) = score_persons(classifier, pictures)?;
        if !are_told_apart {
            complain!(
                "affectlens: names do not tell persons apart; each picture counts as one of its own"
            );
            for (number, face) in faces.iter_mut().enumerate() {
                face.person = number.to_string();
            }
        }
        Ok(faces)
    }

    fn temperature(
        &self,
        classifier: &FaceClassifier,
        faces: &[TuningFace],
    ) -> Result<Temperature> {
        let known = match self.model {
            Tuned::Pretrained => classifier.pretrained_classes(),
            Tuned::Head => classifier.head_classes(),
        };
        let classes = classifier.classes();
        Ok(tune_temperature(faces, &self.plan(), |face| {
            let label = known
                .iter()
                .position(|class| *class == classes[face.label])?;
            let row = match self.model {
                Tuned::Pretrained => &face.scores.pretrained,
                Tuned::Head => &face.scores.head,
            };
            Some((row.as_slice(), label))
        })?)
    }
}

/// Training examples of each class as the file names them, else as the faces at hand have them.
fn counts(
    head: &Weights,
    known: &[Expression],
    faces: &[TuningFace],
    classifier: &FaceClassifier,
) -> Vec<usize> {
    let written = head.metadata.extra.get("counts");
    let written: Option<Vec<usize>> =
        written.and_then(|text| text.split(' ').map(|count| count.parse().ok()).collect());
    written
        .filter(|counts| counts.len() == known.len())
        .unwrap_or_else(|| {
            let labels = || faces.iter().map(|face| classifier.classes()[face.label]);
            known
                .iter()
                .map(|class| labels().filter(|label| label == class).count())
                .collect()
        })
}

/// The classifier with the logits of its last layer divided by the temperature.
fn cooled(mut weights: Weights, temperature: f32) -> Result<Weights> {
    for name in ["net.2.weight", "net.2.bias"] {
        let Some(mut tensor) = weights.remove(name) else {
            bail!("the classifier has no `{name}`");
        };
        tensor
            .values
            .iter_mut()
            .for_each(|value| *value /= temperature);
        weights.put(name.to_owned(), tensor);
    }
    Ok(weights)
}

/// A row for each combination, the best one marked.
fn print(tuning: &Tuning) {
    say!(
        "{:<5}{:>7}{:>8}  {:>17}  {:>31}  {:>9}",
        "GLA",
        "blend",
        "filter",
        "tuned here: F1",
        "cross-fitted: F1",
        "accuracy"
    );
    for CombinationScore {
        combination,
        macro_f1,
        accuracy,
        fitted_macro_f1: Spread { mean, least, most },
        fitted_accuracy,
    } in &tuning.scores
    {
        let Combination {
            gla,
            blend,
            confidence,
        } = combination;
        let filter = if *confidence < 1.0 {
            confidence.to_string()
        } else {
            "-".to_owned()
        };
        let mark = if *combination == tuning.best {
            " best"
        } else {
            ""
        };
        say!(
            "{:<5}{blend:>7}{filter:>8}  {macro_f1:>8.4} {accuracy:>8.4}  {mean:>10.4} ({least:.4} to {most:.4})  {:>9.4}{mark}",
            if *gla { "yes" } else { "no" },
            fitted_accuracy.mean
        );
    }
}
