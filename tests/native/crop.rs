//! Cropping and resizing against Pillow.

use affectlens::crop::{crop, crop_face, resize};
use affectlens::face::BoundingBox;
use affectlens::frame::Frame;

/// The resize keeps its coefficients in 16 bits where Pillow keeps 22: a result may fall on the other side of a
/// rounding boundary, never further.
const LEVELS: u8 = 1;

/// Share of values that may do so; 0.5 % was measured. Passes in the wrong order give 20 %.
const DIFFERING: f64 = 0.01;

/// The same beside PyTorch's floats, which are rounded once, not after each of the two passes.
const DIFFERING_FROM_FLOATS: f64 = 0.3;

/// The same pixels as `picture` in tests/goldens/crop.py.
fn picture(width: u32, height: u32) -> Frame {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                let ramp = x * (3 + c) + y * (5 - c);
                let board = (x / 7 + y / 5 + c) % 2 * 90;
                let noise = (x * 7919 + y * 104_729 + c * 1_299_709) % 61;
                pixels.push(u8::try_from((ramp + board + noise) % 256).expect("below 256"));
            }
        }
    }
    Frame::from_rgb(width, height, pixels).expect("a full picture")
}

fn golden(name: &str) -> Frame {
    let path = format!(
        "{}/tests/goldens/crop/{name}.png",
        env!("CARGO_MANIFEST_DIR")
    );
    let picture = image::open(&path).expect("golden picture").into_rgb8();
    Frame::from_rgb(picture.width(), picture.height(), picture.into_raw()).expect("a full picture")
}

#[track_caller]
fn assert_close(name: &str, got: &Frame) {
    assert_within_a_level(name, got, DIFFERING);
}

#[track_caller]
fn assert_within_a_level(name: &str, got: &Frame, most: f64) {
    let expected = golden(name);
    assert_eq!(
        (got.width(), got.height()),
        (expected.width(), expected.height()),
        "{name}"
    );
    let differing = got
        .pixels()
        .iter()
        .zip(expected.pixels())
        .filter(|(got, expected)| got != expected)
        .count();
    let worst = got
        .pixels()
        .iter()
        .zip(expected.pixels())
        .map(|(got, expected)| got.abs_diff(*expected))
        .max();
    println!(
        "{name}: {differing} of {} values differ, at most by {worst:?}",
        got.pixels().len()
    );
    let share = differing as f64 / got.pixels().len() as f64;
    assert!(share <= most, "{name}: {share} of the values differ");
    assert!(worst <= Some(LEVELS), "{name} differs by {worst:?} levels");
}

#[test]
fn resized_pictures_equal_pillow_within_one_level() {
    assert_close("shrink", &resize(&picture(301, 217), 112));
    assert_close("enlarge", &resize(&picture(23, 31), 96));
    assert_close("mixed", &resize(&picture(40, 300), 75));
    assert_close("thin", &resize(&picture(1, 9), 4));
}

#[test]
fn a_whole_frame_equals_pytorchs_antialiased_resize_within_one_level() {
    let frame = resize(&picture(320, 180), 64);
    assert_within_a_level("frame-as-tensor", &frame, DIFFERING_FROM_FLOATS);
}

#[test]
fn cropped_face_equals_pillow_within_one_level() {
    let region = BoundingBox {
        x: 211.7,
        y: 47.2,
        width: 216.9,
        height: 253.95,
    };
    assert_close(
        "shrink-crop",
        &crop_face(&picture(640, 360), &region, 64).expect("inside the frame"),
    );
}

#[test]
fn crop_then_resize_is_crop_face() {
    let frame = picture(64, 48);
    let region = BoundingBox {
        x: -3.0,
        y: 10.0,
        width: 40.0,
        height: 90.0,
    };
    let face = crop(&frame, &region).expect("partly inside");
    assert_eq!((face.width(), face.height()), (37, 38));
    assert_eq!(
        crop_face(&frame, &region, 20).expect("partly inside"),
        resize(&face, 20)
    );
}
