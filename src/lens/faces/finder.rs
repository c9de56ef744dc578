//! The faces of one frame: detected, cropped and classified, and looked at with the mesh.

use super::{
    FaceClassifier, FaceWeights,
    action_units::ActionUnitReader,
    scored_face::{MOST_TOGETHER, ScoredFace},
};
use crate::{
    crop,
    detect::{FaceDetector, FaceSearch, GpuFaces},
    device::OpenedDevice,
    error::LensError,
    face::Detection,
    frame::Frame,
    part::warm_up,
    role::Role,
    task::{Task, Tasks},
    weights::Weights,
};

/// Finds and scores the faces of a frame.
#[derive(Debug)]
pub(super) struct FaceFinder {
    pub(super) search: FaceSearch,
    pub(super) classifier: FaceClassifier,
    pub(super) action_units: ActionUnitReader,
    /// Whether anything reads what the classifier gives.
    classifies: bool,
    /// Number of faces in the frame before: as many are cropped on the GPU before it is known how many there are.
    expected_faces: usize,
}

/// Faces that are classified ahead of the detector's answer, at most.
const MOST_EXPECTED_FACES: usize = 4;
/// What a frame is, and how far it is searched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Whether it is a single picture, which may take longer than a frame of a stream.
    pub(super) is_single: bool,
    /// Whether faces on their side and upside down are looked for too.
    pub(super) turned: bool,
}

impl Scope {
    /// A frame of a stream, its faces upright.
    const FRAME: Self = Self {
        is_single: false,
        turned: false,
    };
}

impl FaceFinder {
    /// Puts all networks on the device; on a GPU all kernels are compiled and tried.
    pub(super) async fn load(
        weights: FaceWeights,
        tasks: Tasks,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        let load = |weights: Weights, role| {
            FaceDetector::load(weights, device).map_err(LensError::weights(role))
        };
        let FaceWeights {
            detector,
            full_range_detector: far,
            classifier,
            mesh,
            blendshapes,
        } = weights;
        let detector = load(detector, Role::Detector)?;
        let far = far.map(|far| load(far, Role::FullRangeDetector));
        let classifier = FaceClassifier::load(classifier, device)?;
        let head = classifier.action_unit_settings();
        let reads_classifier = tasks.contains(Task::Expression)
            || tasks.contains(Task::ValenceArousal)
            || head.is_some();
        let action_units = ActionUnitReader::load(mesh, blendshapes, tasks, head, device)?;
        let finder = Self {
            search: FaceSearch::new(detector, far.transpose()?),
            classifier,
            action_units,
            classifies: reads_classifier,
            expected_faces: 1,
        };
        warm_up(device, async |blank| {
            finder.action_units.warm_up(blank).await?;
            finder.search.warm_up(blank).await?;
            finder.detect(blank, Scope::FRAME).await.map(|_| ())
        })
        .await?;
        Ok(finder)
    }

    /// What may be a face in the next frame, best first.
    pub(super) async fn find(
        &mut self,
        frame: &Frame,
        scope: Scope,
    ) -> Result<Vec<ScoredFace>, LensError> {
        let faces = self.detect(frame, scope).await?;
        self.expected_faces = faces.len().clamp(1, MOST_EXPECTED_FACES);
        if !scope.is_single {
            let detections = faces.iter().map(|face| &face.detection);
            self.search.follow(frame, detections);
        }
        Ok(faces)
    }

    /// Begins a new stream.
    pub(super) fn begin_anew(&mut self) {
        self.search.begin_anew();
    }

    async fn detect(&self, frame: &Frame, scope: Scope) -> Result<Vec<ScoredFace>, LensError> {
        let detector = self.search.detector();
        let looks_closer = scope.is_single && self.search.looks_closer();
        let found = if looks_closer {
            self.search.search(frame, scope.turned).await?
        } else if scope.turned {
            self.search.search_turned(frame).await?
        } else {
            let on_gpu = self.classifies.then(|| detector.find_on_gpu(frame));
            if let Some(found) = on_gpu.flatten() {
                return self.classify_on_gpu(frame, &found).await;
            }
            detector.detect(frame).await?
        };
        let found = found.into_iter().map(ScoredFace::new).collect();
        self.classify(frame, found).await
    }

    /// Scores faces; one that hangs out of the frame by all its area has nothing to show, and is left out.
    pub(super) async fn classify(
        &self,
        frame: &Frame,
        mut faces: Vec<ScoredFace>,
    ) -> Result<Vec<ScoredFace>, LensError> {
        if !self.classifies {
            faces.retain(|face| self.is_in(frame, &face.detection));
            return Ok(faces);
        }
        let mut crops = Vec::with_capacity(faces.len());
        faces.retain(|face| {
            let crop = self.classifier.crop(frame, &face.detection);
            crop.map(|crop| crops.push(crop)).is_ok()
        });
        let parts = crops.chunks(MOST_TOGETHER);
        for (crops, faces) in parts.zip(faces.chunks_mut(MOST_TOGETHER)) {
            let scores = self.classifier.score(crops).await?;
            for (face, scores) in faces.iter_mut().zip(scores) {
                face.scores = scores;
            }
        }
        Ok(faces)
    }

    /// One read-back gives faces and scores, unless there are more faces than in the frame before or one is tilted: the
    /// GPU crops upright boxes only.
    async fn classify_on_gpu(
        &self,
        frame: &Frame,
        found: &GpuFaces,
    ) -> Result<Vec<ScoredFace>, LensError> {
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
        let found = faces.into_iter().zip(scores);
        let found = found.map(|(detection, scores)| ScoredFace {
            scores,
            ..ScoredFace::new(detection)
        });
        let is_in = |face: &ScoredFace| self.is_in(frame, &face.detection);
        Ok(found.filter(is_in).collect())
    }

    /// Whether the frame shows something of a face.
    fn is_in(&self, frame: &Frame, face: &Detection) -> bool {
        crop::covers(frame, &self.classifier.region(&face.bounding_box))
    }
}
