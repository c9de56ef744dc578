//! The faces of one frame: detected, cropped and classified, with the mesh where it is wanted.

use super::{FaceClassifier, FaceScores, FaceWeights, action_units::ActionUnitReader};
use crate::{
    crop,
    detect::{FaceDetector, GpuFaces},
    device::OpenedDevice,
    error::LensError,
    face::{Detection, Landmarks},
    frame::Frame,
    part::warm_up,
    role::Role,
    task::Tasks,
};

/// Finds and scores the faces of a frame.
#[derive(Debug)]
pub(super) struct FaceFinder {
    detector: FaceDetector,
    pub(super) classifier: FaceClassifier,
    pub(super) action_units: ActionUnitReader,
    /// Number of faces in the frame before: as many are cropped on the GPU before it is known how many there are.
    expected_faces: usize,
}

/// Faces that are classified ahead of the detector's answer, at most.
const MOST_EXPECTED_FACES: usize = 4;

/// A face that was found in a frame, and its scores.
pub(super) struct ScoredFace {
    pub(super) detection: Detection,
    pub(super) scores: FaceScores,
    pub(super) landmarks: Option<Landmarks>,
}

impl FaceFinder {
    /// Puts all networks on the device; on a GPU all kernels are compiled and tried.
    pub(super) async fn load(
        weights: &FaceWeights,
        tasks: Tasks,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        let detector = FaceDetector::load(&weights.detector, device)
            .map_err(LensError::weights(Role::Detector))?;
        let classifier = FaceClassifier::load(&weights.classifier, device)?;
        let head = classifier.action_unit_settings();
        let action_units = ActionUnitReader::load(weights, tasks, head, device)?;
        let finder = Self {
            detector,
            classifier,
            action_units,
            expected_faces: 1,
        };
        warm_up(device, async |blank| {
            finder.action_units.warm_up(blank).await?;
            finder.score(blank, false).await.map(|_| ())
        })
        .await?;
        Ok(finder)
    }

    /// The faces of the next frame, best first; with their mesh if it is wanted or a task needs it.
    pub(super) async fn find(
        &mut self,
        frame: &Frame,
        wants_mesh: bool,
    ) -> Result<Vec<ScoredFace>, LensError> {
        let faces = self.score(frame, wants_mesh).await?;
        self.expected_faces = faces.len().clamp(1, MOST_EXPECTED_FACES);
        Ok(faces)
    }

    async fn score(&self, frame: &Frame, wants_mesh: bool) -> Result<Vec<ScoredFace>, LensError> {
        let (detections, mut scores) = self.detect(frame).await?;
        let landmarks = self
            .action_units
            .read(frame, &detections, &mut scores, wants_mesh)
            .await?;
        let faces = detections.into_iter().zip(scores).zip(landmarks);
        Ok(faces
            .map(|((detection, scores), landmarks)| ScoredFace {
                detection,
                scores,
                landmarks,
            })
            .collect())
    }

    async fn detect(&self, frame: &Frame) -> Result<(Vec<Detection>, Vec<FaceScores>), LensError> {
        if let Some(found) = self.detector.find_on_gpu(frame) {
            return self.classify_on_gpu(frame, &found).await;
        }
        let mut faces = Vec::new();
        let mut crops = Vec::new();
        for detection in self.detector.detect(frame).await? {
            // A box that hangs out of the frame by all its area has nothing to show.
            if let Ok(crop) = self.classifier.crop(frame, &detection) {
                faces.push(detection);
                crops.push(crop);
            }
        }
        let scores = self.classifier.score(&crops).await?;
        Ok((faces, scores))
    }

    /// One read-back gives faces and scores, unless there are more faces than in the frame before or one is tilted: the
    /// GPU crops upright boxes only.
    async fn classify_on_gpu(
        &self,
        frame: &Frame,
        found: &GpuFaces,
    ) -> Result<(Vec<Detection>, Vec<FaceScores>), LensError> {
        let expected = self.expected_faces;
        let first_scores = self.classifier.forward_found(found, 0, expected);
        let read = self
            .classifier
            .read(vec![found.values(), first_scores])
            .await?;
        let faces = found.decode(&read[0])?;
        let mut scores = self.classifier.scores(&read[1])?;
        if faces.len() > expected {
            let others = faces.len() - expected;
            let logits = self.classifier.forward_found(found, expected, others);
            let read = self.classifier.read(vec![logits]).await?;
            scores.extend(self.classifier.scores(&read[0])?);
        }
        let mut tilted = Vec::new();
        for (place, face) in faces.iter().enumerate() {
            if face.roll().abs() > crop::ALIGNED_ROLL
                && let Ok(crop) = self.classifier.crop(frame, face)
            {
                tilted.push((place, crop));
            }
        }
        let (places, crops): (Vec<usize>, Vec<Frame>) = tilted.into_iter().unzip();
        for (place, upright) in places.into_iter().zip(self.classifier.score(&crops).await?) {
            scores[place] = upright;
        }
        let region = |face: &Detection| self.classifier.region(&face.bounding_box);
        Ok(faces
            .into_iter()
            .zip(scores)
            .filter(|(face, _)| crop::covers(frame, &region(face)))
            .unzip())
    }
}
