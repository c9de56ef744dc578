//! Optical flow against OpenCV (tests/goldens/optical_flow.py), and what must hold for any two pictures.

use std::path::{Path, PathBuf};

use affectlens::frame::Frame;
use affectlens::optical_flow::{FlowPictures, FlowPyramid, GreyPicture, SIDE};
use affectlens::weights::Weights;
use affectlens_data::encode_flow;
use proptest::prelude::*;

/// Pixels, on average. Sums in single precision instead of double ones move vectors by less than a thousandth of it, where
/// there is any texture; the golden numbers are 16-bit floats.
const FLOW_TOLERANCE: f32 = 0.002;
/// Levels, for this share of the pixels: a level is cut off, not rounded.
const LEVELS: u8 = 2;
const SHARE: f64 = 0.99;

/// Every fourth pixel of every fourth row is in the golden files.
const KEPT: usize = 4;
const KEPT_SIDE: usize = SIDE / KEPT;

/// `lattice` of the generator script.
fn lattice(seed: usize, cell: usize, x: usize, y: usize) -> usize {
    let known = |column: usize, row: usize| {
        let mixed =
            column * column * 7919 + row * row * 104_729 + column * row * 31_337 + seed * 1_299_709;
        mixed % 65_521 % 256
    };
    let (left, top, right, down) = (x / cell, y / cell, x % cell, y % cell);
    let row = |row: usize| known(left, row) * (cell - right) + known(left + 1, row) * right;
    (row(top) * (cell - down) + row(top + 1) * down) / (cell * cell)
}

/// Colour of a place in a texture.
fn texture(seed: usize, x: usize, y: usize) -> [u8; 3] {
    [0, 1, 2].map(|c| {
        let level = (2 * lattice(seed + c, 19, x, y) + lattice(seed + c, 7, x, y)) / 3;
        u8::try_from(level).expect("a mean of levels")
    })
}

fn draw(width: usize, height: usize, colour: impl Fn(usize, usize) -> [u8; 3]) -> Frame {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixels = places.flat_map(|(x, y)| colour(x, y)).collect();
    super::detect::frame(width, height, pixels)
}

/// The ground with two figures at their left and upper sides.
fn figures(one: [usize; 2], other: [usize; 2]) -> Frame {
    draw(SIDE, SIDE, |x, y| {
        let figure = |seed: usize, [left, top]: [usize; 2]| {
            let is_there = (left..left + 70).contains(&x) && (top..top + 90).contains(&y);
            is_there.then(|| texture(seed, x - left, y - top))
        };
        figure(60, other)
            .or_else(|| figure(50, one))
            .unwrap_or_else(|| texture(10, x, y))
    })
}

fn bright_box(left: usize, top: usize) -> Frame {
    draw(SIDE, SIDE, |x, y| {
        let is_there = (left..left + 40).contains(&x) && (top..top + 60).contains(&y);
        [if is_there { 210 } else { 40 }; 3]
    })
}

/// `pairs` of the generator script.
fn pairs() -> [(&'static str, [Frame; 2]); 5] {
    let square = |colour: &dyn Fn(usize, usize) -> [u8; 3]| draw(SIDE, SIDE, colour);
    let odd = |right: usize, down: usize| draw(333, 251, |x, y| texture(40, x + right, y + down));
    [
        (
            "shift",
            [
                square(&|x, y| texture(20, x + 50, y + 50)),
                square(&|x, y| texture(20, x + 47, y + 52)),
            ],
        ),
        (
            "zoom",
            [
                square(&|x, y| texture(30, 4 * x + 20, 4 * y + 20)),
                square(&|x, y| texture(30, 4 * x - x / 12 + 20, 4 * y - y / 12 + 20)),
            ],
        ),
        (
            "figures",
            [figures([30, 60], [130, 50]), figures([35, 61], [126, 53])],
        ),
        ("flat", [bright_box(90, 80), bright_box(93, 84)]),
        ("odd", [odd(0, 8), odd(5, 0)]),
    ]
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/goldens/optical_flow/{name}"))
}

fn pyramid(frame: &Frame) -> FlowPyramid {
    FlowPyramid::new(&GreyPicture::of(frame).resized(SIDE, SIDE))
}

/// Every fourth pixel of every fourth row.
fn kept<T: Copy>(pixels: &[T]) -> Vec<T> {
    let rows = pixels.chunks_exact(SIDE).step_by(KEPT);
    rows.flat_map(|row| row.iter().copied().step_by(KEPT))
        .collect()
}

#[test]
fn flow_is_that_of_opencv() {
    let expected = Weights::read(&golden("flow.safetensors")).expect("committed");
    for (name, [before, after]) in pairs() {
        let flow = pyramid(&before).flow_to(&pyramid(&after));
        let flow = kept(flow.expect("of one size").vectors());
        let expected = expected.get(name).expect("in the file");
        assert_eq!(expected.shape, [KEPT_SIDE, KEPT_SIDE, 2]);
        let apart = flow.as_flattened().iter().zip(&expected.values);
        let apart: f32 = apart.map(|(got, expected)| (got - expected).abs()).sum();
        let mean = apart / expected.values.len() as f32;
        println!("{name}: {mean:.5} pixels apart on average");
        assert!(mean < FLOW_TOLERANCE, "{name}: {mean}");
    }
}

/// The share of pixels of a picture that are a few levels from the golden ones, at most.
fn share_of_equal(got: &Frame, expected: &[u8]) -> f64 {
    let (pixels, _) = got.pixels().as_chunks::<3>();
    let got = kept(pixels);
    let got = got.as_flattened();
    assert_eq!(got.len(), expected.len());
    let equal = got.iter().zip(expected);
    let equal = equal.filter(|(got, expected)| got.abs_diff(**expected) <= LEVELS);
    equal.count() as f64 / got.len() as f64
}

#[test]
fn pictures_and_their_files_are_those_of_opencv() {
    for (name, [before, after]) in pairs() {
        let golden = image::open(golden(&format!("{name}.png"))).expect("committed");
        let golden = golden.into_rgb8().into_raw();
        let (drawn, stored) = golden.split_at(golden.len() / 2);
        let mut pictures = FlowPictures::default();
        pictures.push(Some(&before));
        let picture = pictures.push(Some(&after));
        let file = encode_flow(&picture);
        let read = image::load_from_memory(&file)
            .expect("a JPEG file")
            .into_rgb8();
        let read = super::detect::frame(SIDE, SIDE, read.into_raw());
        for (what, got, expected) in [("picture", &picture, drawn), ("file", &read, stored)] {
            let share = share_of_equal(got, expected);
            println!("{name}: {share:.4} of the {what} within {LEVELS} levels");
            assert!(share >= SHARE, "{name}, {what}: {share}");
        }
    }
}

#[test]
fn the_first_frame_an_unreadable_one_and_flat_ones_are_black() {
    let [before, after] = pairs()[0].1.clone();
    let is_black = |picture: &Frame| picture.pixels().iter().all(|level| *level == 0);
    let mut pictures = FlowPictures::default();
    assert!(is_black(&pictures.push(None)));
    assert!(is_black(&pictures.push(Some(&before))));
    assert!(is_black(&pictures.push(None)));
    let over_the_gap = pictures.push(Some(&after));
    assert!(!is_black(&over_the_gap));
    let mut without_gap = FlowPictures::default();
    without_gap.push(Some(&before));
    assert_eq!(without_gap.push(Some(&after)), over_the_gap);
    let black = draw(64, 48, |_, _| [0; 3]);
    let mut dark = FlowPictures::default();
    dark.push(Some(&black));
    assert!(is_black(&dark.push(Some(&black))));
}

#[test]
fn pictures_of_two_sizes_are_refused() {
    let of_size = |width, height| {
        let levels = vec![9; width * height];
        FlowPyramid::new(&GreyPicture::new(width, height, levels).expect("as many levels"))
    };
    let error = of_size(40, 30).flow_to(&of_size(30, 40));
    assert_eq!(
        error.expect_err("turned").to_string(),
        "pictures are 40x30 and 30x40 pixels, expected two of one size"
    );
}

/// Levels of a texture from a place on.
fn grey(width: usize, height: usize, [left, top]: [usize; 2]) -> GreyPicture {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let levels = places.map(|(x, y)| texture(70, x + left, y + top)[1]);
    GreyPicture::new(width, height, levels.collect()).expect("as many levels")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_texture_that_is_moved_moves_by_that(right in 0_usize..9, down in 0_usize..9) {
        // Seen from further left and up, everything lies further right and down.
        let before = FlowPyramid::new(&grey(160, 130, [40, 40]));
        let after = FlowPyramid::new(&grey(160, 130, [40 - right, 40 - down]));
        let flow = before.flow_to(&after).expect("of one size");
        let expected = [right as f32, down as f32];
        let inner = flow.vectors().chunks_exact(160).skip(30).take(70).flat_map(|row| &row[30..130]);
        let apart = inner.flat_map(|vector| [vector[0] - expected[0], vector[1] - expected[1]]);
        let apart: Vec<f32> = apart.map(f32::abs).collect();
        let mean = apart.iter().sum::<f32>() / apart.len() as f32;
        prop_assert!(mean < 0.3, "{mean} pixels from {expected:?}");
    }

    #[test]
    fn pictures_of_any_size_have_finite_vectors(
        width in 1_usize..75,
        height in 1_usize..75,
        seed in 0_usize..1000,
    ) {
        let noise = |seed: usize| {
            let levels = (0..width * height).map(|place| lattice(seed, 1, place, seed) as u8);
            FlowPyramid::new(&GreyPicture::new(width, height, levels.collect()).expect("as many"))
        };
        let (one, other) = (noise(seed), noise(seed + 1));
        let flow = one.flow_to(&other).expect("of one size");
        prop_assert_eq!([flow.width(), flow.height()], [width, height]);
        prop_assert_eq!(flow.vectors().len(), width * height);
        prop_assert!(flow.vectors().iter().flatten().all(|it| it.is_finite()));
    }
}
