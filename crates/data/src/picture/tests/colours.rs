//! Profiles, chunks of PNG and inks, as browsers show them.

use image::{
    ExtendedColorType, ImageEncoder as _, ImageFormat, Rgb, RgbImage,
    codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
};
use moxcms::ColorProfile;

use std::io::Cursor;

use super::{Folder, checksum, encoded, pixel};

#[test]
fn profiles_of_every_format_are_followed() {
    let folder = Folder::new();
    let profile = ColorProfile::new_display_p3().encode().expect("encoded");
    let picture = RgbImage::from_pixel(16, 16, Rgb([200, 100, 50]));
    let write = |kind: &str, profile: &[u8]| {
        let mut bytes = Vec::new();
        let colour = ExtendedColorType::Rgb8;
        let profile = profile.to_owned();
        match kind {
            "jpg" => {
                let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 100);
                encoder.set_icc_profile(profile).expect("holds it");
                encoder.write_image(&picture, 16, 16, colour)
            }
            "png" => {
                let mut encoder = PngEncoder::new(&mut bytes);
                encoder.set_icc_profile(profile).expect("holds it");
                encoder.write_image(&picture, 16, 16, colour)
            }
            "webp" => {
                let mut encoder = WebPEncoder::new_lossless(&mut bytes);
                encoder.set_icc_profile(profile).expect("holds it");
                encoder.write_image(&picture, 16, 16, colour)
            }
            _ => {
                let mut cursor = Cursor::new(&mut bytes);
                let mut encoder = image::codecs::tiff::TiffEncoder::new(&mut cursor);
                encoder.set_icc_profile(profile).expect("holds it");
                encoder.write_image(&picture, 16, 16, colour)
            }
        }
        .expect("encoded");
        bytes
    };
    for kind in ["jpg", "png", "webp", "tif"] {
        for (profile, expected) in [
            (&profile[..], [215, 93, 31]),
            // A browser takes a picture whose profile is broken as sRGB.
            (&profile[..200], [200, 100, 50]),
        ] {
            let frame = folder.read(&format!("a.{kind}"), &write(kind, profile));
            let found = pixel(&frame, 8, 8);
            let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 3);
            assert!(near, "{kind}: {found:?}, expected {expected:?}");
        }
    }
}

#[test]
fn chunks_of_png_name_its_colours() {
    let folder = Folder::new();
    let plain = RgbImage::from_pixel(1, 1, Rgb([200, 100, 50]));
    let plain = encoded(&plain.into(), ImageFormat::Png);
    let numbers = |numbers: &[u32]| -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    };
    let adobe = numbers(&[
        31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000,
    ]);
    // What Chromium shows of them.
    for (chunks, expected) in [
        (vec![(b"cICP", vec![12, 13, 0, 1])], [215, 93, 31]),
        (vec![(b"cICP", vec![9, 1, 0, 1])], [239, 63, 5]),
        (vec![(b"cICP", vec![1, 13, 0, 1])], [200, 100, 50]),
        (vec![(b"gAMA", numbers(&[100_000]))], [229, 168, 122]),
        (vec![(b"gAMA", numbers(&[45_455]))], [200, 100, 50]),
        (
            vec![(b"gAMA", numbers(&[45_455])), (b"cHRM", adobe.clone())],
            [227, 100, 42],
        ),
        (vec![(b"cHRM", adobe)], [200, 100, 50]),
        (
            vec![(b"sRGB", vec![0]), (b"gAMA", numbers(&[100_000]))],
            [200, 100, 50],
        ),
        // A range of brightness that 8 bits do not have is not brought down.
        (vec![(b"cICP", vec![9, 16, 0, 1])], [200, 100, 50]),
        // Nonsense is passed over.
        (vec![(b"gAMA", numbers(&[0]))], [200, 100, 50]),
        (
            vec![(b"gAMA", numbers(&[45_455])), (b"cHRM", numbers(&[0; 8]))],
            [200, 100, 50],
        ),
    ] {
        // Signature and header take 33 bytes.
        let mut png = plain[..33].to_vec();
        for (name, content) in &chunks {
            let named = [&name[..], content].concat();
            png.extend(u32::try_from(content.len()).expect("short").to_be_bytes());
            png.extend(&named);
            png.extend(checksum(&named));
        }
        png.extend(&plain[33..]);
        let found = pixel(&folder.read("a.png", &png), 0, 0);
        let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(near, "{chunks:?}: {found:?}, expected {expected:?}");
    }
}

/// A JPEG of one block of three or four inks, stored inverted as all programs do; with Adobe's mark of how they were
/// converted (0: not at all, 2: to luma and chroma), and perhaps a profile.
fn ink_jpeg(inks: &[u8], conversion: u8, profile: Option<&[u8]>) -> Vec<u8> {
    let mut jpeg = vec![0xFF, 0xD8];
    let mut segment = |marker: u8, content: &[u8]| {
        let length = u16::try_from(content.len() + 2).expect("short");
        jpeg.extend([0xFF, marker]);
        jpeg.extend(length.to_be_bytes());
        jpeg.extend(content);
    };
    segment(0xEE, &[&b"Adobe\0\x64\0\0\0\0"[..], &[conversion]].concat());
    if let Some(profile) = profile {
        segment(0xE2, &[b"ICC_PROFILE\0\x01\x01", profile].concat());
    }
    // The mean of a block is coded in steps of one level.
    segment(0xDB, &[&[0][..], &[8; 64]].concat());
    let count = u8::try_from(inks.len()).expect("few");
    let mut frame = vec![8, 0, 8, 0, 8, count];
    let mut scan = vec![count];
    for name in 1..=count {
        frame.extend([name, 0x11, 0]);
        scan.extend([name, 0]);
    }
    segment(0xC0, &frame);
    // Codes of four bits for the nine sizes of a mean; of one bit for the end of a block.
    let mut sizes = [0; 16];
    sizes[3] = 9;
    segment(
        0xC4,
        &[&[0x00][..], &sizes, &[0, 1, 2, 3, 4, 5, 6, 7, 8]].concat(),
    );
    let mut sizes = [0; 16];
    sizes[0] = 1;
    segment(0xC4, &[&[0x10][..], &sizes, &[0]].concat());
    segment(0xDA, &[&scan[..], &[0, 63, 0]].concat());
    let mut bits = String::new();
    for ink in inks {
        let mean = i32::from(255 - ink) - 128;
        let size = 32 - mean.unsigned_abs().leading_zeros();
        bits += &format!("{size:04b}");
        if size > 0 {
            let value = if mean < 0 { mean - 1 } else { mean };
            let digits = format!("{value:032b}");
            bits += &digits[32 - size as usize..];
        }
        bits.push('0');
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let text = std::str::from_utf8(byte).expect("digits");
        let byte = u8::from_str_radix(text, 2).expect("digits");
        jpeg.push(byte);
        if byte == 0xFF {
            jpeg.push(0);
        }
    }
    jpeg.extend([0xFF, 0xD9]);
    jpeg
}

/// A profile by which no ink is white, all of the cyan ink alone is a middle grey, and everything else black.
fn ink_profile() -> Vec<u8> {
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for (row, column) in (0..9).map(|at| (at / 3, at % 3)) {
        table.extend([0, u8::from(row == column), 0, 0]);
    }
    let ramp: Vec<u8> = (0..=255).collect();
    table.extend(ramp.repeat(4));
    for corner in 0..16 {
        // The last ink changes fastest.
        let lightness = match corner {
            0b0000 => 255,
            0b1000 => 128,
            _ => 0,
        };
        table.extend([lightness, 128, 128]);
    }
    table.extend(ramp.repeat(3));
    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    profile[12..24].copy_from_slice(b"prtrCMYKLab ");
    profile[36..40].copy_from_slice(b"acsp");
    // The white of D50.
    profile[68..80].copy_from_slice(&[0, 0, 0xF6, 0xD6, 0, 1, 0, 0, 0, 0, 0xD3, 0x2D]);
    profile.extend([0, 0, 0, 1]);
    profile.extend(b"A2B0");
    profile.extend([0, 0, 0, 144]);
    profile.extend(u32::try_from(table.len()).expect("small").to_be_bytes());
    profile.extend(table);
    let length = u32::try_from(profile.len()).expect("small").to_be_bytes();
    profile[..4].copy_from_slice(&length);
    profile
}

#[test]
fn inks_become_light_with_and_without_a_profile() {
    let folder = Folder::new();
    let cyan = &[255, 0, 0, 0][..];
    let profile = ink_profile();
    // What Chromium shows of them.
    for (inks, conversion, profile, expected) in [
        (cyan, 0, None, [0, 255, 255]),
        (&[0, 0, 0, 255], 0, None, [0; 3]),
        (&[0, 0, 0, 127], 0, None, [128; 3]),
        (cyan, 0, Some(&profile[..]), [119; 3]),
        (&[0; 4], 0, Some(&profile[..]), [255; 3]),
        (cyan, 0, Some(&profile[..300]), [0, 255, 255]),
        (&[200, 100, 140, 20], 2, None, [200, 184, 140]),
        // Cyan alone, as luma and chroma.
        (&[179, 170, 0, 0], 2, Some(&profile[..]), [120; 3]),
        // Three channels with the same mark are light.
        (&[55, 155, 205], 0, None, [200, 100, 50]),
    ] {
        let jpeg = ink_jpeg(inks, conversion, profile);
        let found = pixel(&folder.read("a.jpg", &jpeg), 4, 4);
        let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(
            near,
            "{inks:?}, {conversion}, profile {}: {found:?}, expected {expected:?}",
            profile.is_some()
        );
    }
}
