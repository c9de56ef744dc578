//! Whether a file is there to its end: decoders that show what they have would make up the rest.

use super::{Kind, PictureFault};

/// Refuses a picture whose file stops before the end that its format has.
///
/// Bytes after the end are fine: phones keep a short video or a second picture there. BMP, GIF and TIFF have no such
/// end; their decoders refuse what is missing.
pub(super) fn expect_whole(kind: Kind, bytes: &[u8]) -> Result<(), PictureFault> {
    let whole = match kind {
        Kind::Jpeg => has_jpeg_end(bytes),
        Kind::Png => has_png_end(bytes),
        Kind::WebP => has_riff_end(bytes),
        Kind::Avif | Kind::Heic => has_whole_boxes(bytes),
        Kind::Bmp | Kind::Gif | Kind::Tiff => true,
    };
    if whole {
        Ok(())
    } else {
        Err(PictureFault::CutOff {
            kind: kind.name(),
            length: bytes.len(),
        })
    }
}

/// Goes from marker to marker. Segments with a length are stepped over, so that the end of a thumbnail inside does not
/// count; between scans everything up to the next marker is pixels.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some(at) = rest.iter().position(|byte| *byte == 0xFF) {
        rest = &rest[at + 1..];
        match rest {
            [0xD9, ..] => return true,
            // Fill bytes: the next of them may begin the marker.
            [0xFF, ..] => {}
            // Stuffing within pixels, and markers without a length.
            [0x00 | 0x01 | 0xD0..=0xD8, after @ ..] => rest = after,
            [_, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(1 + length..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}

fn has_png_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let [a, b, c, d, name @ ..] = rest {
        let Ok(length) = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])) else {
            return false;
        };
        // Name, content, checksum.
        let Some(after) = length.checked_add(8).and_then(|size| name.get(size..)) else {
            return false;
        };
        if name.starts_with(b"IEND") {
            return true;
        }
        rest = after;
    }
    false
}

/// The size at the beginning is that of the rest; a padding byte at the very end is often left out.
fn has_riff_end(bytes: &[u8]) -> bool {
    let Some([a, b, c, d]) = bytes.get(4..8) else {
        return false;
    };
    let size = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
    bytes.len() as u64 + 1 >= size + 8
}

/// Boxes follow each other to the end of the file.
fn has_whole_boxes(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        match super::heif::split_box(rest) {
            Some((_, _, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_of_a_thumbnail_is_not_the_end_of_the_picture() {
        let mut jpeg = vec![0xFF, 0xD8];
        // An APP1 segment that holds a whole small JPEG.
        jpeg.extend([0xFF, 0xE1, 0x00, 0x06, 0xFF, 0xD8, 0xFF, 0xD9]);
        jpeg.extend([0xFF, 0xDA, 0x00, 0x03, 0x00]);
        jpeg.extend([0x12, 0xFF, 0x00, 0x34, 0xFF, 0xD0, 0x56]);
        assert!(!has_jpeg_end(&jpeg));
        jpeg.extend([0xFF, 0xFF, 0xD9]);
        assert!(has_jpeg_end(&jpeg));
        jpeg.extend(b"a short video");
        assert!(has_jpeg_end(&jpeg));
    }

    #[test]
    fn every_cut_of_a_png_is_seen() {
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(5, 4)
            .write_to(&mut png, image::ImageFormat::Png)
            .expect("encoded");
        let png = png.into_inner();
        assert!(has_png_end(&png));
        for length in 0..png.len() {
            assert!(!has_png_end(&png[..length]), "{length} of {}", png.len());
        }
    }
}
