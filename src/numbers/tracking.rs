//! Tracking of faces from frame to frame.
//!
//! A face keeps its number while its box overlaps its predicted box, also across a short gap in which it is not
//! detected. All faces of a frame are assigned to tracks at once (Kuhn and Munkres: the assignment with the largest
//! total overlap), so that two faces that pass each other keep their numbers.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use crate::face::{BoundingBox, Detection};

/// Weight of the newest movement in the velocity; damps the jitter of the detector.
const VELOCITY_WEIGHT: f32 = 0.5;

/// Resolution of overlaps, per unit: the assignment works on integers.
const OVERLAP_STEPS: f32 = 1e6;

/// Settings of a [`Tracker`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerConfig {
    /// Smallest intersection over union, in `[0, 1]`, of a box with the predicted box of the same face.
    pub min_overlap: f32,
    /// Largest number of consecutive frames that a face may be missing and keep its number.
    pub max_gap: u32,
    /// Weight, in `[0, 1)`, of the previous box and keypoints in the reported ones; 0 reports the detections unchanged.
    pub smoothing: f32,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            min_overlap: 0.3,
            max_gap: 10,
            smoothing: 0.0,
        }
    }
}

/// Result of tracking one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrackUpdate {
    /// Number of each face, in the order of the detections; all are different.
    pub ids: Vec<u64>,
    /// Detections, smoothed by [`TrackerConfig::smoothing`].
    pub detections: Vec<Detection>,
    /// Numbers of the faces that were missing for too long; they are not used again.
    pub ended: Vec<u64>,
}

/// Tracker of faces: numbers each face and keeps the number from frame to frame.
///
/// ```
/// use affectlens::face::{BoundingBox, Detection};
/// use affectlens::tracking::{Tracker, TrackerConfig};
///
/// let face = |x| Detection {
///     bounding_box: BoundingBox { x, y: 0.0, width: 50.0, height: 50.0 },
///     score: 0.9,
///     keypoints: [[0.0; 2]; 6],
/// };
/// let mut tracker = Tracker::new(TrackerConfig::default());
/// assert_eq!(tracker.update(&[face(0.0), face(200.0)]).ids, [0, 1]);
/// assert_eq!(tracker.update(&[face(205.0), face(4.0)]).ids, [1, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct Tracker {
    config: TrackerConfig,
    tracks: Vec<Track>,
    next_id: u64,
}

#[derive(Clone, Debug)]
struct Track {
    id: u64,
    /// Last detected box.
    detected: BoundingBox,
    /// Last reported detection.
    smoothed: Detection,
    /// Movement of the centre, pixels per frame.
    velocity: [f32; 2],
    /// Frames since the last detection.
    missing: u32,
}

impl Tracker {
    /// Creates a tracker without faces; the first face gets number 0.
    pub fn new(config: TrackerConfig) -> Self {
        Self {
            config,
            tracks: Vec::new(),
            next_id: 0,
        }
    }

    /// Numbers the faces of the next frame.
    ///
    /// Call it for frames without faces too: they count towards [`TrackerConfig::max_gap`].
    pub fn update(&mut self, detections: &[Detection]) -> TrackUpdate {
        let mut update = TrackUpdate::default();
        let assigned = self.assign(detections);
        for track in &mut self.tracks {
            track.missing += 1;
        }
        for (detection, track) in detections.iter().zip(assigned) {
            let track = match track {
                Some(index) => {
                    let track = &mut self.tracks[index];
                    track.update(detection, self.config.smoothing);
                    track
                }
                None => {
                    self.tracks.push(Track::new(self.next_id, detection));
                    self.next_id += 1;
                    let last = self.tracks.len() - 1;
                    &mut self.tracks[last]
                }
            };
            update.ids.push(track.id);
            update.detections.push(track.smoothed.clone());
        }
        let max_gap = self.config.max_gap;
        self.tracks.retain(|track| {
            let stays = track.missing <= max_gap;
            if !stays {
                update.ended.push(track.id);
            }
            stays
        });
        update
    }

    /// Forgets all faces; those of the next frame get numbers that were not used yet.
    pub fn forget(&mut self) {
        self.tracks.clear();
    }

    /// Assigns detections to tracks; the result is the index of each detection's track, `None` for a new face.
    fn assign(&self, detections: &[Detection]) -> Vec<Option<usize>> {
        let predicted: Vec<_> = self.tracks.iter().map(Track::predicted).collect();
        // Square, because the assignment needs at least as many columns as rows; added rows and columns have no
        // overlap.
        let size = predicted.len().max(detections.len());
        let overlaps = Matrix::from_fn(size, size, |(row, column)| {
            let (Some(detection), Some(predicted)) = (detections.get(row), predicted.get(column))
            else {
                return 0;
            };
            let overlap = detection.bounding_box.intersection_over_union(predicted);
            if overlap >= self.config.min_overlap {
                in_steps(overlap)
            } else {
                0
            }
        });
        let (_, columns) = kuhn_munkres(&overlaps);
        let track_of_row =
            |(row, &column): (usize, &usize)| (overlaps[(row, column)] > 0).then_some(column);
        columns
            .iter()
            .enumerate()
            .map(track_of_row)
            .take(detections.len())
            .collect()
    }
}

impl Track {
    fn new(id: u64, detection: &Detection) -> Self {
        Self {
            id,
            detected: detection.bounding_box,
            smoothed: detection.clone(),
            velocity: [0.0; 2],
            missing: 0,
        }
    }

    /// Predicted box of the face in the next frame, from its last box and velocity.
    fn predicted(&self) -> BoundingBox {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gap is a small number of frames"
        )]
        let frames = (self.missing + 1) as f32;
        BoundingBox {
            x: self.detected.x + self.velocity[0] * frames,
            y: self.detected.y + self.velocity[1] * frames,
            ..self.detected
        }
    }

    /// Updates place and velocity with a detection of the face.
    fn update(&mut self, detection: &Detection, smoothing: f32) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gap is a small number of frames"
        )]
        let frames = self.missing as f32;
        let (before, now) = (centre(&self.detected), centre(&detection.bounding_box));
        for axis in 0..2 {
            let moved = (now[axis] - before[axis]) / frames;
            self.velocity[axis] += VELOCITY_WEIGHT * (moved - self.velocity[axis]);
        }
        // After a gap the old place is too old to average with.
        let smoothing = if self.missing > 1 { 0.0 } else { smoothing };
        self.smoothed = mix(detection, &self.smoothed, smoothing);
        self.detected = detection.bounding_box;
        self.missing = 0;
    }
}

/// Averages box and keypoints of two detections, `weight` for `before` and the rest for `now`, whose score is kept.
fn mix(now: &Detection, before: &Detection, weight: f32) -> Detection {
    if weight <= 0.0 {
        return now.clone();
    }
    let average = |now: f32, before: f32| now + weight * (before - now);
    let (box_now, box_before) = (&now.bounding_box, &before.bounding_box);
    let mut mixed = now.clone();
    mixed.bounding_box = BoundingBox {
        x: average(box_now.x, box_before.x),
        y: average(box_now.y, box_before.y),
        width: average(box_now.width, box_before.width),
        height: average(box_now.height, box_before.height),
    };
    for (point, before) in mixed.keypoints.iter_mut().zip(&before.keypoints) {
        *point = [average(point[0], before[0]), average(point[1], before[1])];
    }
    mixed
}

fn centre(bounding_box: &BoundingBox) -> [f32; 2] {
    [
        bounding_box.x + bounding_box.width / 2.0,
        bounding_box.y + bounding_box.height / 2.0,
    ]
}

fn in_steps(overlap: f32) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an overlap is at most 1, so at most a million steps"
    )]
    let steps = (overlap * OVERLAP_STEPS) as i64;
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn face(x: f32, y: f32) -> Detection {
        let bounding_box = BoundingBox {
            x,
            y,
            width: 40.0,
            height: 40.0,
        };
        Detection {
            bounding_box,
            score: 0.9,
            keypoints: [[x, y]; 6],
        }
    }

    fn tracker(max_gap: u32) -> Tracker {
        Tracker::new(TrackerConfig {
            max_gap,
            ..TrackerConfig::default()
        })
    }

    #[test]
    fn faces_keep_their_numbers_in_any_order() {
        let mut tracker = tracker(2);
        assert_eq!(
            tracker.update(&[face(0.0, 0.0), face(100.0, 0.0)]).ids,
            [0, 1]
        );
        assert_eq!(
            tracker.update(&[face(102.0, 3.0), face(1.0, 2.0)]).ids,
            [1, 0]
        );
    }

    #[test]
    fn crossing_faces_keep_their_numbers() {
        let mut tracker = tracker(0);
        for step in 0..=20 {
            let way = 6.0 * step as f32;
            // They pass each other at a third of a face's height; the order of the detections changes too.
            let (right, left) = (face(way, 0.0), face(120.0 - way, 13.0));
            let (faces, expected) = if step % 2 == 0 {
                ([right, left], [0, 1])
            } else {
                ([left, right], [1, 0])
            };
            assert_eq!(tracker.update(&faces).ids, expected, "step {step}");
        }
    }

    #[test]
    fn largest_total_overlap_wins_over_the_greedy_choice() {
        let mut tracker = tracker(0);
        tracker.update(&[face(0.0, 0.0), face(20.0, 0.0)]);
        // The box at 12 overlaps the second most, but then the first would have to take the one at 34.
        assert_eq!(
            tracker.update(&[face(12.0, 0.0), face(34.0, 0.0)]).ids,
            [0, 1]
        );
    }

    #[test]
    fn short_gap_is_survived_and_a_longer_one_is_not() {
        let mut tracker = tracker(2);
        assert_eq!(tracker.update(&[face(0.0, 0.0)]).ids, [0]);
        assert!(tracker.update(&[]).ended.is_empty());
        assert!(tracker.update(&[]).ended.is_empty());
        assert_eq!(tracker.update(&[face(5.0, 0.0)]).ids, [0]);
        assert!(tracker.update(&[]).ended.is_empty());
        assert!(tracker.update(&[]).ended.is_empty());
        assert_eq!(tracker.update(&[]).ended, [0]);
        let update = tracker.update(&[face(5.0, 0.0)]);
        assert_eq!((update.ids, update.ended), (vec![1], vec![]));
    }

    #[test]
    fn moving_face_is_predicted_further_on_after_a_gap() {
        let mut tracker = tracker(3);
        for step in 0..8 {
            tracker.update(&[face(10.0 * step as f32, 0.0)]);
        }
        tracker.update(&[]);
        tracker.update(&[]);
        // 30 pixels from the last detection: too little overlap without the movement.
        assert_eq!(tracker.update(&[face(100.0, 0.0)]).ids, [0]);
    }

    #[test]
    fn faces_enter_and_leave() {
        let mut tracker = tracker(0);
        assert_eq!(tracker.update(&[face(0.0, 0.0)]).ids, [0]);
        assert_eq!(
            tracker.update(&[face(200.0, 0.0), face(0.0, 0.0)]).ids,
            [1, 0]
        );
        let update = tracker.update(&[face(200.0, 0.0)]);
        assert_eq!((update.ids, update.ended), (vec![1], vec![0]));
        assert_eq!(
            tracker.update(&[face(0.0, 0.0), face(200.0, 0.0)]).ids,
            [2, 1]
        );
    }

    #[test]
    fn a_face_that_was_forgotten_gets_a_new_number() {
        let mut tracker = tracker(5);
        tracker.update(&[face(0.0, 0.0), face(100.0, 0.0)]);
        tracker.forget();
        let update = tracker.update(&[face(0.0, 0.0)]);
        assert_eq!((update.ids, update.ended), (vec![2], vec![]));
    }

    #[test]
    fn places_are_smoothed_only_on_request() {
        let mut plain = tracker(5);
        plain.update(&[face(0.0, 0.0)]);
        assert_eq!(plain.update(&[face(8.0, 0.0)]).detections, [face(8.0, 0.0)]);

        let mut smoothing = Tracker::new(TrackerConfig {
            smoothing: 0.75,
            ..TrackerConfig::default()
        });
        smoothing.update(&[face(0.0, 0.0)]);
        assert_eq!(
            smoothing.update(&[face(8.0, 0.0)]).detections,
            [face(2.0, 0.0)]
        );
        assert_eq!(
            smoothing.update(&[face(8.0, 0.0)]).detections,
            [face(3.5, 0.0)]
        );
        smoothing.update(&[]);
        assert_eq!(
            smoothing.update(&[face(9.0, 0.0)]).detections,
            [face(9.0, 0.0)]
        );
    }

    #[test]
    fn boxes_that_are_not_finite_are_new_faces() {
        let mut tracker = tracker(1);
        let broken = face(f32::NAN, f32::INFINITY);
        assert_eq!(
            tracker.update(&[broken.clone(), face(0.0, 0.0)]).ids,
            [0, 1]
        );
        assert_eq!(tracker.update(&[broken, face(0.0, 0.0)]).ids, [2, 1]);
    }

    proptest! {
        #[test]
        fn numbers_are_unique_in_a_frame_and_never_come_back(
            frames in prop::collection::vec(prop::collection::vec((0.0_f32..150.0, 0.0_f32..50.0), 0..7), 1..30),
            max_gap in 0_u32..4,
            min_overlap in 0.0_f32..0.9,
        ) {
            let mut tracker = Tracker::new(TrackerConfig { min_overlap, max_gap, smoothing: 0.0 });
            let (mut known, mut ended) = (BTreeSet::new(), BTreeSet::new());
            for places in frames {
                let faces: Vec<_> = places.into_iter().map(|(x, y)| face(x, y)).collect();
                let update = tracker.update(&faces);
                prop_assert_eq!(&update.detections, &faces);
                let ids: BTreeSet<_> = update.ids.iter().copied().collect();
                prop_assert_eq!(ids.len(), faces.len());
                prop_assert!(ids.is_disjoint(&ended));
                prop_assert!(update.ended.iter().all(|id| known.contains(id) && !ids.contains(id)));
                for id in update.ids {
                    prop_assert!(known.contains(&id) || id == known.len() as u64);
                    known.insert(id);
                }
                prop_assert!(update.ended.into_iter().all(|id| ended.insert(id)));
            }
        }
    }
}
