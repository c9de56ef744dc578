//! Pictures that are stored turned or mirrored.

use image::{
    ExtendedColorType, ImageEncoder as _,
    codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
};

use super::{Folder, assert_upright, stored, tiff};

/// An EXIF block with the tag of orientation alone.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    block
}

#[test]
fn every_orientation_is_displayed_upright() {
    let folder = Folder::new();
    for orientation in 1..=8 {
        let picture = stored(orientation);
        let (width, height) = picture.dimensions();
        let what = |kind: &str| format!("{kind} {orientation}");
        let write = |kind: &str, exif: Vec<u8>| {
            let mut bytes = Vec::new();
            let colour = ExtendedColorType::Rgb8;
            match kind {
                "jpg" => {
                    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
                    encoder.set_exif_metadata(exif).expect("holds it");
                    encoder.write_image(&picture, width, height, colour)
                }
                "png" => {
                    let mut encoder = PngEncoder::new(&mut bytes);
                    encoder.set_exif_metadata(exif).expect("holds it");
                    encoder.write_image(&picture, width, height, colour)
                }
                _ => {
                    let mut encoder = WebPEncoder::new_lossless(&mut bytes);
                    encoder.set_exif_metadata(exif).expect("holds it");
                    encoder.write_image(&picture, width, height, colour)
                }
            }
            .expect("encoded");
            bytes
        };
        for kind in ["jpg", "png", "webp"] {
            let bytes = write(kind, exif(orientation));
            assert_upright(&folder.read(&format!("a.{kind}"), &bytes), &what(kind));
        }
        // Some programs write the beginning of JPEG's block here too.
        let prefixed = [&b"Exif\0\0"[..], &exif(orientation)].concat();
        assert_upright(
            &folder.read("b.webp", &write("webp", prefixed)),
            &what("prefixed"),
        );
        let tiff = tiff(&picture.into(), &[(0x112, u32::from(orientation))]);
        assert_upright(&folder.read("a.tif", &tiff), &what("tiff"));
    }
}

#[test]
fn orientation_that_means_nothing_changes_nothing() {
    let folder = Folder::new();
    for orientation in [0, 9, 255] {
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
        encoder
            .set_exif_metadata(exif(orientation))
            .expect("holds it");
        encoder.encode_image(&stored(1)).expect("encoded");
        assert_upright(&folder.read("a.jpg", &bytes), "as it is stored");
    }
}
