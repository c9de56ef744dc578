//! What a file holds, by its first bytes.

use image::ImageFormat;

/// How much of a file's beginning tells what it holds.
pub(crate) const START_BYTES: u64 = 4096;

/// Kinds of pictures that are read, as messages list them.
pub(crate) const NAMES: &str = "AVIF, BMP, GIF, HEIC, JPEG, PNG, TIFF or WebP";

/// A kind of picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Avif,
    Bmp,
    Gif,
    Heic,
    Jpeg,
    Png,
    Tiff,
    WebP,
}

impl Kind {
    /// The kind of a file that begins with these bytes; `None` for what is no picture.
    pub(crate) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => Some(Self::Tiff),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Some(Self::WebP),
            [b'B', b'M', ..] => is_bmp(start).then_some(Self::Bmp),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => of_brands(start),
            _ => None,
        }
    }

    /// Name for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Avif => "AVIF",
            Self::Bmp => "BMP",
            Self::Gif => "GIF",
            Self::Heic => "HEIC",
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Tiff => "TIFF",
            Self::WebP => "WebP",
        }
    }

    /// The decoder of the crate `image`; `None` for what has a decoder of its own.
    pub(super) fn format(self) -> Option<ImageFormat> {
        match self {
            Self::Bmp => Some(ImageFormat::Bmp),
            Self::Gif => Some(ImageFormat::Gif),
            Self::Png => Some(ImageFormat::Png),
            Self::Tiff => Some(ImageFormat::Tiff),
            Self::WebP => Some(ImageFormat::WebP),
            Self::Avif | Self::Heic | Self::Jpeg => None,
        }
    }
}

/// Two letters are little evidence: the size of the header that follows must be one of the known ones.
fn is_bmp(start: &[u8]) -> bool {
    matches!(
        start.get(14..18),
        Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
    )
}

/// Still pictures in the container of MP4 name themselves by a brand; the general brands are followed by a list of
/// more precise ones.
fn of_brands(start: &[u8]) -> Option<Kind> {
    let size = u32::from_be_bytes(start.get(..4)?.try_into().ok()?);
    let end = start.len().min(usize::try_from(size).ok()?);
    let compatible = start.get(16..end).unwrap_or_default();
    match start.get(8..12)? {
        b"avif" | b"avis" => Some(Kind::Avif),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some(Kind::Heic),
        b"mif1" | b"mif2" | b"msf1" | b"miaf" => {
            let is_avif = compatible
                .chunks_exact(4)
                .any(|brand| matches!(brand, b"avif" | b"avis"));
            Some(if is_avif { Kind::Avif } else { Kind::Heic })
        }
        _ => None,
    }
}

/// Whether a file that begins with these bytes is surely a video, whatever its name says.
pub(crate) fn is_video(start: &[u8]) -> bool {
    if Kind::of(start).is_some() {
        return false;
    }
    let of_mp4 = |name: &[u8]| {
        matches!(
            name,
            b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"styp" | b"moof"
        )
    };
    let of_transport_stream = || [0, 188, 376].iter().all(|at| start.get(*at) == Some(&0x47));
    match start {
        [0x1A, 0x45, 0xDF, 0xA3, ..] // Matroska, WebM
        | [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..]
        | [0, 0, 1, 0xBA | 0xB3, ..] // MPEG
        | [b'F', b'L', b'V', 1, ..]
        | [b'O', b'g', b'g', b'S', ..]
        | [0x30, 0x26, 0xB2, 0x75, ..] => true, // ASF, WMV
        [_, _, _, _, a, b, c, d, ..] if of_mp4(&[*a, *b, *c, *d]) => true,
        _ => of_transport_stream(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brands(major: &[u8; 4], compatible: &[&[u8; 4]]) -> Vec<u8> {
        let size = u8::try_from(16 + 4 * compatible.len()).expect("short");
        let mut bytes = vec![0, 0, 0, size];
        bytes.extend(b"ftyp");
        bytes.extend(major);
        bytes.extend([0; 4]);
        bytes.extend(compatible.iter().copied().flatten());
        // What follows the list is not part of it.
        bytes.extend(b"\0\0\0\x08avif");
        bytes
    }

    #[test]
    fn brands_tell_pictures_from_videos() {
        for (bytes, kind, video) in [
            (
                brands(b"heic", &[b"mif1", b"heic"]),
                Some(Kind::Heic),
                false,
            ),
            (
                brands(b"mif1", &[b"mif1", b"heic"]),
                Some(Kind::Heic),
                false,
            ),
            (
                brands(b"mif1", &[b"miaf", b"avif"]),
                Some(Kind::Avif),
                false,
            ),
            (brands(b"avif", &[]), Some(Kind::Avif), false),
            (brands(b"isom", &[b"avc1"]), None, true),
            (brands(b"qt  ", &[]), None, true),
        ] {
            assert_eq!(Kind::of(&bytes), kind, "{bytes:?}");
            assert_eq!(is_video(&bytes), video, "{bytes:?}");
        }
    }

    #[test]
    fn text_is_neither_picture_nor_video() {
        for text in [&b"BMW is a car"[..], b"GIF87", b"", b"IT", b"not a picture"] {
            assert_eq!(Kind::of(text), None);
            assert!(!is_video(text));
        }
        let mut stream = vec![0; 400];
        for at in [0, 188, 376] {
            stream[at] = 0x47;
        }
        assert!(is_video(&stream));
    }
}
