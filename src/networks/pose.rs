//! People and the points of their bodies with MediaPipe's BlazePose.
//!
//! A detector finds where bodies lie, and a second network looks at each of them in a square of its own, as MediaPipe's
//! pose landmarker does. In a stream that square follows from the points in the frame before: the detector looks only while
//! fewer people are followed than are wanted.

mod detector;
mod landmarks;
mod refinement;
mod region;
mod warp;

use thiserror::Error;

pub(crate) use affectlens_formats::architecture::blazepose::{
    detector::{ANCHORS, BOX_VALUES, INPUT_SIDE as DETECTOR_SIDE},
    landmarks::{HEATMAP_SIDE, INPUT_SIDE as LANDMARKS_SIDE, POINT_VALUES, POINTS},
};
pub use detector::{DETECTOR_ARCHITECTURE, PoseDetector, plan as detector_plan};
pub use landmarks::{
    Look, PoseLandmarks, PoseVersion, VALUES as LANDMARK_VALUES, plan as landmarks_plan,
};

use crate::device::DeviceError;
use crate::face::RotatedBox;
use crate::frame::Frame;
use crate::person::Person;

/// Score that a person must exceed, as MediaPipe asks for.
pub const MIN_SCORE: f32 = 0.5;

/// Regions that overlap more than this are taken for one person's.
const SAME_PERSON_OVERLAP: f32 = 0.5;

/// Why there are no people.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PoseError {
    /// The device did not hand out the result, or a kernel failed.
    #[error("output of the {network} cannot be read from the device: {reason}")]
    Read {
        /// The network.
        network: &'static str,
        /// What the device said.
        reason: String,
    },
    /// The device is gone.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The device handed out numbers that no picture gives.
    #[error("output of the {network} is not finite for picture {picture}")]
    NotFinite {
        /// The network.
        network: &'static str,
        /// Place in the batch, from zero.
        picture: usize,
    },
}

/// Finds people: both networks on one device.
#[derive(Debug)]
pub struct PoseLandmarker {
    detector: PoseDetector,
    landmarks: PoseLandmarks,
}

/// Where the people of a stream are looked for in its next frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Followed(Vec<RotatedBox>);

impl PoseLandmarker {
    /// Of the two networks.
    pub fn new(detector: PoseDetector, landmarks: PoseLandmarks) -> Self {
        Self {
            detector,
            landmarks,
        }
    }

    /// Runs both networks on a frame once, whatever it shows.
    ///
    /// # Errors
    ///
    /// [`PoseError`] if the device fails.
    pub(crate) async fn warm_up(&self, blank: &Frame) -> Result<(), PoseError> {
        self.detector.detect(blank).await?;
        let region = region::between([32.0, 24.0], [32.0, 8.0]);
        self.landmarks.look(blank, &[region]).await?;
        Ok(())
    }

    /// The people of a picture that belongs to no stream, `most` at most, best detections first.
    ///
    /// # Errors
    ///
    /// [`PoseError`] if the device fails.
    pub async fn find(&self, picture: &Frame, most: usize) -> Result<Vec<Person>, PoseError> {
        let detections = self.detector.detect(picture).await?;
        let regions = detections.iter().map(region::of_detection);
        let regions: Vec<_> = regions.take(most).collect();
        let people = self.people(picture, &regions).await?;
        Ok(people.into_iter().map(|look| look.person).collect())
    }

    /// The people of a stream's next frame, `most` at most: those that are followed, then new ones, best detections first.
    /// People whose regions have more than half in common are taken for one, the new ones too.
    ///
    /// # Errors
    ///
    /// [`PoseError`] if the device fails; nobody is followed any more then.
    pub async fn follow(
        &self,
        frame: &Frame,
        most: usize,
        followed: &mut Followed,
    ) -> Result<Vec<Person>, PoseError> {
        let before = std::mem::take(&mut followed.0);
        let detections = match before.len() < most {
            true => self.detector.detect(frame).await?,
            false => Vec::new(),
        };
        let mut regions = Vec::new();
        for region in before
            .into_iter()
            .chain(detections.iter().map(region::of_detection))
        {
            join(&mut regions, region);
        }
        regions.truncate(most);
        let people = self.people(frame, &regions).await?;
        followed.0 = people.iter().map(|look| look.next).collect();
        Ok(people.into_iter().map(|look| look.person).collect())
    }

    /// The people in regions of a frame.
    async fn people(&self, frame: &Frame, regions: &[RotatedBox]) -> Result<Vec<Look>, PoseError> {
        let looks = self.landmarks.look(frame, regions).await?;
        let people = looks.into_iter().flatten();
        Ok(people
            .filter(|look| look.person.score > MIN_SCORE)
            .collect())
    }
}

/// Adds a region to those of others; it takes the place of all that it overlaps, whatever their rolls.
fn join(regions: &mut Vec<RotatedBox>, region: RotatedBox) {
    let upright = region::upright(&region);
    regions.retain(|other| {
        region::upright(other).intersection_over_union(&upright) <= SAME_PERSON_OVERLAP
    });
    regions.push(region);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_takes_the_place_of_those_that_it_overlaps() {
        let square = |x: f32| RotatedBox {
            centre: [x, 0.0],
            width: 10.0,
            height: 10.0,
            roll: x,
        };
        let mut regions = Vec::new();
        for x in [0.0, 20.0, 40.0, 2.0] {
            join(&mut regions, square(x));
        }
        assert_eq!(regions, [20.0, 40.0, 2.0].map(square));
        // Seven in common of thirteen are more than half; six of fourteen are not.
        join(&mut regions, square(23.0));
        join(&mut regions, square(36.0));
        assert_eq!(regions, [40.0, 2.0, 23.0, 36.0].map(square));
    }
}
