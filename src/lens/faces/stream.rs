//! Faces in a stream of frames: they keep their ids, and probabilities are smoothed over time.

use std::collections::{BTreeMap, VecDeque};

use super::{
    FaceClassifier, FaceControls, FaceScores, FaceWeights, SoundScores,
    action_units::ActionUnitReader,
    baseline::Baseline,
    confirmation::Confirmation,
    finder::{FaceFinder, Scope},
    following::{Following, FoundBy, LIVE_INTERVAL, Seen},
    scored_face::ScoredFace,
    track::{Row, Rows, Track},
};
use crate::{
    device::OpenedDevice,
    error::LensError,
    face::{Detection, Landmarks},
    frame::Frame,
    label::{ActionUnit, Expression},
    part::Found,
    personal::{Lessons, PersonalError, PersonalFit, PersonalHead, SeenFace},
    report::{ExpressionReport, ExpressionSource, FaceReport, Sources, ValenceArousalOrigin},
    smoothing::SmoothingMode,
    task::{Task, Tasks},
    tracking::{Tracker, TrackerConfig},
};

/// Analyses the faces in one stream of frames.
///
/// A webcam takes the faces of each frame at once ([`Self::analyze`], the window trails behind the frame); a file takes
/// the published centred windows, half the widest one later ([`Self::push`], [`Self::finish`]). The caller numbers the
/// frames, in ascending order; [`Lens`](crate::lens::Lens) does.
///
/// Where a face mesh is loaded, a face is reported once the mesh has seen one there, and looked at again about once a
/// second; without one every detection is reported.
#[derive(Debug)]
pub struct FaceLens {
    tasks: Tasks,
    finder: FaceFinder,
    controls: FaceControls,
    following: Following,
    tracker: Tracker,
    confirmation: Confirmation,
    /// By the number of the face.
    tracks: BTreeMap<u64, Track>,
    pending: VecDeque<PendingFrame>,
    /// Whether the faces look neutral, so that their baselines are gathered.
    is_neutral: bool,
    /// What sound gives at the time of the next frame.
    sound: Option<SoundScores>,
    /// The faces of the newest frame, for a personal head.
    seen: Vec<SeenFace>,
    lessons: Lessons,
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
        weights: FaceWeights,
        tasks: Tasks,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        let finder = FaceFinder::load(weights, tasks, device).await?;
        let config = TrackerConfig::default();
        Ok(Self {
            tasks,
            controls: finder.classifier.default_controls(),
            finder,
            following: Following::default(),
            tracker: Tracker::new(config),
            confirmation: Confirmation::new(config.max_gap),
            tracks: BTreeMap::new(),
            pending: VecDeque::new(),
            is_neutral: false,
            sound: None,
            seen: Vec::new(),
            lessons: Lessons::default(),
        })
    }

    /// The classifier behind the stream.
    pub fn classifier(&self) -> &FaceClassifier {
        &self.finder.classifier
    }

    /// Action units of a report, in order; none if they were not asked for.
    pub fn action_units(&self) -> &[ActionUnit] {
        self.finder.action_units.units()
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
        let threshold = controls.detector_threshold;
        if threshold != self.controls.detector_threshold {
            self.finder.search.set_threshold(threshold);
        }
        self.controls = controls;
        self.replay()
    }

    /// Tells what sound gives at the time of the next frame; it is averaged with what each of its faces shows.
    pub fn hear(&mut self, sound: Option<SoundScores>) {
        self.sound = sound;
    }

    /// Takes what each face shows in the frames that follow, until [`Self::adopt_baselines`], as its neutral look.
    pub fn gather_baselines(&mut self) {
        if !self.is_neutral {
            self.tracks.values_mut().for_each(Track::begin_baseline);
        }
        self.is_neutral = true;
    }

    /// Ends what [`Self::gather_baselines`] began, and drops what was gathered.
    pub fn abandon_baselines(&mut self) {
        self.is_neutral = false;
    }

    /// Takes the neutral looks that were gathered off what is reported from now on, the whole window of the next report
    /// included. A face that was not seen meanwhile keeps the one that it had.
    ///
    /// # Errors
    ///
    /// [`LensError::Smoothing`] if a row is misshapen, which it never should be.
    pub fn adopt_baselines(&mut self) -> Result<(), LensError> {
        if !std::mem::take(&mut self.is_neutral) {
            return Ok(());
        }
        self.tracks.values_mut().for_each(Track::adopt_baseline);
        self.replay()
    }

    /// Forgets all neutral looks.
    ///
    /// # Errors
    ///
    /// As [`Self::adopt_baselines`].
    pub fn clear_baselines(&mut self) -> Result<(), LensError> {
        self.is_neutral = false;
        self.tracks.values_mut().for_each(Track::clear_baseline);
        self.replay()
    }

    /// Learns that the only face of the newest frame shows an expression, and gives the number of faces that were learnt
    /// of each; of an expression the newest [`MOST_FACES`](crate::personal::MOST_FACES) are kept.
    ///
    /// # Errors
    ///
    /// [`PersonalError`] if there is another number of faces, or no classifier knows the
    /// expression.
    pub fn learn(&mut self, label: Expression) -> Result<Vec<(Expression, usize)>, LensError> {
        self.expect_expressions()?;
        let classes = self.finder.classifier.classes();
        self.lessons.add(&self.seen, label, classes)?;
        Ok(self.lessons.counts(classes))
    }

    /// Makes a personal head of what was learnt, and puts it in force from the next frame on. Faces of two expressions are
    /// the least; it takes seconds for hundreds.
    ///
    /// # Errors
    ///
    /// [`PersonalError`] for too few faces.
    pub fn personalise(&mut self) -> Result<PersonalFit, LensError> {
        let (head, fit) = self.lessons.learn(self.finder.classifier.model())?;
        self.put_personal(Some(head))?;
        Ok(fit)
    }

    /// Puts a personal head from its file in force from the next frame on; `None` forgets the one in force, and what was
    /// learnt.
    ///
    /// # Errors
    ///
    /// [`PersonalError`] for a file that does not fit the model.
    pub fn set_personal(&mut self, file: Option<&[u8]>) -> Result<(), LensError> {
        self.expect_expressions()?;
        let model = self.finder.classifier.model();
        let head = file.map(|file| PersonalHead::read(file, model));
        let head = head.transpose()?;
        if head.is_none() {
            self.lessons.forget();
        }
        self.put_personal(head)
    }

    fn expect_expressions(&self) -> Result<(), PersonalError> {
        match self.tasks.contains(Task::Expression) {
            true => Ok(()),
            false => Err(PersonalError::NoExpressions),
        }
    }

    fn put_personal(&mut self, head: Option<PersonalHead>) -> Result<(), LensError> {
        self.finder.classifier.set_personal(head);
        // What was scored before knows nothing of the new one.
        self.tracks.values_mut().for_each(Track::forget_personal);
        self.replay()
    }

    /// Smooths all windows anew.
    fn replay(&mut self) -> Result<(), LensError> {
        let reading = Reading::new(&self.finder, self.tasks, &self.controls);
        for track in self.tracks.values_mut() {
            track.replay(&self.controls, |scores, baseline| {
                reading.rows(scores, baseline)
            })?;
        }
        Ok(())
    }

    /// Forgets faces, ids and windows: the next frame is the first of a new stream.
    pub fn reset(&mut self) {
        let config = TrackerConfig::default();
        self.begin_anew();
        self.tracker = Tracker::new(config);
        self.confirmation = Confirmation::new(config.max_gap);
    }

    /// Begins a new stream as [`Self::reset`] does, but its faces get ids that were not used yet.
    pub fn begin_anew(&mut self) {
        self.following.forget();
        self.tracker.forget();
        self.confirmation.forget();
        self.tracks.clear();
        self.pending.clear();
        self.finder.begin_anew();
        self.is_neutral = false;
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
            .take_frame(frame, number, SmoothingMode::Trailing, false)
            .await?;
        self.report_faces(pending)
    }

    /// Reports the faces of a single picture, the first of a stream of its own: with two detectors, small ones too.
    ///
    /// # Errors
    ///
    /// As [`Self::analyze`].
    pub async fn analyze_single(
        &mut self,
        picture: &Frame,
        number: u64,
    ) -> Result<Vec<FaceReport>, LensError> {
        let pending = self
            .take_frame(picture, number, SmoothingMode::Trailing, true)
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
            .take_frame(frame, number, SmoothingMode::Delayed, false)
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
        let scores = self
            .finder
            .classifier
            .score(std::slice::from_ref(crop))
            .await?;
        let row = self.finder.classifier.combine(&scores[0], &self.controls);
        self.finder.classifier.decide(&row, &self.controls)
    }

    async fn take_frame(
        &mut self,
        frame: &Frame,
        number: u64,
        mode: SmoothingMode,
        is_single: bool,
    ) -> Result<PendingFrame, LensError> {
        let sound = self.sound.take();
        let scope = Scope {
            is_single,
            turned: self.controls.turned,
        };
        let interval = match mode {
            SmoothingMode::Trailing => LIVE_INTERVAL,
            // A file's frames are searched one by one, as the published systems search them.
            SmoothingMode::Delayed => 1,
        };
        let (mut faces, found_by) = match self.find(frame, scope, interval).await {
            Ok(found) => found,
            Err(error) => {
                self.skip();
                return Err(error);
            }
        };
        let detections: Vec<_> = faces.iter().map(|face| face.detection.clone()).collect();
        let tracks = self.follow(&detections);
        let tracked = tracks.iter().zip(&detections);
        let due: Vec<_> = tracked
            .map(|(track, face)| self.confirmation.is_due(number, *track, face))
            .collect();
        let FaceFinder {
            search,
            action_units,
            ..
        } = &self.finder;
        let wants_mesh = self.controls.landmarks;
        action_units
            .look(search.detector(), frame, &mut faces, &due, wants_mesh)
            .await?;
        self.following.take(frame, &faces, found_by);
        let reading = Reading::new(&self.finder, self.tasks, &self.controls);
        self.seen.clear();
        let mut pending = Vec::with_capacity(faces.len());
        for (track, mut face) in tracks.into_iter().zip(faces) {
            face.scores.sound.clone_from(&sound);
            let id = self
                .confirmation
                .settle(number, track, &face.detection, face.look);
            let Some(id) = id else { continue };
            let track = self
                .tracks
                .entry(id)
                .or_insert_with(|| Track::new(mode, &self.controls));
            if self.is_neutral {
                track.gathered().add(&face.scores, reading.action_units());
            }
            // Only of the newest frame: embeddings are long, and tracks remember many frames.
            let embedding = std::mem::take(&mut face.scores.embedding);
            self.seen.push(SeenFace {
                embedding,
                probabilities: reading.general(&face.scores, track.baseline()),
            });
            track.push(number, face.scores, |scores, baseline| {
                reading.rows(scores, baseline)
            })?;
            pending.push(PendingFace {
                id,
                detection: face.detection,
                landmarks: face.landmarks,
            });
        }
        for id in self.confirmation.lapse(number) {
            self.close(id);
        }
        self.forget_tracks(number);
        Ok(PendingFrame {
            frame: number,
            faces: pending,
        })
    }

    /// Finds and scores the faces of a frame: by the mesh where it sees those of the last one, else by the detector, which
    /// runs once in `interval` frames.
    async fn find(
        &mut self,
        frame: &Frame,
        scope: Scope,
        interval: u32,
    ) -> Result<(Vec<ScoredFace>, FoundBy), LensError> {
        let mesh = self.finder.action_units.follower(self.controls.landmarks);
        let seen = match mesh.filter(|_| !scope.is_single) {
            Some(mesh) => self.following.look(mesh, frame, interval).await?,
            None => Seen::default(),
        };
        match seen.instead_of_detector() {
            Ok(faces) => Ok((self.finder.classify(frame, faces).await?, FoundBy::Mesh)),
            Err(seen) => {
                let mut faces = self.finder.find(frame, scope).await?;
                let are_same = seen.recognise(&mut faces);
                Ok((faces, FoundBy::Detector { are_same }))
            }
        }
    }

    /// Follows what was detected in the next frame, and ends the faces that have been missing for too long.
    fn follow(&mut self, detections: &[Detection]) -> Vec<u64> {
        let update = self.tracker.update(detections);
        for track in update.ended {
            if let Some(id) = self.confirmation.end(track) {
                self.close(id);
            }
        }
        update.ids
    }

    fn close(&mut self, id: u64) {
        if let Some(track) = self.tracks.get_mut(&id) {
            track.close();
        }
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
        let track = self.tracks.get(&face.id);
        let row = |row: Row| track?.smoothed(row, frame);
        let classifier = &self.finder.classifier;
        let mut expression = row(Row::Expression)
            .map(|row| classifier.decide(&row, &self.controls))
            .transpose()?;
        let scores = track.and_then(|track| track.scores(frame));
        if let Some(expression) = &mut expression
            && expression.source == ExpressionSource::Head
            && scores.is_some_and(|scores| classifier.hears(scores, &self.controls))
        {
            expression.source = ExpressionSource::Blend;
        }
        let expression_is_personal =
            expression.is_some() && scores.is_some_and(|scores| !scores.personal.is_empty());
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
                    source: classifier.valence_arousal_source(),
                }),
                action_units: action_units
                    .as_ref()
                    .map(|row| self.finder.action_units.origin(row)),
            },
            action_units: action_units.map(|row| self.finder.action_units.strengths(&row)),
            baseline: track.is_some_and(|track| track.baseline().is_some()),
            personal: expression_is_personal,
            landmarks: face
                .landmarks
                .filter(|_| self.controls.landmarks)
                .map(|landmarks| landmarks.points.to_vec()),
        })
    }
}

/// How scores become the rows that are smoothed.
struct Reading<'a> {
    finder: &'a FaceFinder,
    tasks: Tasks,
    controls: &'a FaceControls,
}

impl<'a> Reading<'a> {
    fn new(finder: &'a FaceFinder, tasks: Tasks, controls: &'a FaceControls) -> Self {
        Self {
            finder,
            tasks,
            controls,
        }
    }

    fn action_units(&self) -> &ActionUnitReader {
        &self.finder.action_units
    }

    /// Scores without the neutral look.
    fn without(&self, scores: &FaceScores, baseline: Option<&Baseline>) -> Option<FaceScores> {
        let FaceFinder {
            classifier,
            action_units,
            ..
        } = self.finder;
        baseline.map(|it| it.remove_from(scores, classifier, action_units))
    }

    /// What the model says of expressions without sound and a personal head.
    fn general(&self, scores: &FaceScores, baseline: Option<&Baseline>) -> Vec<f32> {
        let without = self.without(scores, baseline);
        let scores = without.as_ref().unwrap_or(scores);
        self.finder.classifier.general(scores, self.controls)
    }

    fn rows(&self, scores: &FaceScores, baseline: Option<&Baseline>) -> Rows {
        let classifier = &self.finder.classifier;
        let without = self.without(scores, baseline);
        let scores = without.as_ref().unwrap_or(scores);
        Row::ALL.map(|row| match row {
            Row::Expression => self
                .tasks
                .contains(Task::Expression)
                .then(|| classifier.combine(scores, self.controls)),
            Row::ValenceArousal => self
                .tasks
                .contains(Task::ValenceArousal)
                .then(|| classifier.valence_arousal(scores, self.controls).to_vec()),
            Row::ActionUnits => {
                let is_wanted = self.tasks.contains(Task::ActionUnits);
                scores.action_units.clone().filter(|_| is_wanted)
            }
        })
    }
}
