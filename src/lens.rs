//! Everything at once: faces and violence of one stream of frames, one report a frame.

pub mod error;
pub mod faces;
pub mod violence;

use std::collections::VecDeque;

use crate::{
    device::OpenedDevice,
    error::LensError,
    faces::{FaceControls, FaceLens, FaceWeights},
    frame::Frame,
    report::{ExpressionReport, FrameReport, Tasks},
    violence::{ScoredFrame, ViolenceControls, ViolenceLens, ViolenceWeights},
};

/// Files of the parts that are wanted.
#[derive(Clone, Debug)]
pub struct LensWeights {
    /// Of faces.
    pub faces: Option<FaceWeights>,
    /// Of violence.
    pub violence: Option<ViolenceWeights>,
}

/// Analyses one stream of frames.
///
/// A webcam takes each report at once ([`Self::analyze`]); a file takes them later, with centred windows and final
/// probabilities ([`Self::push`], [`Self::finish`]).
#[derive(Debug)]
pub struct Lens {
    faces: Option<FaceLens>,
    violence: Option<ViolenceLens>,
    next_frame: u64,
    /// Reports of a file that wait for their violence.
    reports: VecDeque<FrameReport>,
    /// Violence of a file that waits for its report.
    scored: VecDeque<ScoredFrame>,
}

impl Lens {
    /// Puts the networks of the parts that are given on the device.
    ///
    /// # Errors
    ///
    /// [`LensError`] if weights do not fit or the GPU refuses a kernel.
    pub async fn load(
        weights: &LensWeights,
        tasks: Tasks,
        device: &OpenedDevice,
    ) -> Result<Self, LensError> {
        let faces = match &weights.faces {
            Some(weights) => Some(FaceLens::load(weights, tasks, device).await?),
            None => None,
        };
        let violence = match &weights.violence {
            Some(weights) => Some(ViolenceLens::load(weights, device).await?),
            None => None,
        };
        Ok(Self {
            faces,
            violence,
            next_frame: 0,
            reports: VecDeque::new(),
            scored: VecDeque::new(),
        })
    }

    /// The part that looks at faces.
    pub fn faces(&self) -> Option<&FaceLens> {
        self.faces.as_ref()
    }

    /// The part that tells violence.
    pub fn violence(&self) -> Option<&ViolenceLens> {
        self.violence.as_ref()
    }

    /// Changes the controls of faces, where there is that part.
    ///
    /// # Errors
    ///
    /// As [`FaceLens::configure`].
    pub fn configure_faces(&mut self, controls: FaceControls) -> Result<(), LensError> {
        match &mut self.faces {
            Some(faces) => faces.configure(controls),
            None => Ok(()),
        }
    }

    /// Changes the controls of violence, where there is that part.
    ///
    /// # Errors
    ///
    /// As [`ViolenceLens::configure`].
    pub fn configure_violence(&mut self, controls: ViolenceControls) -> Result<(), LensError> {
        match &mut self.violence {
            Some(violence) => violence.configure(controls),
            None => Ok(()),
        }
    }

    /// Forgets the stream: the next frame is the first of a new one.
    pub fn reset(&mut self) {
        if let Some(faces) = &mut self.faces {
            faces.reset();
        }
        if let Some(violence) = &mut self.violence {
            violence.reset();
        }
        self.next_frame = 0;
        self.reports.clear();
        self.scored.clear();
    }

    /// Reports a frame at once.
    ///
    /// # Errors
    ///
    /// [`LensError`]; the stream goes on without the frame.
    pub async fn analyze(&mut self, frame: &Frame, time_ms: f64) -> Result<FrameReport, LensError> {
        let number = self.next_frame;
        self.next_frame += 1;
        let mut report = match &mut self.faces {
            Some(faces) => faces.analyze(frame, time_ms).await?,
            None => without_faces(number, time_ms),
        };
        if let Some(violence) = &mut self.violence {
            report.violence = Some(violence.analyze(frame, number, time_ms).await?);
        }
        Ok(report)
    }

    /// Takes a frame, and reports those that are complete, in order.
    ///
    /// # Errors
    ///
    /// As [`Self::analyze`].
    pub async fn push(
        &mut self,
        frame: &Frame,
        time_ms: f64,
    ) -> Result<Vec<FrameReport>, LensError> {
        let number = self.next_frame;
        self.next_frame += 1;
        match &mut self.faces {
            Some(faces) => self.reports.extend(faces.push(frame, time_ms).await?),
            None => self.reports.push_back(without_faces(number, time_ms)),
        }
        if let Some(violence) = &mut self.violence {
            self.scored
                .extend(violence.push(frame, number, time_ms).await?);
        }
        Ok(self.complete(false))
    }

    /// Counts a frame that could not be decoded; it has no report.
    pub fn skip(&mut self) {
        self.next_frame += 1;
        if let Some(faces) = &mut self.faces {
            faces.skip();
        }
    }

    /// Ends the stream and reports what was pending.
    ///
    /// # Errors
    ///
    /// As [`FaceLens::finish`] and [`ViolenceLens::finish`].
    pub fn finish(&mut self) -> Result<Vec<FrameReport>, LensError> {
        if let Some(faces) = &mut self.faces {
            self.reports.extend(faces.finish()?);
        }
        if let Some(violence) = &mut self.violence {
            self.scored.extend(violence.finish()?);
        }
        let reports = self.complete(true);
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

    /// Joins what both parts say of a frame, by its number; a frame that violence failed on has none.
    fn complete(&mut self, is_end: bool) -> Vec<FrameReport> {
        let mut complete = Vec::new();
        while let Some(report) = self.reports.front() {
            let violence = match self.scored.front() {
                _ if self.violence.is_none() => None,
                Some((frame, _)) if *frame == report.frame => self.scored.pop_front(),
                Some(_) => None,
                None if is_end => None,
                None => break,
            };
            complete.extend(self.reports.pop_front().map(|report| FrameReport {
                violence: violence.map(|(_, violence)| violence),
                ..report
            }));
        }
        complete
    }
}

fn without_faces(frame: u64, time_ms: f64) -> FrameReport {
    FrameReport {
        frame,
        time_ms,
        faces: Vec::new(),
        violence: None,
    }
}
