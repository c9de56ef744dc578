//! Where people are.

use std::borrow::Cow;

use affectlens_formats::architecture::Architecture;
pub use affectlens_formats::architecture::blazepose::detector::NAME as DETECTOR_ARCHITECTURE;
use affectlens_formats::architecture::blazepose::detector::{
    ANCHORS, BOX_VALUES, GRIDS, INPUT_SIDE, KEYPOINTS, NORMALISATION,
};

use super::PoseError;
use super::warp::{Border, warp};
use crate::backbone::plan_network;
use crate::crop::batch;
use crate::detect::{centres_of, decode_anchor, suppress};
use crate::device::OpenedDevice;
use crate::face::{BoundingBox, Detection, RotatedBox};
use crate::frame::Frame;
use crate::kernel::{Network, Plan, read_back};
use crate::weights::{Weights, WeightsError};

/// What messages call the network.
const NETWORK: &str = "detector of people";

/// Score of a detection, in `[0, 1]`, from which MediaPipe looks closer.
const MIN_SCORE: f32 = 0.5;
/// Boxes that overlap more than this see the same person.
const SAME_PERSON_OVERLAP: f32 = 0.5;

/// Detector of people with its network on one device.
#[derive(Debug)]
pub struct PoseDetector {
    network: Network,
    device: OpenedDevice,
    centres: Vec<[f32; 2]>,
}

impl PoseDetector {
    /// Loads the network onto a device.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] unless these are the weights of [`DETECTOR_ARCHITECTURE`], all of them and nothing else.
    pub fn load<'a>(
        weights: impl Into<Cow<'a, Weights>>,
        device: &OpenedDevice,
    ) -> Result<Self, WeightsError> {
        let grids = GRIDS.map(|(cells, anchors)| [cells, 1, anchors]);
        Ok(Self {
            network: Network::new(plan(weights)?, device),
            device: device.clone(),
            centres: centres_of(INPUT_SIDE, &grids),
        })
    }

    /// The people of a frame, best first. Boxes are those of faces; of the key points the first is the middle of the hips
    /// and the second lies on a circle around the body, above it. All are in frame pixels and can lie beyond the frame.
    ///
    /// # Errors
    ///
    /// [`PoseError`] if the device fails.
    pub async fn detect(&self, frame: &Frame) -> Result<Vec<Detection<KEYPOINTS>>, PoseError> {
        let square = around(frame);
        let picture = warp(frame, &square, INPUT_SIDE, Border::Black).expect("a frame has an area");
        let input = batch(&[picture], &NORMALISATION, &self.device.device).expect("one picture");
        let values = read_back(vec![self.network.forward(input)])
            .await
            .map_err(|error| PoseError::Read {
                network: NETWORK,
                reason: error.to_string(),
            })?;
        self.device.check()?;
        let people = self.decode(&values[0])?;
        Ok(people
            .into_iter()
            .map(|person| in_frame(person, &square))
            .collect())
    }

    /// The people in the network's numbers for a picture, in input pixels.
    fn decode(&self, values: &[f32]) -> Result<Vec<Detection<KEYPOINTS>>, PoseError> {
        let (boxes, logits) = values.split_at(ANCHORS * BOX_VALUES);
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(PoseError::NotFinite {
                network: NETWORK,
                picture: 0,
            });
        }
        let anchors = boxes
            .chunks_exact(BOX_VALUES)
            .zip(logits)
            .zip(&self.centres);
        let candidates = anchors.filter_map(|((places, &logit), &centre)| {
            decode_anchor::<KEYPOINTS>(places, logit, centre, MIN_SCORE)
        });
        // Inverted boxes see nobody.
        let candidates = candidates.filter(|it| {
            let BoundingBox { width, height, .. } = it.bounding_box;
            width >= 0.0 && height >= 0.0
        });
        Ok(suppress(candidates.collect(), SAME_PERSON_OVERLAP))
    }
}

/// The square around a frame.
fn around(frame: &Frame) -> RotatedBox {
    let [width, height] = [frame.width(), frame.height()].map(pixels);
    let side = width.max(height);
    RotatedBox {
        centre: [width / 2.0, height / 2.0],
        width: side,
        height: side,
        roll: 0.0,
    }
}

/// What was found in input pixels, in frame pixels.
fn in_frame(person: Detection<KEYPOINTS>, square: &RotatedBox) -> Detection<KEYPOINTS> {
    let side = pixels(INPUT_SIDE);
    let point = |[x, y]: [f32; 2]| square.to_frame([x / side, y / side]);
    let BoundingBox {
        x,
        y,
        width,
        height,
    } = person.bounding_box;
    let [left, top] = point([x, y]);
    let scale = square.width / side;
    Detection {
        bounding_box: BoundingBox {
            x: left,
            y: top,
            width: width * scale,
            height: height * scale,
        },
        score: person.score,
        keypoints: person.keypoints.map(point),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "pictures are narrower than 2^24 pixels"
)]
fn pixels(length: u32) -> f32 {
    length as f32
}

/// The network as a plan.
///
/// # Shapes
///
/// - input: `[batch, 224, 224, 3]`, RGB, from -1 to 1
/// - output: `[batch, 2254 * 12 + 2254]`: of each anchor centre x, centre y, width, height and four key points x, y, all in
///   input pixels and but for the size relative to the anchor; then the logits of all scores. Anchors run over the 28x28
///   cells row by row, two in each, over the 14x14 cells, two in each, and over the 7x7 cells, six in each.
///
/// # Errors
///
/// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
pub fn plan<'a>(weights: impl Into<Cow<'a, Weights>>) -> Result<Plan, WeightsError> {
    let weights = weights.into();
    weights.expect_architecture(DETECTOR_ARCHITECTURE)?;
    let side = INPUT_SIDE as usize;
    let mut planner = Plan::of_input(side, side, 3);
    let input = planner.input();
    let outputs = plan_network(Architecture::PoseDetector, weights, &mut planner, input)?;
    Ok(planner.finish(&outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{assert_plan_equals_plain, seeded_weights};

    #[test]
    fn plan_gives_what_the_plain_network_gives() {
        let weights = seeded_weights(Architecture::PoseDetector);
        let plan = plan(&weights).expect("canonical weights");
        let count = assert_plan_equals_plain(Architecture::PoseDetector, &weights, &plan);
        assert_eq!((ANCHORS, count), (2254, 2254 * 13));
    }

    #[test]
    fn unknown_and_missing_parameters_are_refused() {
        let mut weights = seeded_weights(Architecture::PoseDetector);
        weights
            .insert("heads.3.scores.depthwise.bias", vec![1], vec![0.0])
            .expect("one value");
        let error = plan(&weights).expect_err("a weight too many");
        assert_eq!(
            error.to_string(),
            "weight `heads.3.scores.depthwise.bias` does not belong to pose-detector"
        );
        weights.remove("heads.3.scores.depthwise.bias");
        weights.remove("heads.2.boxes.pointwise.weight");
        let error = plan(&weights).expect_err("a weight too few").to_string();
        assert!(
            error.starts_with("weight `heads.2.boxes.pointwise.weight` is missing"),
            "{error}"
        );
    }

    #[test]
    fn what_is_found_in_the_square_lies_in_the_frame() {
        let frame = Frame::from_rgb(448, 224, vec![0; 448 * 224 * 3]).expect("a picture");
        let person = Detection {
            bounding_box: BoundingBox {
                x: 100.0,
                y: 56.0,
                width: 10.0,
                height: 20.0,
            },
            score: 0.75,
            keypoints: [[112.0, 112.0]; KEYPOINTS],
        };
        let found = in_frame(person, &around(&frame));
        let expected = BoundingBox {
            x: 200.0,
            y: 0.0,
            width: 20.0,
            height: 40.0,
        };
        assert_eq!(found.bounding_box, expected);
        assert_eq!(found.keypoints, [[224.0, 112.0]; KEYPOINTS]);
    }
}
