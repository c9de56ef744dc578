//! From labelled embeddings to an expression head that is ready to be written to a file, and from pictures to a backbone
//! with such heads.

mod end_to_end;
mod face_sets;
mod faces;
mod network;
mod picture;
#[cfg(test)]
mod training_tests;

use std::path::Path;

use burn::tensor::Device;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::Serialize;
use thiserror::Error;

use crate::{
    ClassifierScore, FitError, LabelledEmbeddings, Schedule, TrainingConfig, TrainingEvent,
    checkpoint::checkpoint_of,
    classifier::{class_counts, predict, train_mlp},
    fit::Fitted,
};
use affectlens::{
    calibration::{CalibrationError, Gla, tune_gla},
    head::Mlp,
    label::Expression,
    metrics::{Confusion, Scores, argmax},
    weights::{Precision, Weights, WeightsError},
};

pub use end_to_end::{TrainedFaces, train_faces};
pub use face_sets::{EndToEndRecipe, FaceScore, FaceSet, LabelledFaces};
pub use picture::GreyPicture;

/// How an expression head is trained.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpressionRecipe {
    /// The training loop.
    pub training: TrainingConfig,
    /// Part of the training data, from 0 to below 1, that is set aside to find the best number of epochs; the
    /// head is then trained on all of it for that many. At 0 the best epoch is chosen on the validation data,
    /// as published, and the scores there are those of the luckiest epoch.
    pub holdout: f64,
    /// Leave the biases at 0 instead of tuning them on the validation data.
    pub without_gla: bool,
}

/// A trained head and how it did.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedHead {
    /// Parameters as they come back from a 16-bit file; the metadata names architecture and classes.
    pub weights: Weights,
    /// Biases tuned on the validation data; all 0 where they did not help.
    pub gla: Gla,
    /// How training went.
    pub report: TrainingReport,
}

/// How the training of a head went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainingReport {
    /// Output classes in order.
    pub classes: Vec<Expression>,
    /// Training examples of each class.
    pub counts: Vec<usize>,
    /// The epoch whose state was kept.
    pub epoch: usize,
    /// Scores on the validation data without biases.
    pub validation: Scores,
    /// Scores with biases, on the data that the biases were tuned on.
    pub adjusted: Option<Scores>,
    /// The biases, one a class.
    pub gla: Vec<f32>,
}

/// Why a head cannot be trained.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The held-out part is no part.
    #[error("holdout is {got}, expected at least 0 and less than 1")]
    Holdout {
        /// The value.
        got: f64,
    },
    /// All examples of a part are of one class: a network that knows no other is always right.
    #[error("{part} examples are all of one class, expected two or more")]
    OneClass {
        /// `training` or `validation`.
        part: &'static str,
    },
    /// The training loop refused.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The biases cannot be tuned.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The trained parameters do not make a file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// Trains an expression head and tunes its biases.
///
/// With a holdout the epochs of the search are reported first, then those of the head. With `checkpoint` every epoch is
/// written to that file, and an interrupted run goes on from there to the same result.
///
/// # Errors
///
/// [`RecipeError`] for data that does not fit together, a setting out of range, or a checkpoint of another run.
pub fn train_expression(
    training: &LabelledEmbeddings,
    validation: &LabelledEmbeddings,
    classes: &[Expression],
    recipe: &ExpressionRecipe,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_, ClassifierScore>),
) -> Result<TrainedHead, RecipeError> {
    if !(0.0..1.0).contains(&recipe.holdout) {
        return Err(RecipeError::Holdout {
            got: recipe.holdout,
        });
    }
    for (part, data) in [("training", training), ("validation", validation)] {
        let mut labels = data.labels.iter();
        let first = labels.next();
        if first.is_some() && labels.all(|label| Some(label) == first) {
            return Err(RecipeError::OneClass { part });
        }
    }
    let data = [training, validation];
    let trained = fit(data, classes.len(), recipe, checkpoint, on_event)?;

    // What follows is measured on what a reader of the file will get.
    let mut weights = trained.network.to_weights();
    weights.metadata.classes = classes.to_vec();
    let weights = Weights::from_safetensors(&weights.to_safetensors(Precision::Half)?)?;
    let device = Device::flex();
    let probabilities = predict(&Mlp::load(&weights, &device)?, &validation.rows, &device);
    calibrate(
        weights,
        &probabilities,
        [&training.labels, &validation.labels],
        trained.best.epoch,
        recipe.without_gla,
    )
}

/// Tunes the biases of a head whose metadata names its classes, from its probabilities on the validation data, and reports
/// how it does.
fn calibrate(
    weights: Weights,
    probabilities: &[Vec<f32>],
    [training, validation]: [&[usize]; 2],
    epoch: usize,
    without_gla: bool,
) -> Result<TrainedHead, RecipeError> {
    let classes = weights.metadata.classes.clone();
    let counts = class_counts(training, classes.len());
    let gla = match without_gla {
        true => None,
        false => tune_biases(probabilities, validation, &counts)?,
    };
    let scores = |gla: &Gla| {
        let mut confusion = Confusion::new(classes.len());
        for (row, &label) in probabilities.iter().zip(validation) {
            confusion.add(label, argmax(&gla.adjust(row)).unwrap_or_default());
        }
        Scores::new(&confusion, &classes)
    };
    let neutral = Gla::neutral(classes.len());
    let report = TrainingReport {
        counts,
        epoch,
        validation: scores(&neutral),
        adjusted: gla.as_ref().map(scores),
        gla: gla.as_ref().unwrap_or(&neutral).biases.clone(),
        classes,
    };
    Ok(TrainedHead {
        weights,
        gla: gla.unwrap_or(neutral),
        report,
    })
}

/// The best biases on the validation data; `None` if they are no better than none.
fn tune_biases(
    probabilities: &[Vec<f32>],
    labels: &[usize],
    counts: &[usize],
) -> Result<Option<Gla>, CalibrationError> {
    let tuning = tune_gla(probabilities, labels, counts)?;
    // The search is local and starts from biases that hurt: it can end below no biases at all.
    Ok((tuning.after > tuning.before).then_some(tuning.gla))
}

fn fit(
    [training, validation]: [&LabelledEmbeddings; 2],
    classes: usize,
    recipe: &ExpressionRecipe,
    checkpoint: Option<&Path>,
    mut on_event: impl FnMut(TrainingEvent<'_, ClassifierScore>),
) -> Result<Fitted<Mlp, ClassifierScore>, FitError> {
    let ExpressionRecipe {
        training: config,
        holdout,
        ..
    } = recipe;
    if *holdout == 0.0 {
        let validation = Some(validation);
        return train_mlp(training, validation, classes, config, checkpoint, on_event);
    }
    let (kept, held_out) = split(training, *holdout, config.schedule.seed);
    let search = checkpoint.map(|path| checkpoint_of(path, "search"));
    let search = train_mlp(
        &kept,
        Some(&held_out),
        classes,
        config,
        search.as_deref(),
        &mut on_event,
    )?;
    let config = TrainingConfig {
        schedule: Schedule {
            epochs: search.best.epoch,
            ..config.schedule.clone()
        },
        ..config.clone()
    };
    train_mlp(training, None, classes, &config, checkpoint, on_event)
}

/// Sets a random part aside; returns what is kept and that part.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of the number of examples"
)]
fn split(
    data: &LabelledEmbeddings,
    part: f64,
    seed: u64,
) -> (LabelledEmbeddings, LabelledEmbeddings) {
    let mut order: Vec<usize> = (0..data.rows.len()).collect();
    order.shuffle(&mut StdRng::seed_from_u64(seed));
    let kept = order.split_off((data.rows.len() as f64 * part).round() as usize);
    let select = |examples: &[usize]| LabelledEmbeddings {
        rows: data.rows.select(examples),
        labels: examples
            .iter()
            .map(|&example| data.labels[example])
            .collect(),
    };
    (select(&kept), select(&order))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::interrupt;

    const CLASSES: [Expression; 3] = [Expression::Neutral, Expression::Happiness, Expression::Fear];

    /// Overlapping clouds of very unequal size, so that biases have something to do.
    fn clouds(seed: u64) -> LabelledEmbeddings {
        super::super::golden::clouds(
            seed,
            [([0.0, 0.0], 300), ([1.5, 0.0], 80), ([0.0, 1.5], 12)],
        )
    }

    fn recipe() -> ExpressionRecipe {
        let training = TrainingConfig {
            hidden: 8,
            schedule: Schedule {
                epochs: 6,
                batch: 64,
                learning_rate: 1e-2,
                ..Schedule::default()
            },
            ..TrainingConfig::default()
        };
        ExpressionRecipe {
            training,
            ..ExpressionRecipe::default()
        }
    }

    #[test]
    fn head_is_trained_calibrated_and_survives_its_file() {
        let (training, validation) = (clouds(1), clouds(2));
        let head = train_expression(&training, &validation, &CLASSES, &recipe(), None, |_| {})
            .expect("valid data");
        assert_eq!(head.report.counts, [300, 80, 12]);
        assert!(
            head.report.validation.macro_f1 > 0.5,
            "{:?}",
            head.report.validation
        );
        let adjusted = head
            .report
            .adjusted
            .as_ref()
            .expect("the overlapping clouds leave room for biases");
        assert!(
            adjusted.macro_f1 > head.report.validation.macro_f1,
            "{:?}",
            head.report
        );

        let bytes = head
            .weights
            .to_safetensors(Precision::Half)
            .expect("a small table");
        let read = Weights::from_safetensors(&bytes).expect("own file");
        assert_eq!(read, head.weights);
        assert_eq!(read.metadata.classes, CLASSES);
        let mlp = Mlp::load(&read, &Device::flex()).expect("own head");
        let right = predict(&mlp, &validation.rows, &Device::flex())
            .iter()
            .zip(&validation.labels)
            .filter(|(row, label)| argmax(row) == Some(**label))
            .count();
        assert_eq!(
            right as f64 / validation.rows.len() as f64,
            head.report.validation.accuracy
        );
    }

    #[test]
    fn holdout_finds_the_number_of_epochs_without_the_validation_data() {
        let recipe = ExpressionRecipe {
            holdout: 0.25,
            without_gla: true,
            ..recipe()
        };
        let mut epochs = vec![];
        let training = clouds(1);
        let head = train_expression(&training, &clouds(2), &CLASSES, &recipe, None, |event| {
            if let TrainingEvent::Epoch(epoch) = event {
                epochs.push(*epoch);
            }
        })
        .expect("valid data");
        let (search, last) = epochs.split_at(6);
        assert_eq!(last.len(), head.report.epoch);
        assert!(
            search.iter().all(|epoch| epoch.validation.is_some())
                && last.iter().all(|epoch| epoch.validation.is_none())
        );
        assert_eq!(head.gla, Gla::neutral(3));
        let (kept, held_out) = split(&training, 0.25, 0);
        assert_eq!((kept.rows.len(), held_out.rows.len()), (294, 98));
    }

    #[test]
    fn an_interrupted_run_ends_as_if_it_had_not_been() {
        let (training, validation) = (clouds(1), clouds(2));
        let recipe = ExpressionRecipe {
            training: TrainingConfig {
                mixup: Some(0.4),
                ..recipe().training
            },
            holdout: 0.25,
            ..recipe()
        };
        // In the search, and while the head is trained.
        for after in [3, 7] {
            let ([whole, resumed], more) = interrupt(after, |checkpoint, on_epoch| {
                let data = [&training, &validation];
                let on_event = |event: TrainingEvent<'_, ClassifierScore>| {
                    if let TrainingEvent::Epoch(_) = event {
                        on_epoch();
                    }
                };
                train_expression(data[0], data[1], &CLASSES, &recipe, checkpoint, on_event)
                    .expect("valid data")
            });
            assert_eq!(more, 6 + whole.report.epoch - after);
            assert_eq!(resumed, whole);
        }
    }

    #[test]
    fn a_checkpoint_of_another_run_is_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("checkpoint.safetensors");
        let (training, validation) = (clouds(1), clouds(2));
        let train = |training, recipe: &ExpressionRecipe| {
            train_expression(training, &validation, &CLASSES, recipe, Some(&path), |_| {})
        };
        train(&training, &recipe()).expect("valid data");
        let mut other = recipe();
        other.training.schedule.seed = 1;
        for error in [train(&training, &other), train(&validation, &recipe())] {
            let message = error.expect_err("another run").to_string();
            assert!(message.contains("is of another run: made of"), "{message}");
        }
    }

    #[test]
    fn one_class_alone_is_refused_in_both_parts() {
        let all = clouds(1);
        let one = LabelledEmbeddings {
            labels: vec![1; all.labels.len()],
            ..clouds(2)
        };
        for (training, validation, part) in [(&one, &all, "training"), (&all, &one, "validation")] {
            let error = train_expression(training, validation, &CLASSES, &recipe(), None, |_| {});
            assert_eq!(
                error.expect_err("one class").to_string(),
                format!("{part} examples are all of one class, expected two or more")
            );
        }
    }

    #[test]
    fn holdout_of_everything_is_refused() {
        let recipe = ExpressionRecipe {
            holdout: 1.0,
            ..recipe()
        };
        let error = train_expression(&clouds(1), &clouds(2), &CLASSES, &recipe, None, |_| {})
            .expect_err("nothing is left");
        assert_eq!(
            error.to_string(),
            "holdout is 1, expected at least 0 and less than 1"
        );
    }
}
