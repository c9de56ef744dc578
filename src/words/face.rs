//! Faces: boxes, detections and landmarks, in frame pixels.

use serde::{Deserialize, Serialize};

/// Axis-aligned rectangle in frame pixels; can extend beyond the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub width: f32,
    /// Height.
    pub height: f32,
}

impl BoundingBox {
    /// Area in square pixels; 0 for an inverted box.
    pub fn area(&self) -> f32 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    /// Intersection over union with another box, in `[0, 1]`; 0 if both are empty.
    pub fn intersection_over_union(&self, other: &Self) -> f32 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        let intersection = width.max(0.0) * height.max(0.0);
        let union = self.area() + other.area() - intersection;
        if union > 0.0 {
            intersection / union
        } else {
            0.0
        }
    }
}

/// Rotated rectangle in frame pixels; can extend beyond the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RotatedBox {
    /// Centre, x and y.
    pub centre: [f32; 2],
    /// Length of the upper side.
    pub width: f32,
    /// Length of the left side.
    pub height: f32,
    /// Rotation about the centre, radians, clockwise in the picture.
    pub roll: f32,
}

impl RotatedBox {
    /// Returns whether all numbers are finite and both sides are longer than 0.
    pub(crate) fn has_area(&self) -> bool {
        let [x, y] = self.centre;
        [x, y, self.width, self.height, self.roll]
            .iter()
            .all(|number| number.is_finite())
            && self.width > 0.0
            && self.height > 0.0
    }

    /// Converts a point of the rectangle to frame pixels; `[0, 0]` is its upper left corner, `[1, 1]` its lower right
    /// one.
    pub fn to_frame(&self, [u, v]: [f32; 2]) -> [f32; 2] {
        let (sine, cosine) = self.roll.sin_cos();
        let (x, y) = ((u - 0.5) * self.width, (v - 0.5) * self.height);
        [
            self.centre[0] + x * cosine - y * sine,
            self.centre[1] + x * sine + y * cosine,
        ]
    }
}

/// Face found by the detector; with another number of key points what another detector finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection<const KEYPOINTS: usize = 6> {
    /// Box around the face, frame pixels.
    pub bounding_box: BoundingBox,
    /// Confidence of the detector, in `[0, 1]`.
    pub score: f32,
    /// Right eye, left eye, nose tip, mouth centre, right ear, left ear (the person's right and left), each x and y in
    /// frame pixels.
    pub keypoints: [[f32; 2]; KEYPOINTS],
}

impl Detection {
    /// Tilt of the head in the picture, radians, clockwise: the direction from the person's right eye to the left eye.
    pub fn roll(&self) -> f32 {
        let [right, left, ..] = self.keypoints;
        direction(right, left)
    }
}

/// Landmarks of one face, found by the face mesh.
#[derive(Clone, Debug, PartialEq)]
pub struct Landmarks {
    /// x, y and z of each point in MediaPipe's order. x and y are frame pixels; z has the same scale, is about 0 at the
    /// middle of the head and decreases towards the camera.
    pub points: Box<[[f32; 3]; Self::COUNT]>,
    /// Confidence that there is a face, in `[0, 1]`.
    pub presence: f32,
}

impl Landmarks {
    /// Number of points: 468 of the skin, 5 of each iris.
    pub const COUNT: usize = 478;
    const RIGHT_EYE_OUTER_CORNER: usize = 33;
    const LEFT_EYE_OUTER_CORNER: usize = 263;

    /// Tilt of the head like [`Detection::roll`], from the outer corners of the eyes.
    pub fn roll(&self) -> f32 {
        let corner = |index: usize| {
            let [x, y, _] = self.points[index];
            [x, y]
        };
        direction(
            corner(Self::RIGHT_EYE_OUTER_CORNER),
            corner(Self::LEFT_EYE_OUTER_CORNER),
        )
    }
}

/// Angle of the line between two points, radians, clockwise from the x axis.
fn direction(from: [f32; 2], to: [f32; 2]) -> f32 {
    (to[1] - from[1]).atan2(to[0] - from[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_known_for_simple_boxes() {
        let unit = BoundingBox {
            x: 0.0,
            y: 0.0,
            width: 2.0,
            height: 2.0,
        };
        let shifted = BoundingBox { x: 1.0, ..unit };
        assert_eq!(unit.intersection_over_union(&unit), 1.0);
        assert_eq!(unit.intersection_over_union(&shifted), 2.0 / 6.0);
        assert_eq!(
            unit.intersection_over_union(&BoundingBox { x: 5.0, ..unit }),
            0.0
        );
        assert_eq!(
            BoundingBox::default().intersection_over_union(&BoundingBox::default()),
            0.0
        );
    }

    #[test]
    fn a_tilted_box_turns_about_its_centre() {
        let tilted = RotatedBox {
            centre: [10.0, 20.0],
            width: 4.0,
            height: 2.0,
            roll: std::f32::consts::FRAC_PI_2,
        };
        let near = |[x, y]: [f32; 2], [a, b]: [f32; 2]| (x - a).abs() + (y - b).abs() < 1e-5;
        assert_eq!(tilted.to_frame([0.5, 0.5]), [10.0, 20.0]);
        assert!(near(tilted.to_frame([0.0, 0.0]), [11.0, 18.0]));
        assert!(near(tilted.to_frame([1.0, 0.0]), [11.0, 22.0]));
    }

    #[test]
    fn roll_is_the_direction_of_the_eyes() {
        let face = Detection {
            bounding_box: BoundingBox::default(),
            score: 1.0,
            keypoints: [
                [1.0, 1.0],
                [3.0, 3.0],
                [0.0; 2],
                [0.0; 2],
                [0.0; 2],
                [0.0; 2],
            ],
        };
        assert_eq!(face.roll(), std::f32::consts::FRAC_PI_4);
    }
}
