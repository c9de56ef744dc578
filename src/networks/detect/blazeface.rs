//! The detector's networks.

use std::borrow::Cow;

use affectlens_formats::architecture::Architecture;
use affectlens_formats::architecture::blazeface::HEADS;
pub use affectlens_formats::architecture::blazeface::{
    ANCHOR_VALUES, ANCHORS, INPUT_SIDE, NAME as ARCHITECTURE, NORMALISATION,
};
use affectlens_formats::architecture::blazeface_full_range as full_range;

use crate::backbone::plan_network;
use crate::kernel::Plan;
use crate::weights::{Weights, WeightsError};

const _: () = assert!(full_range::BOX_VALUES + 1 == ANCHOR_VALUES);

/// Which of BlazeFace's networks: for which distance from the camera it was trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectorRange {
    /// Within about two metres: faces of at least about a tenth of the picture's longer side.
    Short,
    /// Within about five metres: smaller faces too, at about five times the cost.
    Full,
}

/// Where in the numbers of a picture those of each anchor stand: boxes, then the logits of scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// From one anchor's box to the next one's.
    pub(super) box_step: usize,
    /// Place of the first anchor's logit.
    pub(super) score_start: usize,
    /// From one anchor's logit to the next one's.
    pub(super) score_step: usize,
}

impl DetectorRange {
    /// The network that weights are for.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Architecture`] if it is none of a detector.
    pub fn of(weights: &Weights) -> Result<Self, WeightsError> {
        if weights.metadata.architecture == full_range::NAME {
            return Ok(Self::Full);
        }
        weights.expect_architecture(ARCHITECTURE)?;
        Ok(Self::Short)
    }

    /// Name of the architecture in a weights file.
    pub fn architecture(self) -> &'static str {
        self.network().name()
    }

    /// Side of the square input, pixels.
    pub fn input_side(self) -> u32 {
        match self {
            Self::Short => INPUT_SIDE,
            Self::Full => full_range::INPUT_SIDE,
        }
    }

    /// Number of anchors.
    pub fn anchors(self) -> usize {
        match self {
            Self::Short => ANCHORS,
            Self::Full => full_range::ANCHORS,
        }
    }

    /// Score of a face, in `[0, 1]`, from which MediaPipe reports it.
    pub fn default_threshold(self) -> f32 {
        match self {
            Self::Short => super::DEFAULT_THRESHOLD,
            Self::Full => 0.6,
        }
    }

    pub(super) fn layout(self) -> Layout {
        match self {
            Self::Short => Layout {
                box_step: ANCHOR_VALUES,
                score_start: ANCHOR_VALUES - 1,
                score_step: ANCHOR_VALUES,
            },
            Self::Full => Layout {
                box_step: full_range::BOX_VALUES,
                score_start: full_range::BOX_VALUES * full_range::ANCHORS,
                score_step: 1,
            },
        }
    }

    /// Grids of cells, in the network's order: cells along each side, cells along each side of a patch that is gone through
    /// before the next one, anchors in each cell.
    pub(super) fn grids(self) -> Vec<[usize; 3]> {
        match self {
            Self::Short => HEADS
                .map(|(_, _, cells, anchors)| [cells, 1, anchors])
                .to_vec(),
            Self::Full => vec![[full_range::CELLS, full_range::PATCH, 1]],
        }
    }

    fn network(self) -> Architecture {
        match self {
            Self::Short => Architecture::BlazeFace,
            Self::Full => Architecture::BlazeFaceFullRange,
        }
    }
}

/// The network that the weights are for as a plan.
///
/// # Shapes
///
/// - input: `[batch, side, side, 3]`, RGB, normalised by [`NORMALISATION`]; the side is
///   [`DetectorRange::input_side`]
/// - output of the short range: `[batch, 896 * 17]`: centre x, centre y, width, height and six keypoints x, y, all in
///   input pixels and but for the size relative to the anchor; last the score's logit. Anchors run over the 16x16 cells
///   row by row, two in each, then over the 8x8 cells, six in each.
/// - output of the full range: `[batch, 2304 * 16 + 2304]`: the same for the 48x48 cells, all boxes before all logits.
///   Anchors run over patches of 2x2 cells row by row, and over the cells of each patch row by row.
///
/// # Errors
///
/// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
pub fn plan<'a>(weights: impl Into<Cow<'a, Weights>>) -> Result<Plan, WeightsError> {
    let weights = weights.into();
    let range = DetectorRange::of(&weights)?;
    let side = range.input_side() as usize;
    let mut planner = Plan::of_input(side, side, 3);
    let input = planner.input();
    let outputs = plan_network(range.network(), weights, &mut planner, input)?;
    Ok(planner.finish(&outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{assert_plan_equals_plain, seeded_weights};

    #[test]
    fn plans_give_what_the_separate_convolutions_give() {
        for (range, parameters) in [(DetectorRange::Short, 74), (DetectorRange::Full, 182)] {
            let weights = seeded_weights(range.network());
            assert_eq!(weights.len(), parameters);
            let plan = plan(&weights).expect("canonical weights");
            let count = assert_plan_equals_plain(range.network(), &weights, &plan);
            assert_eq!(count, range.anchors() * ANCHOR_VALUES);
        }
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
