//! A face found in a frame.

use serde::{Deserialize, Serialize};

/// An axis-aligned rectangle in frame pixels; may reach over the frame's border.
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
    /// Area in square pixels; zero for an inverted box.
    pub fn area(&self) -> f32 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    /// Intersection over union with another box, in `[0, 1]`; zero where both are empty.
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

/// One face that the detector found.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Where the face is, frame pixels.
    pub bounding_box: BoundingBox,
    /// How sure the detector is, in `[0, 1]`.
    pub score: f32,
    /// Right eye, left eye, nose tip, mouth centre, right ear, left ear (the person's right and left); frame pixels.
    pub keypoints: [[f32; 2]; 6],
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
}
