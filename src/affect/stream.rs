//! A stream of frames: faces keep their numbers, probabilities are smoothed over time.

use std::collections::{BTreeMap, VecDeque};

use super::{AffectError, ExpressionClassifier, ExpressionControls, ExpressionWeights, FaceScores};
use crate::{
    crop,
    detect::{FaceDetector, GpuFaces},
    device::OpenedDevice,
    face::Detection,
    frame::Frame,
    report::{ExpressionReport, FaceReport, FrameReport},
    smoothing::{SmoothingMode, TrackSmoother},
    tracking::{Tracker, TrackerConfig},
};

/// Analyses one stream of frames.
///
/// A webcam takes each report at once ([`Self::analyze`], the window trails behind the frame); a file takes
/// the published centred window, `half_window` frames later ([`Self::push`], [`Self::finish`]).
#[derive(Debug)]
pub struct ExpressionLens {
    detector: FaceDetector,
    classifier: ExpressionClassifier,
    controls: ExpressionControls,
    tracker: Tracker,
    tracks: BTreeMap<u64, Track>,
    pending: VecDeque<PendingFrame>,
    next_frame: u64,
    /// Faces of the frame before: so many are cropped on the GPU before it is known how many there are.
    expected_faces: usize,
}

/// Faces that are classified ahead of the detector's answer, at most.
const MOST_EXPECTED_FACES: usize = 4;

/// One face over time. The scores stay so that changed controls act on the whole window at once.
#[derive(Debug)]
struct Track {
    mode: SmoothingMode,
    scores: VecDeque<(u64, FaceScores)>,
    smoother: TrackSmoother,
}

/// A frame whose window is not complete.
#[derive(Debug)]
struct PendingFrame {
    frame: u64,
    time_ms: f64,
    faces: Vec<(u64, Detection)>,
}

impl ExpressionLens {
    /// Puts all networks on the device; on a GPU all kernels are compiled and tried.
    ///
    /// # Errors
    ///
    /// [`AffectError`] if the weights do not fit or the GPU refuses a kernel.
    pub async fn load(
        weights: &ExpressionWeights,
        device: &OpenedDevice,
    ) -> Result<Self, AffectError> {
        let detector = FaceDetector::load(&weights.detector, device).map_err(|source| {
            AffectError::Weights {
                part: "face detector",
                source,
            }
        })?;
        let classifier = ExpressionClassifier::load(weights, device)?;
        let controls = classifier.default_controls();
        let lens = Self {
            detector,
            classifier,
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
    async fn warm_up(&self, device: &OpenedDevice) -> Result<(), AffectError> {
        let blank = Frame::from_rgb(64, 48, vec![0; 64 * 48 * 3]).expect("as many bytes as pixels");
        device
            .check_kernels(async || self.find_faces(&blank).await)
            .await??;
        Ok(())
    }

    /// The classifier behind the stream.
    pub fn classifier(&self) -> &ExpressionClassifier {
        &self.classifier
    }

    /// The controls in force.
    pub fn controls(&self) -> &ExpressionControls {
        &self.controls
    }

    /// Changes the controls; they act on the next report, its whole window included.
    ///
    /// # Errors
    ///
    /// [`AffectError::Control`] for a value out of range; the old controls stay in force.
    pub fn configure(&mut self, controls: ExpressionControls) -> Result<(), AffectError> {
        self.classifier.check(&controls)?;
        for track in self.tracks.values_mut() {
            let mut smoother = TrackSmoother::new(track.mode, controls.half_window);
            for (frame, scores) in &track.scores {
                smoother.push(*frame, &self.classifier.combine(scores, &controls))?;
            }
            if track.smoother.is_closed() {
                smoother.close();
            }
            track.smoother = smoother;
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
    /// [`AffectError`]; the frame then counts as one without faces, and the stream goes on.
    pub async fn analyze(
        &mut self,
        frame: &Frame,
        time_ms: f64,
    ) -> Result<FrameReport, AffectError> {
        let pending = self
            .take_frame(frame, time_ms, SmoothingMode::Trailing)
            .await?;
        let faces = pending
            .faces
            .iter()
            .filter_map(|(id, detection)| self.report_face(pending.frame, *id, detection));
        let faces = faces.collect::<Result<_, _>>()?;
        Ok(FrameReport {
            frame: pending.frame,
            time_ms,
            faces,
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
    ) -> Result<Vec<FrameReport>, AffectError> {
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
    /// [`AffectError::Filter`] if a row is misshapen, which it never should be.
    pub fn finish(&mut self) -> Result<Vec<FrameReport>, AffectError> {
        for track in self.tracks.values_mut() {
            track.smoother.close();
        }
        let reports = self.complete();
        self.reset();
        reports
    }

    /// Reports a face that the caller has cropped; nothing is smoothed or remembered.
    ///
    /// # Errors
    ///
    /// [`AffectError`] if the device fails.
    pub async fn analyze_face(&self, crop: &Frame) -> Result<ExpressionReport, AffectError> {
        let scores = self.classifier.score(std::slice::from_ref(crop)).await?;
        let row = self.classifier.combine(&scores[0], &self.controls);
        self.classifier.decide(&row, &self.controls)
    }

    async fn take_frame(
        &mut self,
        frame: &Frame,
        time_ms: f64,
        mode: SmoothingMode,
    ) -> Result<PendingFrame, AffectError> {
        let (faces, scores) = match self.find_faces(frame).await {
            Ok(found) => found,
            Err(error) => {
                self.skip();
                return Err(error);
            }
        };
        let number = self.next_frame;
        self.next_frame += 1;
        self.expected_faces = faces.len().clamp(1, MOST_EXPECTED_FACES);
        let faces: Vec<_> = self.follow(&faces).into_iter().zip(faces).collect();
        for ((id, _), scores) in faces.iter().zip(scores) {
            self.extend_track(*id, number, scores, mode)?;
        }
        self.forget_tracks();
        Ok(PendingFrame {
            frame: number,
            time_ms,
            faces,
        })
    }

    async fn find_faces(
        &self,
        frame: &Frame,
    ) -> Result<(Vec<Detection>, Vec<FaceScores>), AffectError> {
        if let Some(found) = self.detector.find_on_gpu(frame) {
            return self.classify_on_gpu(frame, &found).await;
        }
        let mut faces = Vec::new();
        let mut crops = Vec::new();
        for detection in self.detector.detect(frame).await? {
            // A box that hangs out of the frame by all its area has nothing to show.
            if let Ok(crop) = self.classifier.crop(frame, &detection.bounding_box) {
                faces.push(detection);
                crops.push(crop);
            }
        }
        let scores = self.classifier.score(&crops).await?;
        Ok((faces, scores))
    }

    /// One read-back tells faces and scores, unless there are more faces than in the frame before.
    async fn classify_on_gpu(
        &self,
        frame: &Frame,
        found: &GpuFaces,
    ) -> Result<(Vec<Detection>, Vec<FaceScores>), AffectError> {
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
                track.smoother.close();
            }
        }
        update.ids
    }

    fn extend_track(
        &mut self,
        id: u64,
        frame: u64,
        scores: FaceScores,
        mode: SmoothingMode,
    ) -> Result<(), AffectError> {
        let half_window = self.controls.half_window;
        let row = self.classifier.combine(&scores, &self.controls);
        let track = self.tracks.entry(id).or_insert_with(|| Track {
            mode,
            scores: VecDeque::new(),
            smoother: TrackSmoother::new(mode, half_window),
        });
        track.smoother.push(frame, &row)?;
        track.scores.push_back((frame, scores));
        // The window can be widened to 1000 frames; what is older never counts again.
        while track
            .scores
            .front()
            .is_some_and(|(oldest, _)| oldest + 2001 < frame)
        {
            track.scores.pop_front();
        }
        Ok(())
    }

    // A track that has ended is kept only for the frames that wait for its rows.
    fn forget_tracks(&mut self) {
        let oldest = self
            .pending
            .front()
            .map_or(self.next_frame, |pending| pending.frame);
        self.tracks.retain(|_, track| {
            !track.smoother.is_closed() || track.smoother.last().is_some_and(|it| it >= oldest)
        });
    }

    fn complete(&mut self) -> Result<Vec<FrameReport>, AffectError> {
        let mut reports = Vec::new();
        while let Some(pending) = self.pending.front() {
            let faces = pending
                .faces
                .iter()
                .map(|(id, detection)| self.report_face(pending.frame, *id, detection));
            let Some(faces) = faces.collect::<Option<Vec<_>>>() else {
                break;
            };
            let faces = faces.into_iter().collect::<Result<_, _>>()?;
            reports.push(FrameReport {
                frame: pending.frame,
                time_ms: pending.time_ms,
                faces,
            });
            self.pending.pop_front();
        }
        Ok(reports)
    }

    /// `None` while the face's window waits for later frames.
    fn report_face(
        &self,
        frame: u64,
        id: u64,
        detection: &Detection,
    ) -> Option<Result<FaceReport, AffectError>> {
        let row = self.tracks.get(&id)?.smoother.smoothed(frame)?;
        Some(
            self.classifier
                .decide(&row, &self.controls)
                .map(|expression| FaceReport {
                    id,
                    bounding_box: detection.bounding_box,
                    score: detection.score,
                    expression,
                }),
        )
    }
}
