//! Faces in a stream of frames: they keep their ids, and probabilities are smoothed over time.

use std::collections::{BTreeMap, VecDeque};

use super::{
    FaceClassifier, FaceControls, FaceScores, FaceWeights,
    action_units::ActionUnitReader,
    track::{Row, Track},
};
use crate::{
    crop,
    detect::{FaceDetector, GpuFaces},
    device::OpenedDevice,
    error::LensError,
    face::{Detection, Landmarks},
    frame::Frame,
    label::ActionUnit,
    part::{Found, warm_up},
    report::{ExpressionReport, FaceReport, Sources, ValenceArousalOrigin},
    role::Role,
    smoothing::SmoothingMode,
    task::{Task, Tasks},
    tracking::{Tracker, TrackerConfig},
};

/// Analyses the faces in one stream of frames.
///
/// A webcam takes the faces of each frame at once ([`Self::analyze`], the window trails behind the frame); a file takes
/// the published centred windows, half the widest one later ([`Self::push`], [`Self::finish`]). The caller numbers the
/// frames, in ascending order; [`Lens`](crate::lens::Lens) does.
#[derive(Debug)]
pub struct FaceLens {
    tasks: Tasks,
    detector: FaceDetector,
    classifier: FaceClassifier,
    action_units: ActionUnitReader,
    controls: FaceControls,
    tracker: Tracker,
    tracks: BTreeMap<u64, Track>,
    pending: VecDeque<PendingFrame>,
    /// Number of faces in the frame before: as many are cropped on the GPU before it is known how many there are.
    expected_faces: usize,
}

/// Faces that are classified ahead of the detector's answer, at most.
const MOST_EXPECTED_FACES: usize = 4;

/// A face that was found in a frame, and its scores.
struct ScoredFace {
    detection: Detection,
    scores: FaceScores,
    landmarks: Option<Landmarks>,
}

/// A frame whose window is not complete.
#[derive(Debug)]
struct PendingFrame {
    frame: u64,
    faces: Vec<PendingFace>,
}

#[derive(Debug)]
struct PendingFace {
    id: u64,
    detection: Detection,
    landmarks: Option<Landmarks>,
}

impl FaceLens {
    /// Puts all networks on the device; on a GPU all kernels are compiled and tried.
    ///
    /// # Errors
    ///
    /// [`LensError`] if the weights do not fit or the GPU refuses a kernel.
    pub async fn load(
        weights: &FaceWeights,
        tasks: Tasks,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        let detector = FaceDetector::load(&weights.detector, device)
            .map_err(LensError::weights(Role::Detector))?;
        let classifier = FaceClassifier::load(&weights.classifier, device)?;
        let head = classifier.action_unit_settings();
        let action_units = ActionUnitReader::load(weights, tasks, head, device)?;
        let controls = classifier.default_controls();
        let lens = Self {
            tasks,
            detector,
            classifier,
            action_units,
            controls,
            tracker: Tracker::new(TrackerConfig::default()),
            tracks: BTreeMap::new(),
            pending: VecDeque::new(),
            expected_faces: 1,
        };
        warm_up(device, async |blank| {
            lens.action_units.warm_up(blank).await?;
            lens.score_faces(blank).await.map(|_| ())
        })
        .await?;
        Ok(lens)
    }

    /// The classifier behind the stream.
    pub fn classifier(&self) -> &FaceClassifier {
        &self.classifier
    }

    /// Action units of a report, in order; none if they were not asked for.
    pub fn action_units(&self) -> &[ActionUnit] {
        self.action_units.units()
    }

    /// The controls in force.
    pub fn controls(&self) -> &FaceControls {
        &self.controls
    }

    /// Changes the controls; they act on the next report, its whole window included.
    ///
    /// # Errors
    ///
    /// [`LensError::Control`] for a value out of range; the old controls stay in force.
    pub fn configure(&mut self, controls: FaceControls) -> Result<(), LensError> {
        controls.check()?;
        for track in self.tracks.values_mut() {
            track.replay(&controls, |row, scores| {
                rows(&self.classifier, self.tasks, &controls, row, scores)
            })?;
        }
        self.controls = controls;
        Ok(())
    }

    /// Forgets faces, ids and windows: the next frame is the first of a new stream.
    pub fn reset(&mut self) {
        self.begin_anew();
        self.tracker = Tracker::new(TrackerConfig::default());
    }

    /// Begins a new stream as [`Self::reset`] does, but its faces get ids that were not used yet.
    pub fn begin_anew(&mut self) {
        self.tracker.forget();
        self.tracks.clear();
        self.pending.clear();
    }

    /// Reports the faces of a frame at once; the window holds the frame and those before it.
    ///
    /// # Errors
    ///
    /// [`LensError`]; the frame then counts as one without faces, and the stream goes on.
    pub async fn analyze(
        &mut self,
        frame: &Frame,
        number: u64,
    ) -> Result<Vec<FaceReport>, LensError> {
        let pending = self
            .take_frame(frame, number, SmoothingMode::Trailing)
            .await?;
        self.report_faces(pending)
    }

    /// Takes a frame of a file, and reports the faces of those frames whose centred window is complete, in order.
    ///
    /// # Errors
    ///
    /// As [`Self::analyze`].
    pub async fn push(
        &mut self,
        frame: &Frame,
        number: u64,
    ) -> Result<Vec<Found<Vec<FaceReport>>>, LensError> {
        let pending = self
            .take_frame(frame, number, SmoothingMode::Delayed)
            .await?;
        self.pending.push_back(pending);
        self.complete()
    }

    /// Passes over a frame that could not be decoded; faces that come back after it keep their ids.
    pub fn skip(&mut self) {
        self.follow(&[]);
    }

    /// Ends the stream and reports what was pending; ids go on, unless it is [reset](Self::reset).
    ///
    /// # Errors
    ///
    /// [`LensError::Filter`] if a row is misshapen, which it never should be.
    pub fn finish(&mut self) -> Result<Vec<Found<Vec<FaceReport>>>, LensError> {
        for track in self.tracks.values_mut() {
            track.close();
        }
        let reports = self.complete();
        self.begin_anew();
        reports
    }

    /// Reports a face that the caller has cropped; nothing is smoothed or remembered.
    ///
    /// # Errors
    ///
    /// [`LensError`] if the device fails.
    pub async fn analyze_face(&self, crop: &Frame) -> Result<ExpressionReport, LensError> {
        let scores = self.classifier.score(std::slice::from_ref(crop)).await?;
        let row = self.classifier.combine(&scores[0], &self.controls);
        self.classifier.decide(&row, &self.controls)
    }

    async fn take_frame(
        &mut self,
        frame: &Frame,
        number: u64,
        mode: SmoothingMode,
    ) -> Result<PendingFrame, LensError> {
        let faces = match self.score_faces(frame).await {
            Ok(faces) => faces,
            Err(error) => {
                self.skip();
                return Err(error);
            }
        };
        self.expected_faces = faces.len().clamp(1, MOST_EXPECTED_FACES);
        let detections: Vec<_> = faces.iter().map(|face| face.detection.clone()).collect();
        let mut pending = Vec::with_capacity(faces.len());
        for (id, face) in self.follow(&detections).into_iter().zip(faces) {
            let track = self
                .tracks
                .entry(id)
                .or_insert_with(|| Track::new(mode, &self.controls));
            track.push(number, face.scores, |row, scores| {
                rows(&self.classifier, self.tasks, &self.controls, row, scores)
            })?;
            pending.push(PendingFace {
                id,
                detection: face.detection,
                landmarks: face.landmarks,
            });
        }
        self.forget_tracks(number);
        Ok(PendingFrame {
            frame: number,
            faces: pending,
        })
    }

    async fn score_faces(&self, frame: &Frame) -> Result<Vec<ScoredFace>, LensError> {
        let (detections, mut scores) = self.find_faces(frame).await?;
        let landmarks = self
            .action_units
            .read(frame, &detections, &mut scores, self.controls.landmarks)
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

    async fn find_faces(
        &self,
        frame: &Frame,
    ) -> Result<(Vec<Detection>, Vec<FaceScores>), LensError> {
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

    /// Gives the faces of the next frame their ids, and ends the tracks that have been missing for too long.
    fn follow(&mut self, faces: &[Detection]) -> Vec<u64> {
        let update = self.tracker.update(faces);
        for id in update.ended {
            if let Some(track) = self.tracks.get_mut(&id) {
                track.close();
            }
        }
        update.ids
    }

    /// Forgets the tracks that have ended, unless frames still wait for their rows.
    fn forget_tracks(&mut self, newest: u64) {
        let oldest = self
            .pending
            .front()
            .map_or(newest + 1, |pending| pending.frame);
        self.tracks.retain(|_, track| track.is_wanted(oldest));
    }

    fn complete(&mut self) -> Result<Vec<Found<Vec<FaceReport>>>, LensError> {
        let is_complete = |pending: &PendingFrame| {
            let mut faces = pending.faces.iter();
            faces.all(|face| {
                let track = self.tracks.get(&face.id);
                track.is_none_or(|track| track.is_complete(pending.frame))
            })
        };
        let count = self.pending.iter().take_while(|it| is_complete(it)).count();
        let complete: Vec<_> = self.pending.drain(..count).collect();
        let found = complete.into_iter().map(|pending| {
            Ok(Found {
                frame: pending.frame,
                found: self.report_faces(pending)?,
            })
        });
        found.collect()
    }

    fn report_faces(&self, pending: PendingFrame) -> Result<Vec<FaceReport>, LensError> {
        let faces = pending.faces.into_iter();
        faces
            .map(|face| self.report_face(pending.frame, face))
            .collect()
    }

    fn report_face(&self, frame: u64, face: PendingFace) -> Result<FaceReport, LensError> {
        let row = |row: Row| self.tracks.get(&face.id)?.smoothed(row, frame);
        let expression = row(Row::Expression)
            .map(|row| self.classifier.decide(&row, &self.controls))
            .transpose()?;
        let valence_arousal = row(Row::ValenceArousal);
        let action_units = row(Row::ActionUnits);
        let axis = |index: usize| Some(*valence_arousal.as_ref()?.get(index)?);
        Ok(FaceReport {
            id: face.id,
            bounding_box: face.detection.bounding_box,
            score: face.detection.score,
            expression,
            valence: axis(0),
            arousal: axis(1),
            sources: Sources {
                valence_arousal: valence_arousal.as_ref().map(|_| ValenceArousalOrigin {
                    source: self.classifier.valence_arousal_source(),
                }),
                action_units: action_units
                    .as_ref()
                    .map(|row| self.action_units.origin(row)),
            },
            action_units: action_units.map(|row| self.action_units.strengths(&row)),
            landmarks: face
                .landmarks
                .filter(|_| self.controls.landmarks)
                .map(|landmarks| landmarks.points.to_vec()),
        })
    }
}

/// The values of a face's scores that one row smooths.
fn rows(
    classifier: &FaceClassifier,
    tasks: Tasks,
    controls: &FaceControls,
    row: Row,
    scores: &FaceScores,
) -> Option<Vec<f32>> {
    match row {
        Row::Expression => tasks
            .contains(Task::Expression)
            .then(|| classifier.combine(scores, controls)),
        Row::ValenceArousal => tasks
            .contains(Task::ValenceArousal)
            .then(|| classifier.valence_arousal(scores, controls).to_vec()),
        Row::ActionUnits => {
            let is_wanted = tasks.contains(Task::ActionUnits);
            scores.action_units.clone().filter(|_| is_wanted)
        }
    }
}
