//! The landmarks' network.

use std::borrow::Cow;

use affectlens_formats::architecture::Architecture;
use affectlens_formats::architecture::face_mesh::POINTS;
pub use affectlens_formats::architecture::face_mesh::{
    INPUT_SIDE as MESH_INPUT_SIDE, NAME as MESH_ARCHITECTURE, NORMALISATION as MESH_NORMALISATION,
    VALUES as MESH_VALUES,
};

use crate::backbone::plan_network;
use crate::face::Landmarks;
use crate::kernel::Plan;
use crate::weights::{Weights, WeightsError};

const _: () = assert!(POINTS == Landmarks::COUNT);

/// The network as a plan.
///
/// # Shapes
///
/// - input: `[batch, 256, 256, 3]`, RGB, normalised by [`MESH_NORMALISATION`]
/// - output: `[batch, 1435]`: x, y, z of each landmark in input pixels, then the logit of presence
///
/// # Errors
///
/// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
pub fn plan<'a>(weights: impl Into<Cow<'a, Weights>>) -> Result<Plan, WeightsError> {
    let weights = weights.into();
    weights.expect_architecture(MESH_ARCHITECTURE)?;
    let side = MESH_INPUT_SIDE as usize;
    let mut planner = Plan::of_input(side, side, 3);
    let input = planner.input();
    let outputs = plan_network(Architecture::FaceMesh, weights, &mut planner, input)?;
    Ok(planner.finish(&outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{assert_plan_equals_plain, seeded_weights};

    #[test]
    fn plan_gives_what_the_plain_network_gives() {
        let weights = seeded_weights(Architecture::FaceMesh);
        let plan = plan(&weights).expect("canonical weights");
        let count = assert_plan_equals_plain(Architecture::FaceMesh, &weights, &plan);
        assert_eq!(count, MESH_VALUES);
    }

    #[test]
    fn unknown_and_missing_parameters_are_refused() {
        let mut weights = seeded_weights(Architecture::FaceMesh);
        weights
            .insert("tongue.bias", vec![1], vec![0.0])
            .expect("one value");
        let error = plan(&weights).expect_err("a weight too many");
        assert_eq!(
            error.to_string(),
            "weight `tongue.bias` does not belong to face-mesh"
        );
        weights.remove("tongue.bias");
        weights.remove("blocks.33.expand.slopes");
        let error = plan(&weights).expect_err("a weight too few").to_string();
        assert!(
            error.starts_with("weight `blocks.33.expand.slopes` is missing"),
            "{error}"
        );
    }
}
