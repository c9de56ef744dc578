//! Binary PPM pictures with 8 bits a channel, as ffmpeg writes them back to back.

use std::io::{self, BufRead, Read};

use super::VideoError;
use affectlens::frame::Frame;

/// Larger pictures are taken for malformed headers.
const MAX_SIDE: u32 = 16_384;

/// Reads one picture.
pub(super) fn read_ppm(reader: &mut impl BufRead) -> Result<Frame, VideoError> {
    let mut header = Vec::new();
    for _ in 0..3 {
        reader
            .take(32)
            .read_until(b'\n', &mut header)
            .map_err(VideoError::Pipe)?;
    }
    let text = String::from_utf8_lossy(&header);
    let fields: Vec<_> = text.split_ascii_whitespace().collect();
    let ["P6", width, height, "255"] = fields.as_slice() else {
        return Err(VideoError::Header {
            got: text.trim().to_owned(),
        });
    };
    let (width, height) = (side(width)?, side(height)?);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    reader
        .read_exact(&mut pixels)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => VideoError::CutOff,
            _ => VideoError::Pipe(error),
        })?;
    Ok(Frame::from_rgb(width, height, pixels)?)
}

fn side(text: &str) -> Result<u32, VideoError> {
    text.parse()
        .ok()
        .filter(|side| (1..=MAX_SIDE).contains(side))
        .ok_or_else(|| VideoError::Side {
            got: text.to_owned(),
            most: MAX_SIDE,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_back_to_back_are_read_one_by_one() {
        let mut bytes: &[u8] = b"P6\n1 1\n255\nabcP6\n2 1\n255\ndefghi";
        assert_eq!(read_ppm(&mut bytes).expect("first").pixels(), b"abc");
        assert_eq!(read_ppm(&mut bytes).expect("second").width(), 2);
    }

    #[test]
    fn malformed_frames_are_refused() {
        for (bytes, message) in [
            (&b"P6\n1 1\n255\nab"[..], "the last frame is cut off"),
            (
                b"P5\n1 1\n255\nab",
                "ffmpeg gave `P5\n1 1\n255`, expected a PPM header",
            ),
            (
                b"P6\n0 99999\n255\n",
                "frame side is `0`, expected 1 to 16384 pixels",
            ),
        ] {
            let error = read_ppm(&mut &*bytes).expect_err("the frame is malformed");
            assert_eq!(error.to_string(), message);
        }
    }
}
