//! Every kind of picture, made here, as it is displayed.

mod colours;
mod containers;
mod damaged;
mod orientations;
mod refusals;

use std::io::Cursor;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

/// Sides of the stored and displayed squares: what JPEG codes as one block.
const BLOCK: u32 = 16;
/// A picture of 3x2 squares that looks different in each of its eight positions.
const SQUARES: [[u8; 3]; 6] = [
    [250, 10, 10],
    [10, 250, 10],
    [10, 10, 250],
    [240, 240, 20],
    [20, 20, 20],
    [240, 240, 240],
];
/// What JPEG changes of a flat square.
const JPEG_LEVELS: u8 = 6;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary folder"))
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("temporary file");
        path
    }

    fn read(&self, name: &str, bytes: &[u8]) -> Frame {
        read_picture(&self.keep(name, bytes)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn fault(&self, name: &str, bytes: &[u8]) -> String {
        let error = read_picture(&self.keep(name, bytes)).expect_err("not to be read");
        error.to_string()
    }
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}

fn pixel(frame: &Frame, x: u32, y: u32) -> [u8; 3] {
    let at = (y * frame.width() + x) as usize * 3;
    frame.pixels()[at..at + 3].try_into().expect("three")
}

/// Where a stored square is displayed, in squares: the definition of the tag, by which side the first row and the first
/// column are.
fn place(orientation: u8, column: u32, row: u32, columns: u32, rows: u32) -> (u32, u32) {
    let (right, bottom) = (columns - 1 - column, rows - 1 - row);
    match orientation {
        1 => (column, row),
        2 => (right, row),
        3 => (right, bottom),
        4 => (column, bottom),
        5 => (row, column),
        6 => (bottom, column),
        7 => (bottom, right),
        _ => (row, right),
    }
}

/// The squares as a camera stores them that was held in some way.
fn stored(orientation: u8) -> RgbImage {
    let (columns, rows) = if orientation < 5 { (3, 2) } else { (2, 3) };
    RgbImage::from_fn(columns * BLOCK, rows * BLOCK, |x, y| {
        let (column, row) = place(orientation, x / BLOCK, y / BLOCK, columns, rows);
        Rgb(SQUARES[(row * 3 + column) as usize])
    })
}

fn assert_upright(frame: &Frame, what: &str) {
    assert_eq!(
        (frame.width(), frame.height()),
        (3 * BLOCK, 2 * BLOCK),
        "{what}"
    );
    for (number, square) in (0..).zip(SQUARES) {
        let (x, y) = (
            number % 3 * BLOCK + BLOCK / 2,
            number / 3 * BLOCK + BLOCK / 2,
        );
        let found = pixel(frame, x, y);
        let near = found
            .iter()
            .zip(square)
            .all(|(a, b)| a.abs_diff(b) <= JPEG_LEVELS);
        assert!(
            near,
            "{what}: square {number} is {found:?}, expected {square:?}"
        );
    }
}

/// An uncompressed TIFF of 8 or 16 bits, with more tags; those of one number each.
fn tiff(picture: &DynamicImage, more: &[(u16, u32)]) -> Vec<u8> {
    let colour = picture.color();
    let channels = u32::from(colour.channel_count());
    let bits = u32::from(colour.bits_per_pixel()) / channels;
    let pixels = picture.as_bytes();
    let mut tags = vec![
        (256, picture.width()),
        (257, picture.height()),
        (258, bits),
        (259, 1),
        (262, if channels < 3 { 1 } else { 2 }),
        (273, 8),
        (277, channels),
        (278, picture.height()),
        (279, u32::try_from(pixels.len()).expect("small")),
    ];
    if colour.has_alpha() {
        tags.push((338, 2));
    }
    tags.retain(|(tag, _)| more.iter().all(|(other, _)| other != tag));
    tags.extend(more);
    tags.sort_unstable();
    let mut bytes = b"II*\0".to_vec();
    bytes.extend(
        u32::try_from(8 + pixels.len())
            .expect("small")
            .to_le_bytes(),
    );
    bytes.extend(pixels);
    bytes.extend(u16::try_from(tags.len()).expect("few").to_le_bytes());
    for (tag, value) in tags {
        // A number of bits for each channel does not fit: all channels have the same, and one is read for all.
        bytes.extend(tag.to_le_bytes());
        bytes.extend([if value > 0xFFFF { 4 } else { 3 }, 0, 1, 0, 0, 0]);
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn what_is_transparent_shows_black() {
    let folder = Folder::new();
    let clear = Rgba([200, 100, 50, 0]);
    let half = Rgba([200, 100, 51, 128]);
    let picture = RgbaImage::from_fn(3, 1, |x, _| match x {
        0 => clear,
        1 => half,
        _ => Rgba([200, 100, 50, 255]),
    });
    let expected = [[0, 0, 0], [100, 50, 26], [200, 100, 50]].concat();
    let picture = DynamicImage::from(picture);
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let frame = folder.read("a", &encoded(&picture, format));
        assert_eq!(frame.pixels(), expected, "{format:?}");
    }
    let deep = DynamicImage::from(picture.to_rgba16());
    assert_eq!(
        folder.read("a", &encoded(&deep, ImageFormat::Png)).pixels(),
        expected
    );
    let grey =
        image::GrayAlphaImage::from_fn(2, 1, |x, _| LumaA([90, if x == 0 { 0 } else { 255 }]));
    let grey = encoded(&grey.into(), ImageFormat::Png);
    assert_eq!(folder.read("a", &grey).pixels(), [0, 0, 0, 90, 90, 90]);
}

#[test]
fn transparent_entries_of_a_palette_show_black() {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(::png::ColorType::Indexed);
    encoder.set_palette(vec![10, 20, 30, 40, 50, 60]);
    encoder.set_trns(vec![0]);
    let mut writer = encoder.write_header().expect("encoded");
    writer.write_image_data(&[0, 1]).expect("encoded");
    writer.finish().expect("encoded");
    let frame = Folder::new().read("a.png", &bytes);
    assert_eq!(frame.pixels(), [0, 0, 0, 40, 50, 60]);
}

#[test]
fn deep_and_grey_pictures_become_eight_bits_of_rgb() {
    let folder = Folder::new();
    let deep = image::ImageBuffer::<Rgb<u16>, _>::from_pixel(2, 1, Rgb([0x1234, 0x80FF, 0xFFFF]));
    let deep = DynamicImage::from(deep);
    let grey = DynamicImage::from(GrayImage::from_pixel(2, 1, Luma([7])));
    let deep_grey = DynamicImage::from(grey.to_luma16());
    for (picture, expected) in [
        (&deep, [0x12, 0x80, 0xFF]),
        (&grey, [7; 3]),
        (&deep_grey, [7; 3]),
    ] {
        for bytes in [encoded(picture, ImageFormat::Png), tiff(picture, &[])] {
            let frame = folder.read("a", &bytes);
            assert_eq!(pixel(&frame, 1, 0), expected, "{:?}", picture.color());
        }
    }
    let bmp = encoded(&stored(1).into(), ImageFormat::Bmp);
    assert_upright(&folder.read("a.bmp", &bmp), "bmp");
    let gif = encoded(&stored(1).into(), ImageFormat::Gif);
    assert_upright(&folder.read("a.gif", &gif), "gif");
}

#[test]
#[ignore = "needs ffmpeg: run cargo xtask test"]
fn palettes_of_tiff_are_read_through_ffmpeg() {
    let grey = DynamicImage::from(GrayImage::from_pixel(20, 10, Luma([1])));
    let mut bytes = tiff(&grey, &[(262, 3), (0x112, 6)]);
    // The table of colours does not fit into its tag; it follows at the end.
    let tags = usize::from(bytes[4]) + usize::from(bytes[5]) * 256;
    let table = u32::try_from(bytes.len() + 12).expect("small");
    bytes[tags] += 1;
    let entry = [&[0x40, 1, 3, 0, 0, 3, 0, 0][..], &table.to_le_bytes()].concat();
    let end = bytes.len() - 4;
    bytes.splice(end..end, entry);
    for channel in [0x30_u8, 0x60, 0x90] {
        for entry in 0..256 {
            bytes.extend(if entry == 1 {
                [channel, channel]
            } else {
                [0; 2]
            });
        }
    }
    let frame = Folder::new().read("a.tif", &bytes);
    assert_eq!((frame.width(), frame.height()), (10, 20), "upright");
    assert_eq!(pixel(&frame, 5, 5), [0x30, 0x60, 0x90]);
}

/// The checksum of PNG chunks.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 {
                sum >> 1 ^ 0xEDB8_8320
            } else {
                sum >> 1
            };
        }
    }
    (!sum).to_be_bytes()
}

#[test]
fn gif_with_a_second_picture_is_an_animation() {
    let folder = Folder::new();
    let still = encoded(&stored(1).into(), ImageFormat::Gif);
    assert!(!is_animation(&folder.keep("still.gif", &still)));
    let mut moving = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut moving);
    for _ in 0..2 {
        let picture = DynamicImage::from(stored(1)).into_rgba8();
        encoder
            .encode_frame(image::Frame::new(picture))
            .expect("encoded");
    }
    drop(encoder);
    let moving = folder.keep("moving.gif", &moving);
    assert!(is_animation(&moving));
    assert_upright(&read_picture(&moving).expect("its first picture"), "gif");
}
