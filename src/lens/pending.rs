//! Frames of a file that wait for what the parts find in them.

use std::collections::VecDeque;

use crate::{
    part::Found,
    report::{FaceReport, FrameReport, ViolenceReport},
};

/// Frames without a report, and what the parts have found in them; all in the order of frames.
#[derive(Debug)]
pub(super) struct PendingFrames {
    /// Numbers and times of the frames.
    frames: VecDeque<(u64, f64)>,
    /// `None` without that part.
    faces: Option<VecDeque<Found<Vec<FaceReport>>>>,
    violence: Option<VecDeque<Found<ViolenceReport>>>,
}

impl PendingFrames {
    /// No frames, of a lens with or without the two parts.
    pub(super) fn new(has_faces: bool, has_violence: bool) -> Self {
        Self {
            frames: VecDeque::new(),
            faces: has_faces.then(VecDeque::new),
            violence: has_violence.then(VecDeque::new),
        }
    }

    /// Takes a frame that will be reported.
    pub(super) fn add_frame(&mut self, frame: u64, time_ms: f64) {
        self.frames.push_back((frame, time_ms));
    }

    /// Takes the faces of frames.
    pub(super) fn add_faces(&mut self, found: Vec<Found<Vec<FaceReport>>>) {
        if let Some(faces) = &mut self.faces {
            faces.extend(found);
        }
    }

    /// Takes the violence of frames.
    pub(super) fn add_violence(&mut self, found: Vec<Found<ViolenceReport>>) {
        if let Some(violence) = &mut self.violence {
            violence.extend(found);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.faces.is_some(), self.violence.is_some());
    }

    /// The reports on the frames in which both parts are done; at the end of the file those on all frames.
    pub(super) fn complete(&mut self, is_end: bool) -> Vec<FrameReport> {
        let mut reports = Vec::new();
        while let Some(&(frame, time_ms)) = self.frames.front() {
            if !is_end && (awaits(&self.faces, frame) || awaits(&self.violence, frame)) {
                break;
            }
            self.frames.pop_front();
            let faces = match &mut self.faces {
                Some(found) => take(found, frame),
                None => Some(Vec::new()),
            };
            let violence = self.violence.as_mut();
            let violence = violence.and_then(|found| take(found, frame));
            // Without its faces a frame has no report: an empty list would be made up.
            reports.extend(faces.map(|faces| FrameReport {
                frame,
                time_ms,
                faces,
                violence,
            }));
        }
        reports
    }
}

/// Whether a part may still find something in a frame: it has not come to it, nor to a later one.
fn awaits<T>(found: &Option<VecDeque<Found<T>>>, frame: u64) -> bool {
    let newest = found.as_ref().map(|found| found.back());
    newest.is_some_and(|newest| newest.is_none_or(|newest| newest.frame < frame))
}

/// What a part found in a frame; `None` if it failed there.
fn take<T>(found: &mut VecDeque<Found<T>>, frame: u64) -> Option<T> {
    let is_due = found.front().is_some_and(|first| first.frame == frame);
    let due = is_due.then(|| found.pop_front()).flatten();
    due.map(|due| due.found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violence(frame: u64) -> Found<ViolenceReport> {
        let found = ViolenceReport::WarmingUp {
            warming_up_ms: frame as f64,
            window: None,
        };
        Found { frame, found }
    }

    fn faces(frame: u64) -> Found<Vec<FaceReport>> {
        Found {
            frame,
            found: Vec::new(),
        }
    }

    fn numbers(reports: &[FrameReport]) -> Vec<(u64, bool)> {
        let number = |report: &FrameReport| (report.frame, report.violence.is_some());
        reports.iter().map(number).collect()
    }

    #[test]
    fn a_frame_waits_for_both_parts() {
        let mut pending = PendingFrames::new(true, true);
        for frame in 0..3 {
            pending.add_frame(frame, 40.0 * frame as f64);
        }
        pending.add_faces(vec![faces(0), faces(1)]);
        assert!(pending.complete(false).is_empty());
        pending.add_violence(vec![violence(0)]);
        let reports = pending.complete(false);
        assert_eq!(numbers(&reports), [(0, true)]);
        pending.add_violence(vec![violence(1), violence(2)]);
        assert_eq!(numbers(&pending.complete(false)), [(1, true)]);
        pending.add_faces(vec![faces(2)]);
        let last = pending.complete(true);
        assert_eq!((last[0].frame, last[0].time_ms), (2, 80.0));
    }

    #[test]
    fn a_frame_that_violence_failed_on_is_reported_without_it() {
        let mut pending = PendingFrames::new(true, true);
        for frame in 0..3 {
            pending.add_frame(frame, 0.0);
            pending.add_faces(vec![faces(frame)]);
        }
        pending.add_violence(vec![violence(0), violence(2)]);
        let reports = pending.complete(false);
        assert_eq!(numbers(&reports), [(0, true), (1, false), (2, true)]);
        pending.add_frame(3, 0.0);
        pending.add_faces(vec![faces(3)]);
        assert!(pending.complete(false).is_empty());
        assert_eq!(numbers(&pending.complete(true)), [(3, false)]);
    }

    #[test]
    fn a_part_that_is_not_there_is_not_waited_for() {
        let mut pending = PendingFrames::new(false, false);
        pending.add_frame(7, 1.0);
        assert_eq!(numbers(&pending.complete(false)), [(7, false)]);
        let mut pending = PendingFrames::new(true, false);
        pending.add_frame(0, 0.0);
        assert!(pending.complete(false).is_empty());
        assert!(pending.complete(true).is_empty(), "no faces are made up");
        pending.add_frame(1, 0.0);
        pending.clear();
        assert!(pending.complete(true).is_empty());
    }
}
