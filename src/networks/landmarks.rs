//! Landmarks of faces, and how far each part of a face is moved.
//!
//! A face that the detector found is cut out upright, as MediaPipe's face landmark graph does: a square around the
//! detector's box, half again as large, turned by the line between the eyes.

mod blendshapes;
mod mesh;

use std::borrow::Cow;

use thiserror::Error;

pub use blendshapes::{BLENDSHAPES_ARCHITECTURE, Blendshapes};
pub use mesh::{MESH_ARCHITECTURE, MESH_INPUT_SIDE, MESH_NORMALISATION, MESH_VALUES, plan};

use crate::crop::{batch, crop_rotated};
use crate::device::{DeviceError, OpenedDevice};
use crate::face::{Detection, Landmarks, RotatedBox};
use crate::frame::Frame;
use crate::kernel::{Network, read_back};
use crate::weights::{Weights, WeightsError};

/// Presence that a face must reach, as MediaPipe asks for.
pub const MIN_PRESENCE: f32 = 0.5;

/// Side of the square that is looked at, in longer sides of the detector's box.
const ROI_SCALE: f32 = 1.5;

/// Why there are no landmarks.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LandmarksError {
    /// The device did not hand out the result, or a kernel failed.
    #[error("face mesh's output cannot be read from the device: {reason}")]
    Read {
        /// What the device said.
        reason: String,
    },
    /// The device is gone.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The device handed out numbers that no picture gives.
    #[error("face mesh's output is not finite for face {face}")]
    NotFinite {
        /// Place among the faces that were asked for, from zero.
        face: usize,
    },
}

/// Finds landmarks, and keeps its network on one device.
#[derive(Debug)]
pub struct FaceMesh {
    network: Network,
    device: OpenedDevice,
}

impl FaceMesh {
    /// Puts the network on a device.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] unless these are the weights of [`MESH_ARCHITECTURE`], all of them and nothing else.
    pub fn load<'a>(
        weights: impl Into<Cow<'a, Weights>>,
        device: &OpenedDevice,
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            network: Network::build(plan(weights)?, device).map_err(WeightsError::Network)?,
            device: device.clone(),
        })
    }

    /// Gives the landmarks of each face, or `None` where the mesh sees no face: its presence is below
    /// [`MIN_PRESENCE`], or the detection has no area.
    ///
    /// All faces are one batch with one read-back.
    ///
    /// # Errors
    ///
    /// [`LandmarksError`] if the device fails.
    pub async fn find(
        &self,
        frame: &Frame,
        faces: &[Detection],
    ) -> Result<Vec<Option<Landmarks>>, LandmarksError> {
        let regions: Vec<_> = faces.iter().map(region_of_interest).collect();
        self.present(frame, &regions).await
    }

    /// The same in the next frame of a stream, about where the landmarks of each face lay, as MediaPipe follows faces.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub async fn follow(
        &self,
        frame: &Frame,
        faces: &[&Landmarks],
    ) -> Result<Vec<Option<Landmarks>>, LandmarksError> {
        let regions = faces
            .iter()
            .map(|face| region_of_landmarks(face, face.roll()));
        self.present(frame, &regions.collect::<Vec<_>>()).await
    }

    /// How sure the mesh is on a second look that a face is there, in `[0, 1]`: it looks where the landmarks lie that it
    /// finds on the first one, as MediaPipe follows faces. What is no face seldom stays one there, and a face that the
    /// detector's box shows badly is seen better.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub async fn presence(
        &self,
        frame: &Frame,
        faces: &[Detection],
    ) -> Result<Vec<f32>, LandmarksError> {
        let regions: Vec<_> = faces.iter().map(region_of_interest).collect();
        let first = self.look(frame, &regions).await?;
        // A region without area is not looked at, and shows nothing.
        let again = regions.iter().zip(&first).map(|(region, landmarks)| {
            let landmarks = landmarks.as_ref();
            landmarks.map_or(*region, |it| region_of_landmarks(it, region.roll))
        });
        let second = self.look(frame, &again.collect::<Vec<_>>()).await?;
        let presence = second
            .into_iter()
            .map(|face| face.map_or(0.0, |it| it.presence));
        Ok(presence.collect())
    }

    async fn present(
        &self,
        frame: &Frame,
        regions: &[RotatedBox],
    ) -> Result<Vec<Option<Landmarks>>, LandmarksError> {
        let found = self.look(frame, regions).await?.into_iter();
        let present = |it: &Landmarks| it.presence >= MIN_PRESENCE;
        Ok(found.map(|face| face.filter(present)).collect())
    }

    /// The landmarks in each region, whatever is there; none in a region without area.
    ///
    /// All regions are one batch with one read-back.
    async fn look(
        &self,
        frame: &Frame,
        regions: &[RotatedBox],
    ) -> Result<Vec<Option<Landmarks>>, LandmarksError> {
        let mut found = vec![None; regions.len()];
        let (mut seen, mut pictures) = (Vec::new(), Vec::new());
        for (face, region) in regions.iter().enumerate() {
            if let Ok(picture) = crop_rotated(frame, region, MESH_INPUT_SIDE, MESH_INPUT_SIDE) {
                seen.push(face);
                pictures.push(picture);
            }
        }
        if pictures.is_empty() {
            return Ok(found);
        }
        let input =
            batch(&pictures, &MESH_NORMALISATION, &self.device.device).expect("crops of one size");
        let values = read_back(vec![self.network.forward(input)])
            .await
            .map_err(|error| LandmarksError::Read {
                reason: error.to_string(),
            })?;
        self.device.check()?;
        for (face, values) in seen.into_iter().zip(values[0].chunks_exact(MESH_VALUES)) {
            if !values.iter().all(|value| value.is_finite()) {
                return Err(LandmarksError::NotFinite { face });
            }
            found[face] = Some(landmarks(values, &regions[face]));
        }
        Ok(found)
    }
}

/// The square of a frame that the mesh looks at.
fn region_of_interest(face: &Detection) -> RotatedBox {
    let bounds = face.bounding_box;
    let side = bounds.width.max(bounds.height) * ROI_SCALE;
    RotatedBox {
        centre: [
            bounds.x + bounds.width / 2.0,
            bounds.y + bounds.height / 2.0,
        ],
        width: side,
        height: side,
        roll: face.roll(),
    }
}

/// The square about landmarks, as large as the first one is about the detector's box.
fn region_of_landmarks(face: &Landmarks, roll: f32) -> RotatedBox {
    let bounds = [0, 1].map(|axis| {
        let along = face.points.iter().map(|point| point[axis]);
        let from = along.clone().fold(f32::INFINITY, f32::min);
        [from, along.fold(f32::NEG_INFINITY, f32::max)]
    });
    let [width, height] = bounds.map(|[from, to]| to - from);
    let side = width.max(height) * ROI_SCALE;
    RotatedBox {
        centre: bounds.map(|[from, to]| f32::midpoint(from, to)),
        width: side,
        height: side,
        roll,
    }
}

/// From the network's numbers for a region to frame pixels.
fn landmarks(values: &[f32], region: &RotatedBox) -> Landmarks {
    let (points, presence) = values.split_at(MESH_VALUES - 1);
    let side = MESH_INPUT_SIDE as f32;
    let points: Vec<_> = points
        .as_chunks()
        .0
        .iter()
        .map(|[x, y, z]| {
            let [frame_x, frame_y] = region.to_frame([x / side, y / side]);
            [frame_x, frame_y, z / side * region.width]
        })
        .collect();
    Landmarks {
        points: points.try_into().expect("three numbers a point"),
        presence: 1.0 / (1.0 + (-presence[0]).exp()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::BoundingBox;

    fn detection(right_eye: [f32; 2], left_eye: [f32; 2]) -> Detection {
        Detection {
            bounding_box: BoundingBox {
                x: 10.0,
                y: 20.0,
                width: 40.0,
                height: 60.0,
            },
            score: 0.9,
            keypoints: [right_eye, left_eye, [0.0; 2], [0.0; 2], [0.0; 2], [0.0; 2]],
        }
    }

    #[test]
    fn region_is_the_long_side_half_again_turned_by_the_eyes() {
        let region = region_of_interest(&detection([20.0, 40.0], [40.0, 40.0]));
        assert_eq!((region.centre, region.roll), ([30.0, 50.0], 0.0));
        assert_eq!((region.width, region.height), (90.0, 90.0));
        let tilted = region_of_interest(&detection([20.0, 30.0], [20.0, 50.0]));
        assert_eq!(tilted.roll, std::f32::consts::FRAC_PI_2);
    }

    #[test]
    fn landmarks_go_back_into_the_frame() {
        let region = region_of_interest(&detection([20.0, 30.0], [20.0, 50.0]));
        let mut values = vec![128.0; MESH_VALUES];
        values[..3].copy_from_slice(&[256.0, 128.0, -25.6]);
        values[MESH_VALUES - 1] = 0.0;
        let landmarks = landmarks(&values, &region);
        let [x, y, z] = landmarks.points[0];
        // The right edge of a face that lies on its side points down.
        assert!((x - 30.0).abs() < 1e-4 && (y - 95.0).abs() < 1e-4 && (z + 9.0).abs() < 1e-4);
        assert_eq!(landmarks.points[1][..2], [30.0, 50.0]);
        assert_eq!(landmarks.presence, 0.5);
    }
}
