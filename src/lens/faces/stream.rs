//! A stream of frames: faces keep their numbers, probabilities are smoothed over time.

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
    report::{ExpressionReport, FaceReport, FrameReport, Sources, Tasks, ValenceArousalOrigin},
    smoothing::SmoothingMode,
    tracking::{Tracker, TrackerConfig},
};

/// Analyses one stream of frames.
///
/// A webcam takes each report at once ([`Self::analyze`], the window trails behind the frame); a file takes
/// the published centred windows, half the widest one later ([`Self::push`], [`Self::finish`]).
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
    next_frame: u64,
    /// Faces of the frame before: so many are cropped on the GPU before it is known how many there are.
    expected_faces: usize,
}

/// Faces that are classified ahead of the detector's answer, at most.
const MOST_EXPECTED_FACES: usize = 4;

/// A face that was found in a frame, and what the networks say of it.
struct ScoredFace {
    detection: Detection,
    scores: FaceScores,
    landmarks: Option<Landmarks>,
}

/// A frame whose window is not complete.
#[derive(Debug)]
struct PendingFrame {
    frame: u64,
    time_ms: f64,
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
        let detector =
            FaceDetector::load(&weights.detector, device).map_err(|source| LensError::Weights {
                part: "face detector",
                source,
            })?;
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
            next_frame: 0,
            expected_faces: 1,
        };
        if device.has_gpu() {
            lens.warm_up(device).await?;
        }
        Ok(lens)
    }

    /// Compiles every kernel and sees whether the GPU takes them.
    async fn warm_up(&self, device: &OpenedDevice) -> Result<(), LensError> {
        let blank = Frame::from_rgb(64, 48, vec![0; 64 * 48 * 3]).expect("as many bytes as pixels");
        device
            .check_kernels(async || {
                self.action_units.warm_up(&blank).await?;
                self.score_faces(&blank).await
            })
            .await??;
        Ok(())
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
        self.classifier.check(&controls)?;
        for track in self.tracks.values_mut() {
            track.replay(&controls, |row, scores| {
                rows(&self.classifier, self.tasks, &controls, row, scores)
            })?;
        }
        self.controls = controls;
        Ok(())
    }

    /// Forgets faces, numbers and windows: the next frame is the first of a new stream.
    pub fn reset(&mut self) {
        self.tracker = Tracker::new(TrackerConfig::default());
        self.tracks.clear();
        self.pending.clear();
        self.next_frame = 0;
    }

    /// Reports a frame at once; its window holds the frame and those before it.
    ///
    /// # Errors
    ///
    /// [`LensError`]; the frame then counts as one without faces, and the stream goes on.
    pub async fn analyze(&mut self, frame: &Frame, time_ms: f64) -> Result<FrameReport, LensError> {
        let pending = self
            .take_frame(frame, time_ms, SmoothingMode::Trailing)
            .await?;
        let faces = pending
            .faces
            .into_iter()
            .map(|face| self.report_face(pending.frame, face));
        let faces = faces.collect::<Result<_, _>>()?;
        Ok(FrameReport {
            frame: pending.frame,
            time_ms,
            faces,
            violence: None,
        })
    }

    /// Takes a frame, and reports those whose centred window is complete, in order.
    ///
    /// # Errors
    ///
    /// As [`Self::analyze`].
    pub async fn push(
        &mut self,
        frame: &Frame,
        time_ms: f64,
    ) -> Result<Vec<FrameReport>, LensError> {
        let pending = self
            .take_frame(frame, time_ms, SmoothingMode::Delayed)
            .await?;
        self.pending.push_back(pending);
        self.complete()
    }

    /// Counts a frame that could not be decoded; faces that come back after it keep their numbers.
    pub fn skip(&mut self) {
        self.follow(&[]);
        self.next_frame += 1;
    }

    /// Ends the stream and reports what was pending.
    ///
    /// # Errors
    ///
    /// [`LensError::Filter`] if a row is misshapen, which it never should be.
    pub fn finish(&mut self) -> Result<Vec<FrameReport>, LensError> {
        for track in self.tracks.values_mut() {
            track.close();
        }
        let reports = self.complete();
        self.reset();
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
        time_ms: f64,
        mode: SmoothingMode,
    ) -> Result<PendingFrame, LensError> {
        let faces = match self.score_faces(frame).await {
            Ok(faces) => faces,
            Err(error) => {
                self.skip();
                return Err(error);
            }
        };
        let number = self.next_frame;
        self.next_frame += 1;
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
        self.forget_tracks();
        Ok(PendingFrame {
            frame: number,
            time_ms,
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

    /// One read-back tells faces and scores, unless there are more faces than in the frame before or one is tilted: the
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

    /// Numbers the faces of the next frame, and ends the tracks that have been missing for too long.
    fn follow(&mut self, faces: &[Detection]) -> Vec<u64> {
        let update = self.tracker.update(faces);
        for id in update.ended {
            if let Some(track) = self.tracks.get_mut(&id) {
                track.close();
            }
        }
        update.ids
    }

    // A track that has ended is kept only for the frames that wait for its rows.
    fn forget_tracks(&mut self) {
        let oldest = self
            .pending
            .front()
            .map_or(self.next_frame, |pending| pending.frame);
        self.tracks.retain(|_, track| track.is_wanted(oldest));
    }

    fn complete(&mut self) -> Result<Vec<FrameReport>, LensError> {
        let is_complete = |pending: &PendingFrame| {
            let mut faces = pending.faces.iter();
            faces.all(|face| {
                let track = self.tracks.get(&face.id);
                track.is_none_or(|track| track.is_complete(pending.frame))
            })
        };
        let count = self.pending.iter().take_while(|it| is_complete(it)).count();
        let complete: Vec<_> = self.pending.drain(..count).collect();
        complete
            .into_iter()
            .map(|pending| {
                let faces = pending
                    .faces
                    .into_iter()
                    .map(|face| self.report_face(pending.frame, face));
                Ok(FrameReport {
                    frame: pending.frame,
                    time_ms: pending.time_ms,
                    faces: faces.collect::<Result<_, _>>()?,
                    violence: None,
                })
            })
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

/// What is smoothed of a face's scores.
fn rows(
    classifier: &FaceClassifier,
    tasks: Tasks,
    controls: &FaceControls,
    row: Row,
    scores: &FaceScores,
) -> Option<Vec<f32>> {
    match row {
        Row::Expression => tasks
            .expression
            .then(|| classifier.combine(scores, controls)),
        Row::ValenceArousal => tasks
            .valence_arousal
            .then(|| classifier.valence_arousal(scores, controls).to_vec()),
        Row::ActionUnits => scores.action_units.clone().filter(|_| tasks.action_units),
    }
}
