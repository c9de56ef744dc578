//! The points of a body.

use std::borrow::Cow;

use affectlens_formats::architecture::Architecture;
pub use affectlens_formats::architecture::PoseLandmarksConfig as PoseVersion;
pub use affectlens_formats::architecture::blazepose::landmarks::VALUES;
use affectlens_formats::architecture::blazepose::landmarks::{
    INPUT_SIDE, NORMALISATION, POINT_VALUES, POINTS,
};

use super::refinement::{probability_of, refine};
use super::warp::{Border, warp};
use super::{PoseError, region};
use crate::backbone::plan_network;
use crate::crop::batch;
use crate::device::OpenedDevice;
use crate::face::RotatedBox;
use crate::frame::Frame;
use crate::kernel::{Network, Plan, read_back};
use crate::person::{KEYPOINTS, Keypoint, Person};
use crate::weights::{Weights, WeightsError};

/// What messages call the network.
const NETWORK: &str = "pose landmarks";

/// Pictures of one batch at most: a crowd is not to need more memory.
const MOST_TOGETHER: usize = 4;

/// The point in the middle of the hips that the next frame's region is about, and the one after it that says how large it
/// is.
const CENTRE: usize = KEYPOINTS.len();

const _: () = assert!(CENTRE + 2 <= POINTS);

/// Finds the points of bodies, and keeps its network on one device.
#[derive(Debug)]
pub struct PoseLandmarks {
    network: Network,
    device: OpenedDevice,
}

/// What a look at a region shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// The person, if there is one: see its score.
    pub person: Person,
    /// Where to look for the person in the next frame.
    pub next: RotatedBox,
}

impl PoseLandmarks {
    /// Puts the network on a device.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] unless these are the weights of a [`PoseVersion`], all of them and nothing else.
    pub fn load<'a>(
        weights: impl Into<Cow<'a, Weights>>,
        device: &OpenedDevice,
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            network: Network::new(plan(weights)?, device),
            device: device.clone(),
        })
    }

    /// What is in each region of a frame, whether there is a person or not; none in a region without area.
    ///
    /// # Errors
    ///
    /// [`PoseError`] if the device fails.
    pub async fn look(
        &self,
        frame: &Frame,
        regions: &[RotatedBox],
    ) -> Result<Vec<Option<Look>>, PoseError> {
        let mut found = vec![None; regions.len()];
        let (mut seen, mut pictures) = (Vec::new(), Vec::new());
        for (place, region) in regions.iter().enumerate() {
            if let Some(picture) = warp(frame, region, INPUT_SIDE, Border::Repeated) {
                seen.push(place);
                pictures.push(picture);
            }
        }
        let batches = seen
            .chunks(MOST_TOGETHER)
            .zip(pictures.chunks(MOST_TOGETHER));
        for (places, pictures) in batches {
            let input = batch(pictures, &NORMALISATION, &self.device.device).expect("one size");
            let values = read_back(vec![self.network.forward(input)])
                .await
                .map_err(|error| PoseError::Read {
                    network: NETWORK,
                    reason: error.to_string(),
                })?;
            self.device.check()?;
            for (&picture, values) in places.iter().zip(values[0].chunks_exact(VALUES)) {
                if !values.iter().all(|value| value.is_finite()) {
                    return Err(PoseError::NotFinite {
                        network: NETWORK,
                        picture,
                    });
                }
                found[picture] = Some(look(values, &regions[picture]));
            }
        }
        Ok(found)
    }
}

/// From the network's numbers for a region to frame pixels.
fn look(values: &[f32], region: &RotatedBox) -> Look {
    let (points, rest) = values.split_at(POINTS * POINT_VALUES);
    let (presence, heatmaps) = rest.split_at(1);
    let side = INPUT_SIDE as f32;
    let point = |index: usize| {
        let start = index * POINT_VALUES;
        let [x, y, z, visibility, presence]: [f32; POINT_VALUES] =
            std::array::from_fn(|value| points[start + value]);
        let [frame_x, frame_y] = region.to_frame(refine(heatmaps, index, [x / side, y / side]));
        Keypoint {
            place: [frame_x, frame_y, z / side * region.width],
            visibility: probability_of(visibility),
            presence: probability_of(presence),
        }
    };
    let [centre, above] = [CENTRE, CENTRE + 1].map(|index| {
        let [x, y, _] = point(index).place;
        [x, y]
    });
    Look {
        person: Person {
            keypoints: std::array::from_fn(point),
            score: probability_of(presence[0]),
        },
        next: region::between(centre, above),
    }
}

/// The network as a plan.
///
/// # Shapes
///
/// - input: `[batch, 256, 256, 3]`, RGB, from 0 to 1
/// - output: `[batch, 159940]`: x, y, z of each of 39 points in input pixels with the logits of its visibility and presence;
///   the logit of the person's presence; then the logits of the 64x64 pixels of heat maps, 39 in each pixel
///
/// # Errors
///
/// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
pub fn plan<'a>(weights: impl Into<Cow<'a, Weights>>) -> Result<Plan, WeightsError> {
    let weights = weights.into();
    let name = &weights.metadata.architecture;
    let version = PoseVersion::from_name(name).ok_or_else(|| WeightsError::Architecture {
        expected: PoseVersion::ALL.map(|version| version.name).join("`, `"),
        got: name.clone(),
    })?;
    let side = INPUT_SIDE as usize;
    let mut planner = Plan::of_input(side, side, 3);
    let input = planner.input();
    let network = Architecture::PoseLandmarks(version);
    let outputs = plan_network(network, weights, &mut planner, input)?;
    Ok(planner.finish(&outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::{assert_plan_equals_plain, seeded_weights};

    #[test]
    fn plans_give_what_the_plain_networks_give() {
        // The middle one has the layers of the smallest, of other widths.
        for version in [PoseVersion::LITE, PoseVersion::HEAVY] {
            let network = Architecture::PoseLandmarks(version);
            let weights = seeded_weights(network);
            let plan = plan(&weights).expect("canonical weights");
            let count = assert_plan_equals_plain(network, &weights, &plan);
            assert_eq!((VALUES, count), (159_940, 159_940));
        }
    }

    #[test]
    fn weights_of_another_version_are_refused() {
        let mut weights = seeded_weights(Architecture::PoseLandmarks(PoseVersion::LITE));
        weights.metadata.architecture = PoseVersion::FULL.name.to_owned();
        let error = plan(&weights).expect_err("other widths").to_string();
        assert!(error.contains("has shape [8, 24, 1, 1]"), "{error}");
        weights.metadata.architecture = "face-mesh".to_owned();
        let error = plan(&weights).expect_err("another network").to_string();
        assert!(error.contains("pose-landmarks-heavy"), "{error}");
    }

    #[test]
    fn points_go_back_into_the_frame() {
        let region = region::between([50.0, 60.0], [66.0, 60.0]);
        let mut values = vec![0.0; VALUES];
        values[POINTS * POINT_VALUES + 1..].fill(-100.0);
        for (index, value) in [256.0, 128.0, -25.6, 100.0, -100.0].into_iter().enumerate() {
            values[index] = value;
        }
        for (index, [x, y]) in [[128.0, 128.0], [128.0, 0.0]].into_iter().enumerate() {
            values[(CENTRE + index) * POINT_VALUES..][..2].copy_from_slice(&[x, y]);
        }
        let Look { person, next } = look(&values, &region);
        // The person lies on a side: what is right in the square is down in the frame.
        let Keypoint {
            place: [x, y, z],
            visibility,
            presence,
        } = person.keypoints[0];
        assert!((x - 50.0).abs() < 1e-4 && (y - 80.0).abs() < 1e-4 && (z + 4.0).abs() < 1e-4);
        assert_eq!((visibility, presence, person.score), (1.0, 0.0, 0.5));
        let wider = RotatedBox {
            width: 50.0,
            height: 50.0,
            ..region
        };
        assert!((next.centre[0] - 50.0).abs() < 1e-4 && (next.centre[1] - 60.0).abs() < 1e-4);
        assert!((next.width - wider.width).abs() < 1e-4 && (next.roll - wider.roll).abs() < 1e-5);
    }
}
