//! A digest of a safetensors file in its own metadata: a bit that flips on a disk is noticed when the file is read.
//!
//! The digest is that of all bytes with zeros in its place. Files without one are read as they are.

use std::ops::Range;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::element::malformed;
use crate::error::WeightsError;
use crate::hexadecimal::hexadecimal;
use crate::safetensors_file::{FILE_DIGEST, FORMAT, header_end};

const METADATA: &str = "__metadata__";
/// What stands in the digest's place while it is computed.
const PLACEHOLDER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The file with its digest.
///
/// # Errors
///
/// [`WeightsError::Malformed`] for bytes that are no safetensors file.
pub(crate) fn seal(bytes: &[u8]) -> Result<Vec<u8>, WeightsError> {
    let refuse = |error: serde_json::Error| malformed(FORMAT, error.to_string());
    let end = header_end(bytes)?;
    let mut header: Map<String, Value> = serde_json::from_slice(&bytes[8..end]).map_err(refuse)?;
    // Metadata come first, whether or not there are others.
    let mut metadata = match header.shift_remove(METADATA) {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    metadata.insert(FILE_DIGEST.to_owned(), PLACEHOLDER.into());
    metadata.sort_keys();
    header.shift_insert(0, METADATA.to_owned(), metadata.into());
    let mut text = serde_json::to_vec(&header).map_err(refuse)?;
    // Tensors begin on a multiple of their elements' size.
    text.resize(text.len().next_multiple_of(8), b' ');
    let length = (text.len() as u64).to_le_bytes();
    let mut sealed = [&length, text.as_slice(), &bytes[end..]].concat();
    if let Some(place) = place_of_digest(&sealed)? {
        let digest = digest(&sealed, &place);
        sealed[place].copy_from_slice(digest.as_bytes());
    }
    Ok(sealed)
}

/// Confirms that a file has the digest that it names.
///
/// # Errors
///
/// [`WeightsError::Malformed`] if it has another.
pub(crate) fn expect_unbroken(bytes: &[u8]) -> Result<(), WeightsError> {
    match place_of_digest(bytes)? {
        Some(place) if bytes[place.clone()] != *digest(bytes, &place).as_bytes() => {
            let reason = "its bytes are not those that were written, perhaps damaged on the disk";
            Err(malformed(FORMAT, reason))
        }
        _ => Ok(()),
    }
}

/// Where in a file its digest stands; none if it has none. Quotes within names are written otherwise.
fn place_of_digest(bytes: &[u8]) -> Result<Option<Range<usize>>, WeightsError> {
    let header = &bytes[..header_end(bytes)?];
    let key = format!("\"{FILE_DIGEST}\":\"");
    let found = header
        .windows(key.len())
        .position(|window| window == key.as_bytes());
    let place = found.map(|start| start + key.len()..start + key.len() + PLACEHOLDER.len());
    Ok(place.filter(|place| place.end <= header.len()))
}

fn digest(bytes: &[u8], place: &Range<usize>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(&bytes[..place.start]);
    hasher.update(PLACEHOLDER);
    hasher.update(&bytes[place.end..]);
    hexadecimal(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Metadata;
    use crate::safetensors_file::Precision;
    use crate::weights::Weights;

    fn weights() -> Weights {
        let mut weights = Weights::new(Metadata {
            architecture: "mlp".to_owned(),
            ..Metadata::default()
        });
        weights.insert("a", vec![2], vec![1.0, 0.1]).expect("two");
        weights
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let plain = weights().to_safetensors(Precision::Single).expect("finite");
        expect_unbroken(&plain).expect("names no digest");
        let sealed = seal(&plain).expect("own file");
        expect_unbroken(&sealed).expect("as it was written");
        assert_eq!(Weights::from_safetensors(&sealed).expect("own"), weights());
        let key = sealed
            .windows(FILE_DIGEST.len())
            .position(|window| window == FILE_DIGEST.as_bytes())
            .expect("is there");
        for place in (0..sealed.len()).filter(|place| !(key - 1..key + 14).contains(place)) {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[place] ^= 1 << bit;
                // Where the header is said to end earlier it holds no digest, and is cut.
                let is_noticed = expect_unbroken(&damaged).is_err()
                    || Weights::from_safetensors(&damaged).is_err();
                assert!(is_noticed, "{place} {bit}");
            }
        }
    }

    #[test]
    fn a_file_can_be_sealed_again_and_has_metadata_then() {
        let mut bare = Weights::default();
        bare.insert("a", vec![1], vec![1.0]).expect("one");
        let plain = bare.to_safetensors(Precision::Half).expect("finite");
        let sealed = seal(&plain).expect("own file");
        assert_eq!(seal(&sealed).expect("own file"), sealed);
        assert_eq!(Weights::from_safetensors(&sealed).expect("own"), bare);
    }
}
