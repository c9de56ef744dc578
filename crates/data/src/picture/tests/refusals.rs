//! Pictures that are cut off, too large, or none.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::{Folder, assert_upright, checksum, encoded, stored};
use crate::picture::{is_picture, read_picture};

/// A picture that no format makes small.
fn noise() -> RgbImage {
    let mut state = 1_u32;
    RgbImage::from_fn(96, 64, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, a, b, c] = state.to_le_bytes();
        Rgb([a, b, c])
    })
}

#[test]
fn every_cut_is_refused() {
    let folder = Folder::new();
    let picture = DynamicImage::from(noise());
    for (name, format) in [
        ("a.jpg", ImageFormat::Jpeg),
        ("a.png", ImageFormat::Png),
        ("a.webp", ImageFormat::WebP),
        ("a.bmp", ImageFormat::Bmp),
        ("a.tif", ImageFormat::Tiff),
        ("a.gif", ImageFormat::Gif),
    ] {
        let whole = encoded(&picture, format);
        folder.read(name, &whole);
        // A tenth less each time, down to what is only a header.
        let mut length = whole.len() * 9 / 10;
        while length > 0 {
            let message = folder.fault(name, &whole[..length]);
            assert!(
                message.starts_with("picture `") && message.contains(name),
                "{message}"
            );
            length = length * 9 / 10;
        }
    }
    let whole = encoded(&picture, ImageFormat::Jpeg);
    assert_eq!(
        folder.fault("b.jpg", &whole[..whole.len() - 2]),
        format!(
            "picture `{}`: cut off: a JPEG without its end, after {} bytes",
            folder.0.path().join("b.jpg").display(),
            whole.len() - 2
        )
    );
}

#[test]
fn what_follows_the_end_is_no_fault() {
    let folder = Folder::new();
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let whole = encoded(&stored(1).into(), format);
        let longer = [&whole[..], b"\0\0\0\x18ftypmp42 a short video"].concat();
        assert_upright(&folder.read("a", &longer), "with more behind it");
    }
}

#[test]
fn what_is_no_picture_says_what_it_is() {
    let folder = Folder::new();
    assert!(
        folder
            .fault("empty.jpg", b"")
            .ends_with("empty.jpg`: empty")
    );
    let message = folder.fault("text.png", b"not a picture");
    assert!(
        message.ends_with("no picture: expected AVIF, BMP, GIF, HEIC, JPEG, PNG, TIFF or WebP, got a file that begins with `not a pi`"),
        "{message}"
    );
    let message = folder.fault("clip.jpg", b"\0\0\0\x10ftypisom\0\0\0\0");
    assert!(message.ends_with("got a video"), "{message}");
    let error = read_picture(folder.0.path()).expect_err("a folder");
    assert!(error.to_string().ends_with("no regular file"), "{error}");
    assert!(!is_picture(folder.0.path()));
}

#[test]
fn pictures_that_are_too_large_are_refused_unread() {
    let folder = Folder::new();
    let mut png = encoded(&stored(1).into(), ImageFormat::Png);
    png[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    let sum = checksum(&png[12..29]);
    png[29..33].copy_from_slice(&sum);
    let message = folder.fault("a.png", &png);
    assert!(
        message.ends_with("60000x32 pixels, expected sides of 1 to 16384"),
        "{message}"
    );
    let mut jpeg = encoded(&stored(1).into(), ImageFormat::Jpeg);
    let frame = jpeg
        .windows(2)
        .position(|it| it == [0xFF, 0xC0])
        .expect("a frame");
    jpeg[frame + 5..frame + 7].copy_from_slice(&[0xFF, 0xFF]);
    let message = folder.fault("a.jpg", &jpeg);
    assert!(
        message.ends_with("48x65535 pixels, expected sides of 1 to 16384"),
        "{message}"
    );
}
