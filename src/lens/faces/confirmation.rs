//! Which of the things that the detector finds are faces.
//!
//! The detector sees a face now and then in glowing letters or in clouds. The face mesh looks closer, and says whether
//! there is one. Looking at every face of every frame would cost as much as finding them, so a face is looked at when it
//! appears, and seldom after that.

use std::collections::BTreeMap;

use crate::face::{BoundingBox, Detection};

/// Frames from one look at a face to the next: about a second.
const INTERVAL: u64 = 30;

/// Faces that appeared together are looked at again in so many different frames.
const SPREAD: u64 = 10;

/// A score that has fallen by more since the last look asks for another one.
const FALL: f32 = 0.2;

/// Frames from a look to one that a fallen score or a gap asks for, at least.
const PAUSE: u64 = 5;

/// A box that overlaps the one before by less, as intersection over union, has jumped: after a cut something else may be
/// in its place.
const SAME_PLACE: f32 = 0.5;

/// Numbers what is tracked and was confirmed to be a face.
///
/// A candidate is due for a look when it appears, when its box jumps, when its score falls or it comes back after a gap,
/// and after [`INTERVAL`] frames or a few more. It is a face while the last look has shown one. One that was refused is
/// looked at again after 1, 2, 4 and so on frames, at most [`INTERVAL`]; a face that is refused and confirmed again
/// within the patience of the tracker keeps its number.
#[derive(Debug)]
pub(super) struct Confirmation {
    candidates: BTreeMap<u64, Candidate>,
    /// Frames that a face may be refused for and keep its number.
    patience: u64,
    next_face: u64,
}

/// What a track of the detector is about.
#[derive(Debug)]
struct Candidate {
    /// Number of the face, once it was confirmed.
    face: Option<u64>,
    is_confirmed: bool,
    /// Last frame in which it was found, and where.
    found: (u64, BoundingBox),
    /// Last frame in which it was confirmed.
    confirmed: u64,
    /// Frames in which it was found since the last look.
    unseen: u64,
    /// Whether it was missing since the last look.
    was_away: bool,
    /// Looks in a row that have shown no face.
    refusals: u32,
    /// Best score since the last look.
    score: f32,
}

impl Confirmation {
    /// No candidates; the first face gets number 0. `patience` is that of the tracker, frames.
    pub(super) fn new(patience: u32) -> Self {
        Self {
            candidates: BTreeMap::new(),
            patience: patience.into(),
            next_face: 0,
        }
    }

    /// Whether a detection of a track should be looked at.
    pub(super) fn is_due(&self, frame: u64, track: u64, detection: &Detection) -> bool {
        let candidate = self.candidates.get(&track);
        candidate.is_none_or(|candidate| candidate.is_due(frame, detection))
    }

    /// Takes the detection of a track and, if it was looked at, whether it shows a face; gives the number of the face,
    /// `None` where it is not confirmed.
    pub(super) fn settle(
        &mut self,
        frame: u64,
        track: u64,
        detection: &Detection,
        look: Option<bool>,
    ) -> Option<u64> {
        let candidates = self.candidates.entry(track);
        let candidate = candidates.or_insert_with(|| Candidate::new(frame, detection));
        candidate.take(frame, detection, look);
        if !candidate.is_confirmed {
            return None;
        }
        candidate.confirmed = frame;
        let face = candidate.face.unwrap_or(self.next_face);
        if candidate.face.replace(face).is_none() {
            self.next_face += 1;
        }
        Some(face)
    }

    /// Ends a track; gives the number of its face.
    pub(super) fn end(&mut self, track: u64) -> Option<u64> {
        self.candidates.remove(&track)?.face
    }

    /// Ends the faces that have been refused for too long, and gives their numbers. What is confirmed later in their
    /// place is another face.
    pub(super) fn lapse(&mut self, frame: u64) -> Vec<u64> {
        let patience = self.patience;
        let refused = self.candidates.values_mut();
        let refused = refused.filter(|it| !it.is_confirmed && it.confirmed + patience < frame);
        refused.filter_map(|it| it.face.take()).collect()
    }

    /// Forgets all candidates; faces go on being numbered.
    pub(super) fn forget(&mut self) {
        self.candidates.clear();
    }
}

impl Candidate {
    fn new(frame: u64, detection: &Detection) -> Self {
        Self {
            face: None,
            is_confirmed: false,
            found: (frame, detection.bounding_box),
            confirmed: frame,
            unseen: 0,
            was_away: false,
            refusals: 0,
            score: detection.score,
        }
    }

    fn is_due(&self, frame: u64, detection: &Detection) -> bool {
        let (last, place) = self.found;
        let overlap = place.intersection_over_union(&detection.bounding_box);
        let is_away = self.was_away || frame > last + 1;
        let is_doubtful = is_away || self.score - detection.score > FALL;
        let frames = self.unseen + 1;
        overlap < SAME_PLACE || frames >= self.interval() || is_doubtful && frames >= PAUSE
    }

    /// Frames from the last look to the next one, if nothing happens.
    fn interval(&self) -> u64 {
        match self.refusals {
            0 => INTERVAL + self.face.unwrap_or_default() % SPREAD,
            refusals => INTERVAL.min(1 << (refusals - 1).min(16)),
        }
    }

    fn take(&mut self, frame: u64, detection: &Detection, look: Option<bool>) {
        let (last, _) = self.found;
        self.found = (frame, detection.bounding_box);
        let Some(is_face) = look else {
            self.was_away |= frame > last + 1;
            self.unseen += 1;
            self.score = self.score.max(detection.score);
            return;
        };
        self.is_confirmed = is_face;
        self.refusals = if is_face {
            0
        } else {
            self.refusals.saturating_add(1)
        };
        self.unseen = 0;
        self.was_away = false;
        self.score = detection.score;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: u32 = 10;

    fn detection(x: f32, score: f32) -> Detection {
        let bounding_box = BoundingBox {
            x,
            y: 0.0,
            width: 40.0,
            height: 40.0,
        };
        Detection {
            bounding_box,
            score,
            keypoints: [[0.0; 2]; 6],
        }
    }

    /// One track, looked at whenever it is due.
    struct Film {
        confirmation: Confirmation,
        frame: u64,
        looks: Vec<u64>,
        ended: Vec<u64>,
    }

    impl Film {
        fn new() -> Self {
            Self {
                confirmation: Confirmation::new(PATIENCE),
                frame: 0,
                looks: Vec::new(),
                ended: Vec::new(),
            }
        }

        /// The number of the face in the next frame.
        fn show(&mut self, detection: &Detection, is_face: bool) -> Option<u64> {
            let frame = self.frame;
            self.frame += 1;
            let is_due = self.confirmation.is_due(frame, 7, detection);
            self.looks.extend(is_due.then_some(frame));
            let look = is_due.then_some(is_face);
            let face = self.confirmation.settle(frame, 7, detection, look);
            self.ended.extend(self.confirmation.lapse(frame));
            face
        }

        fn show_often(
            &mut self,
            frames: u64,
            detection: &Detection,
            is_face: bool,
        ) -> Vec<Option<u64>> {
            (0..frames).map(|_| self.show(detection, is_face)).collect()
        }
    }

    #[test]
    fn a_face_is_looked_at_when_it_appears_and_every_thirty_frames() {
        let mut film = Film::new();
        let faces = film.show_often(301, &detection(0.0, 0.9), true);
        assert!(faces.iter().all(|face| *face == Some(0)));
        let expected: Vec<_> = (0..=10).map(|look| look * INTERVAL).collect();
        assert_eq!(film.looks, expected);
    }

    #[test]
    fn faces_that_appear_together_are_looked_at_again_one_after_the_other() {
        let mut confirmation = Confirmation::new(PATIENCE);
        let mut looks = vec![0; 60];
        for (frame, looks) in (0..).zip(&mut looks) {
            for track in 0..20 {
                let place = detection(100.0 * track as f32, 0.9);
                let is_due = confirmation.is_due(frame, track, &place);
                *looks += u32::from(is_due);
                confirmation.settle(frame, track, &place, is_due.then_some(true));
            }
        }
        assert_eq!(looks[0], 20);
        assert_eq!(looks[30..40], [2; 10]);
        assert_eq!(looks.iter().sum::<u32>(), 40);
    }

    #[test]
    fn what_is_refused_is_never_a_face_and_looked_at_ever_more_seldom() {
        let mut film = Film::new();
        let faces = film.show_often(130, &detection(0.0, 0.9), false);
        assert!(faces.iter().all(Option::is_none));
        assert_eq!(film.looks, [0, 1, 3, 7, 15, 31, 61, 91, 121]);
        assert_eq!(
            film.show_often(60, &detection(0.0, 0.9), true).last(),
            Some(&Some(0))
        );
        assert!(film.ended.is_empty(), "no face has ended");
    }

    #[test]
    fn a_face_that_is_confirmed_a_frame_later_is_reported_from_then_on() {
        let mut film = Film::new();
        assert_eq!(film.show(&detection(0.0, 0.9), false), None);
        assert_eq!(film.show(&detection(0.0, 0.9), true), Some(0));
        assert_eq!(film.show(&detection(0.0, 0.9), true), Some(0));
        assert_eq!(film.looks, [0, 1]);
    }

    #[test]
    fn a_jump_is_looked_at_at_once_and_a_doubt_after_a_pause() {
        let mut film = Film::new();
        film.show_often(2, &detection(0.0, 0.9), true);
        film.show(&detection(20.0, 0.9), true);
        assert_eq!(film.looks, [0, 2], "the boxes share a third");
        film.show_often(8, &detection(20.0, 0.6), true);
        assert_eq!(film.looks, [0, 2, 7], "its score fell once");
        film.frame += 3;
        film.show_often(8, &detection(20.0, 0.6), true);
        assert_eq!(film.looks, [0, 2, 7, 15], "it was away");
    }

    #[test]
    fn a_face_that_is_refused_for_long_ends_and_one_for_a_moment_does_not() {
        let mut film = Film::new();
        let face = detection(0.0, 0.9);
        assert_eq!(film.show_often(30, &face, true), [Some(0); 30]);
        assert_eq!(film.show_often(2, &face, false), [None; 2]);
        assert_eq!(film.show_often(2, &face, true), [None, Some(0)]);
        assert!(film.ended.is_empty());
        film.show_often(60, &face, false);
        assert_eq!(film.ended, [0]);
        assert_eq!(film.show_often(40, &face, true).last(), Some(&Some(1)));
        assert_eq!(film.confirmation.end(7), Some(1));
        assert_eq!(film.confirmation.end(7), None);
    }

    #[test]
    fn faces_go_on_being_numbered_after_all_are_forgotten() {
        let mut film = Film::new();
        film.show(&detection(0.0, 0.9), true);
        film.confirmation.forget();
        assert_eq!(film.show(&detection(0.0, 0.9), true), Some(1));
    }
}
