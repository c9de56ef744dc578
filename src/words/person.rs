//! People: the points of a body, in frame pixels.

use crate::face::BoundingBox;

/// A person found in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The points of the body in the order of [`KEYPOINTS`]. They can lie beyond the frame, where the network guesses.
    pub keypoints: [Keypoint; KEYPOINTS.len()],
    /// Confidence that there is a person, in `[0, 1]`.
    pub score: f32,
}

/// A point of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Keypoint {
    /// x and y in frame pixels; z in the same scale, about 0 at the middle of the hips, smaller towards the camera.
    pub place: [f32; 3],
    /// Probability that the point can be seen: that it lies in the frame and nothing covers it, in `[0, 1]`.
    pub visibility: f32,
    /// Probability that the point lies in the frame, in `[0, 1]`.
    pub presence: f32,
}

/// The points of a body in MediaPipe's order; left and right are the person's.
pub const KEYPOINTS: [&str; 33] = [
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
];

/// Pairs of [`KEYPOINTS`] between which a skeleton is drawn, as MediaPipe draws it.
#[rustfmt::skip]
pub const CONNECTIONS: [[usize; 2]; 35] = [
    // The face.
    [0, 1], [1, 2], [2, 3], [3, 7], [0, 4], [4, 5], [5, 6], [6, 8], [9, 10],
    // The trunk.
    [11, 12], [11, 23], [12, 24], [23, 24],
    // The left arm and leg.
    [11, 13], [13, 15], [15, 17], [15, 19], [15, 21], [17, 19],
    [23, 25], [25, 27], [27, 29], [27, 31], [29, 31],
    // The right ones.
    [12, 14], [14, 16], [16, 18], [16, 20], [16, 22], [18, 20],
    [24, 26], [26, 28], [28, 30], [28, 32], [30, 32],
];

impl Person {
    /// The box around all points, those that cannot be seen too: it stays steady while parts come and go.
    pub fn bounding_box(&self) -> BoundingBox {
        let bounds = [0, 1].map(|axis| {
            let along = self.keypoints.iter().map(|point| point.place[axis]);
            let from = along.clone().fold(f32::INFINITY, f32::min);
            [from, along.fold(f32::NEG_INFINITY, f32::max)]
        });
        let [[left, right], [top, bottom]] = bounds;
        BoundingBox {
            x: left,
            y: top,
            width: right - left,
            height: bottom - top,
        }
    }

    /// Mean visibility of the points, in `[0, 1]`.
    pub fn visibility(&self) -> f32 {
        let sum: f32 = self.keypoints.iter().map(|point| point.visibility).sum();
        sum / KEYPOINTS.len() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_holds_every_point() {
        let mut person = Person {
            keypoints: [Keypoint {
                place: [5.0, 6.0, 0.0],
                visibility: 0.5,
                presence: 1.0,
            }; KEYPOINTS.len()],
            score: 1.0,
        };
        person.keypoints[3].place = [-2.0, 9.0, 1.0];
        person.keypoints[3].visibility = 1.0;
        let expected = BoundingBox {
            x: -2.0,
            y: 6.0,
            width: 7.0,
            height: 3.0,
        };
        assert_eq!(person.bounding_box(), expected);
        assert!((person.visibility() - (16.0 + 1.0) / 33.0).abs() < 1e-6);
    }

    #[test]
    fn no_point_has_two_names() {
        for (index, name) in KEYPOINTS.iter().enumerate() {
            assert_eq!(
                KEYPOINTS.iter().position(|other| other == name),
                Some(index)
            );
        }
        assert_eq!((KEYPOINTS[15], KEYPOINTS[24]), ("left_wrist", "right_hip"));
    }

    #[test]
    fn both_sides_of_a_skeleton_are_connected_alike() {
        let named = CONNECTIONS.map(|ends| ends.map(|end| KEYPOINTS[end]));
        let other = |name: &str| match name.contains("left") {
            true => name.replace("left", "right"),
            false => name.replace("right", "left"),
        };
        for (index, [from, to]) in named.iter().enumerate() {
            let mirrored = [other(from), other(to)];
            let is_there = named.iter().any(|ends| {
                let ends = ends.map(str::to_owned);
                ends == mirrored || [ends[1].clone(), ends[0].clone()] == mirrored
            });
            assert!(is_there, "{from} to {to}");
            assert!(!named[..index].contains(&[*from, *to]), "{from} to {to}");
        }
    }
}
