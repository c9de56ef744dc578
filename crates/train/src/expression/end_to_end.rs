//! Backbone and classifiers trained together, on grey pictures of faces.
//!
//! Each set of pictures has a classifier of its own; all of them read one embedding, so that a small set gains from a large
//! one. An epoch shows the first set once and, beside each of its batches, pictures drawn from the others.

use std::path::Path;

use burn::tensor::Device;

use super::{
    RecipeError, TrainedHead, calibrate,
    face_sets::{EndToEndRecipe, FaceScore, FaceSet},
    faces::Faces,
};
use crate::{FitError, TrainingEvent, fit::fit};
use affectlens::weights::Weights;

/// A trained backbone with its classifiers.
#[derive(Debug)]
pub struct TrainedFaces {
    /// Canonical weights of `expression-mobilenet` for pictures of the recipe's side.
    pub backbone: Weights,
    /// One a set.
    pub heads: Vec<TrainedHead>,
}

/// Trains a backbone from weights of `faceres` or `expression-mobilenet`, with a new classifier for each set, on `device`,
/// an autodiff device; the average of the parameters over the last steps is kept.
///
/// The same data, recipe and seed give the same parameters on the same machine. With `checkpoint` every epoch is written to
/// that file, and an interrupted run goes on from there to the same result.
///
/// # Errors
///
/// [`RecipeError`] for weights of another network, data that does not fit together, a setting out of range, or a checkpoint
/// of another run.
pub fn train_faces(
    backbone: &Weights,
    sets: &[FaceSet],
    recipe: &EndToEndRecipe,
    device: &Device,
    checkpoint: Option<&Path>,
    on_event: impl FnMut(TrainingEvent<'_, FaceScore>),
) -> Result<TrainedFaces, RecipeError> {
    recipe.check()?;
    if sets.is_empty() {
        return Err(FitError::Empty("training").into());
    }
    for set in sets {
        set.check()?;
    }
    let faces = Faces::new(sets, recipe, device)?;
    let network = faces.network(backbone)?;
    let fitted = fit(network, faces, checkpoint, on_event)?;
    let network = fitted.network;
    let faces = Faces::new(sets, recipe, device)?;
    let heads = sets.iter().enumerate().map(|(place, set)| {
        let mut weights = network.heads[place].to_weights();
        weights.metadata.classes.clone_from(&set.classes);
        calibrate(
            weights,
            &faces.predict(&network, place),
            [&set.training.labels, &set.validation.labels],
            fitted.best.epoch,
            recipe.without_gla,
        )
    });
    Ok(TrainedFaces {
        heads: heads.collect::<Result<_, _>>()?,
        backbone: network.encoder.to_weights(recipe.side),
    })
}
