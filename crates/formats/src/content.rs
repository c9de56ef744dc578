//! What a file is, told by its first bytes.

/// Bytes that suffice.
pub(crate) const HEAD_BYTES: usize = 512;
/// Largest header of safetensors that is taken for one.
const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;

/// Formats of published weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Safetensors,
    TensorFlowJs,
    Tflite,
    Onnx,
    Torch,
    /// A zip archive: a torch checkpoint or several tflite networks.
    Zip,
}

impl Format {
    /// The format of a file that begins with these bytes.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        let is_tar = head.get(257..262) == Some(b"ustar");
        let first = *head.trim_ascii_start().first()?;
        Some(match head {
            _ if is_safetensors(head) => Self::Safetensors,
            _ if head.starts_with(b"PK\x03\x04") => Self::Zip,
            _ if head.get(4..8) == Some(b"TFL3") => Self::Tflite,
            // A pickle of protocol 2 or above; before 1.6 torch wrote several, before 0.1.10 a tar archive.
            [0x80, 2..=5, ..] => Self::Torch,
            _ if is_tar => Self::Torch,
            // Field 1 of an ONNX model is the version of the format, a small number.
            [0x08, 1..=0x20, ..] => Self::Onnx,
            _ if first == b'{' => Self::TensorFlowJs,
            _ => return None,
        })
    }

    /// What messages call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::TensorFlowJs => "JSON",
            Self::Tflite => "tflite",
            Self::Onnx => "ONNX",
            Self::Torch => "a torch checkpoint",
            Self::Zip => "a zip archive, perhaps a torch checkpoint",
        }
    }
}

/// A little-endian length of the header, and the header, which is JSON.
fn is_safetensors(head: &[u8]) -> bool {
    let Some((length, json)) = head.split_first_chunk::<8>() else {
        return false;
    };
    let length = u64::from_le_bytes(*length);
    (2..=MAX_SAFETENSORS_HEADER).contains(&length) && json.first() == Some(&b'{')
}

/// What stands in the place of a weights file that could not be downloaded, or is none.
pub(crate) fn impostor(head: &[u8]) -> Option<String> {
    if head.starts_with(b"version https://git-lfs") {
        let what = "a Git LFS pointer, which stands for the file (`git lfs pull` gets it)";
        return Some(what.to_owned());
    }
    if head.starts_with(b"\x89HDF") {
        return Some("HDF5 (Keras)".to_owned());
    }
    let start = head.trim_ascii_start();
    let lower = start[..start.len().min(16)].to_ascii_lowercase();
    let begins = |texts: &[&str]| texts.iter().any(|text| lower.starts_with(text.as_bytes()));
    if begins(&["<!doctype html", "<html", "<head", "<body"]) {
        return Some("a web page (HTML), perhaps of an error".to_owned());
    }
    if begins(&["<?xml", "<error"]) {
        return Some("XML, perhaps an error".to_owned());
    }
    let line = start.split(|byte| *byte == b'\n').next()?;
    let line = &line[..line.len().min(40)];
    let is_text = |byte: &u8| byte.is_ascii_graphic() || [b' ', b'\t', b'\r'].contains(byte);
    if line.len() >= 8 && line.iter().all(is_text) {
        let line = String::from_utf8_lossy(line);
        return Some(format!("text that begins with `{}`", line.trim_end()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let mut tar = vec![b'x'; 257];
        tar.extend(b"ustar");
        for (head, expected) in [
            (&b"\x40\0\0\0\0\0\0\0{\"a\":"[..], Some(Format::Safetensors)),
            (b"\x80\0\0\0\0\0\0\0{\"a\":", Some(Format::Safetensors)),
            (b"PK\x03\x04", Some(Format::Zip)),
            (b"\x1c\0\0\0TFL3", Some(Format::Tflite)),
            (b"\x80\x02\x8a\x0al", Some(Format::Torch)),
            (&tar, Some(Format::Torch)),
            (b"\x08\x07\x12\x07pytorch", Some(Format::Onnx)),
            (b"\n{ \"format\"", Some(Format::TensorFlowJs)),
            (b"not a model", None),
            (b"", None),
        ] {
            assert_eq!(Format::of(head), expected, "{head:?}");
        }
    }

    #[test]
    fn what_is_no_weights_file_is_named() {
        for (head, expected) in [
            (
                &b"version https://git-lfs.github.com/spec/v1\noid sha256:"[..],
                "a Git LFS pointer",
            ),
            (b"\r\n<!DOCTYPE HTML><html>", "a web page"),
            (b"<?xml version=\"1.0\"?><Error>", "XML"),
            (b"Not Found\n", "text that begins with `Not Found`"),
            (
                b"{\"error\": \"Unauthorized\"}",
                "text that begins with `{\"error\"",
            ),
            (b"\x89HDF\r\n", "HDF5"),
        ] {
            let named = impostor(head).expect("is known");
            assert!(named.starts_with(expected), "{named}");
        }
        assert_eq!(impostor(b"\x40\0\0\0\0\0\0\0{\"a\":"), None);
        assert_eq!(impostor(b""), None);
    }
}
