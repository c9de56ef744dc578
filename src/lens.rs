//! Everything at once: faces and violence of one stream of frames, one report per frame.

pub mod controls;
pub mod error;
pub mod faces;
mod files;
pub mod part;
mod pending;
pub mod violence;

pub use files::LensWeights;
use pending::PendingFrames;

use crate::{
    controls::Controls,
    device::OpenedDevice,
    error::LensError,
    faces::FaceLens,
    frame::Frame,
    report::{ExpressionReport, FrameReport},
    task::Tasks,
    violence::ViolenceLens,
};

/// Analyses one stream of frames, and numbers them.
///
/// A webcam takes each report at once ([`Self::analyze`]); a file takes them later, with centred windows and final
/// probabilities ([`Self::push`], [`Self::finish`]).
#[derive(Debug)]
pub struct Lens {
    faces: Option<FaceLens>,
    violence: Option<ViolenceLens>,
    next_frame: u64,
    /// Frames of a file that wait for their reports.
    pending: PendingFrames,
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
            next_frame: 0,
            pending: PendingFrames::new(faces.is_some(), violence.is_some()),
            faces,
            violence,
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

    /// Forgets the stream: the next frame is the first of a new one.
    pub fn reset(&mut self) {
        if let Some(faces) = &mut self.faces {
            faces.reset();
        }
        if let Some(violence) = &mut self.violence {
            violence.reset();
        }
        self.next_frame = 0;
        self.pending.clear();
    }

    /// Reports a frame at once.
    ///
    /// # Errors
    ///
    /// [`LensError`]; the stream goes on without the frame.
    pub async fn analyze(&mut self, frame: &Frame, time_ms: f64) -> Result<FrameReport, LensError> {
        let number = self.take_number();
        let faces = match &mut self.faces {
            Some(faces) => faces.analyze(frame, number).await?,
            None => Vec::new(),
        };
        let violence = match &mut self.violence {
            Some(violence) => Some(violence.analyze(frame, number, time_ms).await?),
            None => None,
        };
        Ok(FrameReport {
            frame: number,
            time_ms,
            faces,
            violence,
        })
    }

    /// Takes a frame of a file, and reports those that are complete, in order.
    ///
    /// # Errors
    ///
    /// As [`Self::analyze`]. A frame in which only violence failed is reported later, without it.
    pub async fn push(
        &mut self,
        frame: &Frame,
        time_ms: f64,
    ) -> Result<Vec<FrameReport>, LensError> {
        let number = self.take_number();
        let faces = match &mut self.faces {
            Some(faces) => faces.push(frame, number).await?,
            None => Vec::new(),
        };
        self.pending.add_frame(number, time_ms);
        self.pending.add_faces(faces);
        if let Some(violence) = &mut self.violence {
            let violence = violence.push(frame, number, time_ms).await?;
            self.pending.add_violence(violence);
        }
        Ok(self.pending.complete(false))
    }

    /// Counts a frame that could not be decoded; it has no report.
    pub fn skip(&mut self) {
        self.take_number();
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
            self.pending.add_faces(faces.finish()?);
        }
        if let Some(violence) = &mut self.violence {
            self.pending.add_violence(violence.finish()?);
        }
        let reports = self.pending.complete(true);
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

    fn take_number(&mut self) -> u64 {
        let number = self.next_frame;
        self.next_frame += 1;
        number
    }
}
