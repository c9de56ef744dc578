//! Frames of a file that wait for what the parts find in them.

use std::collections::VecDeque;

use crate::{
    part::Found,
    report::{AudioReport, FaceReport, FrameReport, PersonReport, ViolenceReport},
};

/// Frames without a report, and what the parts have found in them; all in the order of frames.
#[derive(Debug)]
pub(super) struct PendingFrames {
    frames: VecDeque<PendingFrame>,
    /// Nothing more will be found in the frames before this one.
    closed_before: u64,
    /// `None` without that part.
    faces: Option<VecDeque<Found<Vec<FaceReport>>>>,
    violence: Option<VecDeque<Found<ViolenceReport>>>,
}

/// A frame without a report.
#[derive(Clone, Debug)]
struct PendingFrame {
    frame: u64,
    time_ms: f64,
    restarted: bool,
    /// Known at once; `None` without that part.
    people: Option<Vec<PersonReport>>,
    audio: Option<AudioReport>,
}

impl PendingFrames {
    /// No frames, of a lens with or without the two parts.
    pub(super) fn new(has_faces: bool, has_violence: bool) -> Self {
        Self {
            frames: VecDeque::new(),
            closed_before: 0,
            faces: has_faces.then(VecDeque::new),
            violence: has_violence.then(VecDeque::new),
        }
    }

    /// Takes a frame that will be reported, with its people where they are looked for and what is heard at its time;
    /// `restarted`: as the first of a new stream.
    pub(super) fn add_frame(
        &mut self,
        frame: u64,
        time_ms: f64,
        restarted: bool,
        people: Option<Vec<PersonReport>>,
        audio: Option<AudioReport>,
    ) {
        self.frames.push_back(PendingFrame {
            frame,
            time_ms,
            restarted,
            people,
            audio,
        });
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

    /// Ends the stream of the frames before `next`: they have what was found in them so far.
    pub(super) fn close(&mut self, next: u64) {
        self.closed_before = next;
    }

    /// The reports on the frames in which both parts are done, and on those of a stream that has ended.
    pub(super) fn complete(&mut self) -> Vec<FrameReport> {
        let mut reports = Vec::new();
        while let Some(&PendingFrame { frame, .. }) = self.frames.front() {
            let is_awaited = awaits(&self.faces, frame) || awaits(&self.violence, frame);
            if is_awaited && frame >= self.closed_before {
                break;
            }
            let Some(pending) = self.frames.pop_front() else {
                break;
            };
            let faces = match &mut self.faces {
                Some(found) => take(found, frame),
                None => Some(Vec::new()),
            };
            let violence = self.violence.as_mut();
            let violence = violence.and_then(|found| take(found, frame));
            // Without its faces a frame has no report: an empty list would be made up.
            reports.extend(faces.map(|faces| FrameReport {
                frame,
                time_ms: pending.time_ms,
                restarted: pending.restarted,
                faces,
                violence,
                people: pending.people,
                audio: pending.audio,
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
            pending.add_frame(frame, 40.0 * frame as f64, false, None, None);
        }
        pending.add_faces(vec![faces(0), faces(1)]);
        assert!(pending.complete().is_empty());
        pending.add_violence(vec![violence(0)]);
        let reports = pending.complete();
        assert_eq!(numbers(&reports), [(0, true)]);
        pending.add_violence(vec![violence(1), violence(2)]);
        assert_eq!(numbers(&pending.complete()), [(1, true)]);
        pending.add_faces(vec![faces(2)]);
        pending.close(3);
        let last = pending.complete();
        assert_eq!((last[0].frame, last[0].time_ms), (2, 80.0));
    }

    #[test]
    fn a_frame_that_violence_failed_on_is_reported_without_it() {
        let mut pending = PendingFrames::new(true, true);
        for frame in 0..3 {
            pending.add_frame(frame, 0.0, false, None, None);
            pending.add_faces(vec![faces(frame)]);
        }
        pending.add_violence(vec![violence(0), violence(2)]);
        let reports = pending.complete();
        assert_eq!(numbers(&reports), [(0, true), (1, false), (2, true)]);
        pending.add_frame(3, 0.0, false, None, None);
        pending.add_faces(vec![faces(3)]);
        assert!(pending.complete().is_empty());
        pending.close(4);
        assert_eq!(numbers(&pending.complete()), [(3, false)]);
    }

    #[test]
    fn a_part_that_is_not_there_is_not_waited_for() {
        let mut pending = PendingFrames::new(false, false);
        pending.add_frame(7, 1.0, false, None, None);
        assert_eq!(numbers(&pending.complete()), [(7, false)]);
        let mut pending = PendingFrames::new(true, false);
        pending.add_frame(0, 0.0, false, None, None);
        assert!(pending.complete().is_empty());
        pending.close(1);
        assert!(pending.complete().is_empty(), "no faces are made up");
        pending.add_frame(1, 0.0, false, None, None);
        pending.clear();
        pending.close(2);
        assert!(pending.complete().is_empty());
    }

    #[test]
    fn a_stream_that_has_ended_is_reported_while_the_next_one_waits() {
        let mut pending = PendingFrames::new(true, true);
        pending.add_frame(0, 0.0, false, None, None);
        pending.add_faces(vec![faces(0)]);
        pending.close(1);
        pending.add_frame(1, 9.0, true, None, None);
        let reports = pending.complete();
        assert_eq!(numbers(&reports), [(0, false)]);
        assert!(!reports[0].restarted);
        pending.add_faces(vec![faces(1)]);
        pending.add_violence(vec![violence(1)]);
        let reports = pending.complete();
        assert_eq!(numbers(&reports), [(1, true)]);
        assert!(reports[0].restarted);
    }
}
