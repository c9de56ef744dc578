//! The detector's network.

use affectlens_formats::architecture::Architecture;
pub(super) use affectlens_formats::architecture::blazeface::HEADS;
pub use affectlens_formats::architecture::blazeface::{
    ANCHOR_VALUES, ANCHORS, INPUT_SIDE, NAME as ARCHITECTURE, NORMALISATION,
};

use crate::backbone::plan_network;
use crate::kernel::Plan;
use crate::weights::{Weights, WeightsError};

/// The network as a plan.
///
/// # Shapes
///
/// - input: `[batch, 128, 128, 3]`, RGB, normalised by [`NORMALISATION`]
/// - output: `[batch, 896 * 17]`: centre x, centre y, width, height and six keypoints x, y, all in input pixels and but
///   for the size relative to the anchor; last the score's logit. Anchors run over the 16x16 cells row by row, two in
///   each, then over the 8x8 cells, six in each.
///
/// # Errors
///
/// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
pub fn plan(weights: &Weights) -> Result<Plan, WeightsError> {
    weights.expect_architecture(ARCHITECTURE)?;
    let side = INPUT_SIDE as usize;
    let mut planner = Plan::of_input(side, side, 3);
    let input = planner.input();
    let outputs = plan_network(Architecture::BlazeFace, weights, &mut planner, input)?;
    Ok(planner.finish(&outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{assert_plan_equals_plain, seeded_weights};

    #[test]
    fn plan_gives_896_anchors_as_the_separate_convolutions_do() {
        let weights = seeded_weights(Architecture::BlazeFace);
        assert_eq!(weights.len(), 74);
        let plan = plan(&weights).expect("canonical weights");
        let count = assert_plan_equals_plain(Architecture::BlazeFace, &weights, &plan);
        assert_eq!(count, ANCHORS * ANCHOR_VALUES);
    }

    #[test]
    fn unknown_and_missing_parameters_are_refused() {
        let mut weights = seeded_weights(Architecture::BlazeFace);
        weights
            .insert("blocks.16.depthwise.weight", vec![1], vec![0.0])
            .expect("one value");
        let error = plan(&weights).expect_err("a block too many");
        let expected =
            "weight `blocks.16.depthwise.weight` does not belong to blazeface-short-range";
        assert_eq!(error.to_string(), expected);
        weights.remove("blocks.16.depthwise.weight");
        weights.remove("heads.1.scores.bias");
        let error = plan(&weights).expect_err("a bias too few");
        assert!(
            error
                .to_string()
                .starts_with("weight `heads.1.scores.bias` is missing"),
            "{error}"
        );
        weights.metadata.architecture = "faceres".to_owned();
        assert!(matches!(
            plan(&weights),
            Err(WeightsError::Architecture { .. })
        ));
    }
}
