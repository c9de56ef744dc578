//! Everything at once: faces, violence and people of one stream of frames, one report per frame.

mod clock;
pub mod controls;
pub mod error;
pub mod faces;
mod files;
mod neutral;
pub mod part;
mod pending;
pub mod people;
pub mod personal;
pub mod sound;
pub mod violence;

use clock::{Passage, StreamClock};
pub use files::LensWeights;
pub use neutral::NeutralSpan;
use neutral::Place;
use pending::PendingFrames;

use crate::{
    controls::Controls,
    device::OpenedDevice,
    error::LensError,
    faces::{FaceLens, SoundScores},
    frame::Frame,
    label::Expression,
    people::PeopleLens,
    personal::{PersonalFit, PersonalHead},
    report::{AudioReport, ExpressionReport, FrameReport, PersonReport},
    task::Tasks,
    violence::ViolenceLens,
};

/// Analyses one stream of frames, and numbers them.
///
/// A webcam takes each report at once ([`Self::analyze`]); a file takes them later, with centred windows and final
/// probabilities ([`Self::push`], [`Self::finish`]).
///
/// A new stream begins by itself where time goes back, or jumps ahead by more than a window: by more than violence's
/// window or two seconds, and by more than ten times the usual step between frames. Nothing is smoothed or averaged
/// across the jump, and the first report after it says so. Frames and faces go on being numbered, so that no number
/// stands for two of them. Frames of the same time belong to one stream.
#[derive(Debug)]
pub struct Lens {
    faces: Option<FaceLens>,
    violence: Option<ViolenceLens>,
    people: Option<PeopleLens>,
    clock: StreamClock,
    next_frame: u64,
    /// Whether the next report is the first of a stream that began by itself.
    has_restarted: bool,
    /// Frames of a file that wait for their reports.
    pending: PendingFrames,
    /// The span whose faces look neutral, until it is over.
    neutral: Option<NeutralSpan>,
    /// What is heard at the time of the next frame.
    heard: Option<AudioReport>,
}

impl Lens {
    /// Puts the networks of the parts that are given on the device. Weights go as they are taken over: a page's memory never
    /// shrinks.
    ///
    /// # Errors
    ///
    /// [`LensError`] if weights do not fit or the GPU refuses a kernel.
    pub async fn load(
        weights: LensWeights,
        tasks: Tasks,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        let faces = match weights.faces {
            Some(weights) => Some(FaceLens::load(weights, tasks, device).await?),
            None => None,
        };
        let violence = match weights.violence {
            Some(weights) => Some(ViolenceLens::load(weights, device).await?),
            None => None,
        };
        let people = match weights.people {
            Some(weights) => Some(PeopleLens::load(weights, device).await?),
            None => None,
        };
        let window_ms = violence.as_ref().map(|part| part.facts().span_ms);
        Ok(Self {
            clock: StreamClock::new(window_ms.unwrap_or_default()),
            next_frame: 0,
            has_restarted: false,
            pending: PendingFrames::new(faces.is_some(), violence.is_some()),
            neutral: None,
            heard: None,
            faces,
            violence,
            people,
        })
    }

    /// The part that looks at faces.
    pub fn faces(&self) -> Option<&FaceLens> {
        self.faces.as_ref()
    }

    /// The part that detects violence.
    pub fn violence(&self) -> Option<&ViolenceLens> {
        self.violence.as_ref()
    }

    /// The part that finds people.
    pub fn people(&self) -> Option<&PeopleLens> {
        self.people.as_ref()
    }

    /// Sets how many people are reported in a frame at most, from the next frame on; at first
    /// [`DEFAULT_MOST`](people::DEFAULT_MOST).
    pub fn look_for(&mut self, most: usize) {
        if let Some(people) = &mut self.people {
            people.set_most(most);
        }
    }

    /// The controls in force; those of a part that is not there have no effect.
    pub fn controls(&self) -> Controls {
        let faces = self.faces.as_ref().map(|faces| faces.controls().clone());
        let violence = self.violence.as_ref().map(|part| part.controls().clone());
        Controls {
            faces: faces.unwrap_or_default(),
            violence: violence.unwrap_or_default(),
        }
    }

    /// The controls for a live stream: those that the weights were tuned for, with short windows.
    pub fn live_controls(&self) -> Controls {
        let faces = self.faces.as_ref();
        let faces = faces.map(|faces| faces.classifier().default_controls().live());
        Controls {
            faces: faces.unwrap_or_default(),
            ..self.controls()
        }
    }

    /// Changes the controls.
    ///
    /// # Errors
    ///
    /// [`LensError::Control`] for a value out of range; the old controls stay in force.
    pub fn configure(&mut self, controls: Controls) -> Result<(), LensError> {
        controls.check()?;
        if let Some(violence) = &mut self.violence {
            violence.configure(controls.violence)?;
        }
        if let Some(faces) = &mut self.faces {
            faces.configure(controls.faces)?;
        }
        Ok(())
    }

    /// Takes what each face shows in a span of the stream as the person's neutral look, and takes that off what is
    /// reported after the span; see [`baseline`](crate::baseline). `None` forgets all neutral looks and ends a span that
    /// is not over.
    ///
    /// In a file the frames that still wait for their windows when the span ends are reported without the neutral look
    /// too. A face that comes back under another number has none.
    ///
    /// # Errors
    ///
    /// [`LensError::NoFaces`] if no task of faces was asked for.
    pub fn calibrate(&mut self, span: Option<NeutralSpan>) -> Result<(), LensError> {
        let faces = self.faces.as_mut().ok_or(LensError::NoFaces)?;
        match span {
            Some(_) => faces.abandon_baselines(),
            None => faces.clear_baselines()?,
        }
        self.neutral = span;
        Ok(())
    }

    /// Learns that the only face of the newest picture shows an expression, and gives the number of faces that were learnt
    /// of each.
    ///
    /// # Errors
    ///
    /// [`LensError::NoFaces`] if no task of faces was asked for, and those of [`FaceLens::learn`].
    pub fn learn(&mut self, label: Expression) -> Result<Vec<(Expression, usize)>, LensError> {
        self.faces.as_mut().ok_or(LensError::NoFaces)?.learn(label)
    }

    /// Makes a personal head of what was learnt, and puts it in force: from the next frame on it has a part in the expression
    /// of every face, so that it is for streams of one person.
    ///
    /// # Errors
    ///
    /// [`LensError::NoFaces`], and those of [`FaceLens::personalise`].
    pub fn personalise(&mut self) -> Result<PersonalFit, LensError> {
        self.faces.as_mut().ok_or(LensError::NoFaces)?.personalise()
    }

    /// Puts a personal head from its file in force; `None` forgets the one in force, and what was learnt.
    ///
    /// # Errors
    ///
    /// [`LensError::NoFaces`], and those of [`FaceLens::set_personal`].
    pub fn set_personal(&mut self, file: Option<&[u8]>) -> Result<(), LensError> {
        self.faces
            .as_mut()
            .ok_or(LensError::NoFaces)?
            .set_personal(file)
    }

    /// The personal head in force.
    pub fn personal(&self) -> Option<&PersonalHead> {
        self.faces.as_ref()?.classifier().personal()
    }

    /// Tells what is heard at the time of the next frame. Its report holds it, and where it has probabilities of expressions,
    /// they are averaged with those of each face in the frame (equation 4 of section 3.1); see
    /// [`FaceControls`](crate::faces::FaceControls) for the weight.
    pub fn hear(&mut self, heard: Option<AudioReport>) {
        self.heard = heard;
    }

    /// Forgets the stream: the next frame is the first of a new one.
    pub fn reset(&mut self) {
        if let Some(faces) = &mut self.faces {
            faces.reset();
        }
        if let Some(violence) = &mut self.violence {
            violence.reset();
        }
        if let Some(people) = &mut self.people {
            people.reset();
        }
        self.clock.reset();
        self.neutral = None;
        self.heard = None;
        self.next_frame = 0;
        self.has_restarted = false;
        self.pending.clear();
    }

    /// Reports a frame at once.
    ///
    /// # Errors
    ///
    /// [`LensError::Time`] for a time that is not finite; the stream stays as it was. Other [`LensError`]s if the device
    /// fails; the stream goes on without the frame.
    pub async fn analyze(&mut self, frame: &Frame, time_ms: f64) -> Result<FrameReport, LensError> {
        if self.clock.read(time_ms)? == Passage::Jumps {
            self.begin_anew();
        }
        self.enter_neutral_span(time_ms)?;
        let number = self.take_number();
        let audio = self.take_heard();
        let people = self.find_people(frame, false).await?;
        let faces = match &mut self.faces {
            Some(faces) => faces.analyze(frame, number).await?,
            None => Vec::new(),
        };
        let violence = match &mut self.violence {
            Some(violence) => {
                if let Some(people) = &people {
                    violence.meet(people.iter().map(people::of_report).collect());
                }
                Some(violence.analyze(frame, number, time_ms).await?)
            }
            None => None,
        };
        Ok(FrameReport {
            frame: number,
            time_ms,
            restarted: std::mem::take(&mut self.has_restarted),
            faces,
            violence,
            audio,
            people,
        })
    }

    /// Reports a picture that belongs to no stream: it is the first of a new one, and small faces are looked for where
    /// there are two detectors, which takes longer.
    ///
    /// # Errors
    ///
    /// As [`Self::analyze`]. Violence is never estimated.
    pub async fn analyze_single(&mut self, picture: &Frame) -> Result<FrameReport, LensError> {
        self.reset();
        let people = self.find_people(picture, true).await?;
        let faces = match &mut self.faces {
            Some(faces) => faces.analyze_single(picture, 0).await?,
            None => Vec::new(),
        };
        self.reset();
        Ok(FrameReport {
            frame: 0,
            time_ms: 0.0,
            restarted: false,
            faces,
            violence: None,
            people,
            audio: None,
        })
    }

    /// Takes a frame of a file, and reports those that are complete, in order; where time jumps, all those before it.
    ///
    /// # Errors
    ///
    /// As [`Self::analyze`]. A frame in which only violence failed is reported later, without it.
    pub async fn push(
        &mut self,
        frame: &Frame,
        time_ms: f64,
    ) -> Result<Vec<FrameReport>, LensError> {
        if self.clock.read(time_ms)? == Passage::Jumps {
            self.complete_stream().await?;
            self.begin_anew();
        }
        self.enter_neutral_span(time_ms)?;
        let number = self.take_number();
        let audio = self.take_heard();
        // First: if it fails, nothing that the faces have found in earlier frames is lost.
        let people = self.find_people(frame, false).await?;
        let faces = match &mut self.faces {
            Some(faces) => faces.push(frame, number).await?,
            None => Vec::new(),
        };
        let restarted = std::mem::take(&mut self.has_restarted);
        self.pending
            .add_frame(number, time_ms, restarted, people, audio);
        self.pending.add_faces(faces);
        if let Some(violence) = &mut self.violence {
            let violence = violence.push(frame, number, time_ms).await?;
            self.pending.add_violence(violence);
        }
        Ok(self.pending.complete())
    }

    /// Counts a frame that could not be decoded; it has no report.
    pub fn skip(&mut self) {
        self.take_number();
        if let Some(faces) = &mut self.faces {
            faces.skip();
        }
        if let Some(people) = &mut self.people {
            people.skip();
        }
    }

    /// Ends the stream and reports what was pending.
    ///
    /// # Errors
    ///
    /// As [`FaceLens::finish`] and [`ViolenceLens::finish`].
    pub async fn finish(&mut self) -> Result<Vec<FrameReport>, LensError> {
        self.complete_stream().await?;
        let reports = self.pending.complete();
        self.reset();
        Ok(reports)
    }

    /// Reports a face that the caller has cropped; nothing is smoothed or remembered.
    ///
    /// # Errors
    ///
    /// [`LensError::NoFaces`] if no task of faces was asked for; others if the device fails.
    pub async fn analyze_face(&self, crop: &Frame) -> Result<ExpressionReport, LensError> {
        match &self.faces {
            Some(faces) => faces.analyze_face(crop).await,
            None => Err(LensError::NoFaces),
        }
    }

    /// Completes the frames of a file that are pending; they are given out with the next ones.
    async fn complete_stream(&mut self) -> Result<(), LensError> {
        if let Some(faces) = &mut self.faces {
            faces.adopt_baselines()?;
            self.pending.add_faces(faces.finish()?);
        }
        if let Some(violence) = &mut self.violence {
            self.pending.add_violence(violence.finish().await?);
        }
        self.pending.close(self.next_frame);
        Ok(())
    }

    /// Looks whether the next frame lies in the span whose faces look neutral, or after it.
    fn enter_neutral_span(&mut self, time_ms: f64) -> Result<(), LensError> {
        let (Some(span), Some(faces)) = (&mut self.neutral, &mut self.faces) else {
            return Ok(());
        };
        match span.place(time_ms) {
            Place::Before => {}
            Place::Within => faces.gather_baselines(),
            Place::After => {
                faces.adopt_baselines()?;
                self.neutral = None;
            }
        }
        Ok(())
    }

    /// Begins a new stream; numbers go on.
    fn begin_anew(&mut self) {
        if let Some(span) = &mut self.neutral {
            span.begin_anew();
        }
        if let Some(faces) = &mut self.faces {
            faces.begin_anew();
        }
        if let Some(violence) = &mut self.violence {
            violence.reset();
        }
        if let Some(people) = &mut self.people {
            people.begin_anew();
        }
        self.has_restarted = true;
    }

    /// What is heard at the time of the frame that is being taken; the faces are told.
    fn take_heard(&mut self) -> Option<AudioReport> {
        let heard = self.heard.take();
        if let Some(faces) = &mut self.faces {
            faces.hear(heard.as_ref().and_then(SoundScores::of_report));
        }
        heard
    }

    /// The people of the stream's next frame or of a single picture, where they are looked for.
    async fn find_people(
        &mut self,
        frame: &Frame,
        is_single: bool,
    ) -> Result<Option<Vec<PersonReport>>, LensError> {
        let Some(people) = &mut self.people else {
            return Ok(None);
        };
        let found = match is_single {
            true => people.analyze_single(frame).await?,
            false => people.analyze(frame).await?,
        };
        Ok(Some(found))
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next_frame;
        self.next_frame += 1;
        number
    }
}
