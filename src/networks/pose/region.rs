//! The square of a frame that shows a whole body.

use std::f32::consts::{FRAC_PI_2, PI, TAU};

use crate::face::{BoundingBox, Detection, RotatedBox};

/// Side of the square in diameters of the circle around the body.
const MARGIN: f32 = 1.25;

/// The square about a person that the detector found.
pub(super) fn of_detection<const KEYPOINTS: usize>(person: &Detection<KEYPOINTS>) -> RotatedBox {
    between(person.keypoints[0], person.keypoints[1])
}

/// The square about the middle of the hips whose upper side the second point faces: it lies on a circle around the body.
pub(super) fn between(hips: [f32; 2], above: [f32; 2]) -> RotatedBox {
    let [x, y] = [above[0] - hips[0], above[1] - hips[1]];
    let side = 2.0 * x.hypot(y) * MARGIN;
    let roll = FRAC_PI_2 - (-y).atan2(x);
    RotatedBox {
        centre: hips,
        width: side,
        height: side,
        roll: roll - TAU * ((roll + PI) / TAU).floor(),
    }
}

/// The box of the same size and place that is not turned.
pub(super) fn upright(region: &RotatedBox) -> BoundingBox {
    let RotatedBox {
        centre,
        width,
        height,
        ..
    } = *region;
    BoundingBox {
        x: centre[0] - width / 2.0,
        y: centre[1] - height / 2.0,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_stands_upright_in_its_square() {
        for (above, roll) in [
            ([10.0, 4.0], 0.0),
            ([26.0, 20.0], FRAC_PI_2),
            ([-6.0, 20.0], -FRAC_PI_2),
            ([10.0, 36.0], -PI),
        ] {
            let region = between([10.0, 20.0], above);
            assert_eq!((region.centre, region.width), ([10.0, 20.0], 40.0));
            assert!(
                (region.roll - roll).abs() < 1e-6,
                "{above:?}: {}",
                region.roll
            );
            let [x, y] = region.to_frame([0.5, 0.5 - 16.0 / 40.0]);
            assert!((x - above[0]).abs() + (y - above[1]).abs() < 1e-4);
        }
    }

    #[test]
    fn two_points_in_one_place_have_no_area() {
        assert!(!between([3.0, 3.0], [3.0, 3.0]).has_area());
        assert!(!between([f32::NAN, 3.0], [3.0, 3.0]).has_area());
    }
}
