//! PAM pictures with 8 bits a channel, as ffmpeg writes them back to back.

use std::io::{self, BufRead, Read};

use super::VideoError;
use crate::picture::compose_on_black;
use affectlens::frame::Frame;

/// Most pixels of a frame: 8192 x 8192.
pub(super) const MAX_PIXELS: u64 = 1 << 26;

/// Longest line of a header.
const MAX_LINE: u64 = 64;

/// Most lines of a header.
const MAX_LINES: usize = 12;

/// Reads one picture; `None` at the end. Transparent pixels are composed on black, as a browser shows them.
pub(super) fn read_pam(reader: &mut impl BufRead) -> Result<Option<Frame>, VideoError> {
    if reader.fill_buf().map_err(VideoError::Pipe)?.is_empty() {
        return Ok(None);
    }
    let Header {
        width,
        height,
        depth,
    } = read_header(reader)?;
    let mut pixels = vec![0; width as usize * height as usize * depth];
    reader
        .read_exact(&mut pixels)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => VideoError::CutOff,
            _ => VideoError::Pipe(error),
        })?;
    if depth == 4 {
        pixels = compose_on_black(pixels);
    }
    Ok(Some(Frame::from_rgb(width, height, pixels)?))
}

struct Header {
    width: u32,
    height: u32,
    /// Channels: three, or four with the opacity.
    depth: usize,
}

fn read_header(reader: &mut impl BufRead) -> Result<Header, VideoError> {
    let mut header = Vec::new();
    for _ in 0..MAX_LINES {
        let mut line = reader.take(MAX_LINE);
        line.read_until(b'\n', &mut header)
            .map_err(VideoError::Pipe)?;
        if header.ends_with(b"ENDHDR\n") {
            break;
        }
    }
    let text = String::from_utf8_lossy(&header);
    let refuse = || VideoError::Header {
        got: text.trim().chars().take(200).collect(),
    };
    let fields: Vec<_> = text.split_ascii_whitespace().collect();
    let [
        "P7",
        "WIDTH",
        width,
        "HEIGHT",
        height,
        "DEPTH",
        depth @ ("3" | "4"),
        "MAXVAL",
        "255",
        "TUPLTYPE",
        _,
        "ENDHDR",
    ] = fields.as_slice()
    else {
        return Err(refuse());
    };
    let (width, height): (u32, u32) = match (width.parse(), height.parse()) {
        (Ok(width), Ok(height)) => (width, height),
        _ => return Err(refuse()),
    };
    if !(1..=MAX_PIXELS).contains(&(u64::from(width) * u64::from(height))) {
        return Err(VideoError::Size {
            width,
            height,
            most: MAX_PIXELS,
        });
    }
    let depth = if *depth == "4" { 4 } else { 3 };
    Ok(Header {
        width,
        height,
        depth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pam(width: &str, depth: u8, pixels: &[u8]) -> Vec<u8> {
        let header = format!(
            "P7\nWIDTH {width}\nHEIGHT 1\nDEPTH {depth}\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
        );
        [header.as_bytes(), pixels].concat()
    }

    #[test]
    fn pictures_back_to_back_are_read_one_by_one() {
        let bytes = [pam("1", 3, b"abc"), pam("2", 3, b"defghi")].concat();
        let mut bytes = bytes.as_slice();
        let mut next = || read_pam(&mut bytes).expect("whole");
        assert_eq!(next().expect("first").pixels(), b"abc");
        assert_eq!(next().expect("second").width(), 2);
        assert_eq!(next(), None);
    }

    #[test]
    fn transparent_pixels_are_composed_on_black() {
        let bytes = pam(
            "3",
            4,
            &[200, 100, 7, 0, 200, 100, 7, 255, 200, 100, 7, 128],
        );
        let frame = read_pam(&mut bytes.as_slice()).expect("whole");
        assert_eq!(
            frame.expect("a frame").pixels(),
            [0, 0, 0, 200, 100, 7, 100, 50, 4]
        );
    }

    #[test]
    fn malformed_frames_are_refused() {
        let endless = [b'a'; 4096];
        for (bytes, message) in [
            (pam("1", 3, b"ab"), "the last frame is cut off"),
            (
                b"P6\n1 1\n255\nab".to_vec(),
                "ffmpeg gave `P6\n1 1\n255\nab`, expected a PAM header",
            ),
            (
                pam("-1", 3, b""),
                "ffmpeg gave `P7\nWIDTH -1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR`, expected a PAM \
                 header",
            ),
            (
                pam("67108865", 3, b""),
                "a frame has 67108865 x 1 pixels, expected 1 to 67108864 in all",
            ),
            (
                pam("0", 3, b""),
                "a frame has 0 x 1 pixels, expected 1 to 67108864 in all",
            ),
            (
                endless.to_vec(),
                &format!("ffmpeg gave `{}`, expected a PAM header", "a".repeat(200)),
            ),
        ] {
            let error = read_pam(&mut bytes.as_slice()).expect_err("the frame is malformed");
            assert_eq!(error.to_string(), message);
        }
    }
}
