//! What a weights file says about itself.

use std::collections::BTreeMap;

use crate::label::Expression;

/// How 8-bit pixels become network input: `(pixel - mean) / std` per channel, RGB, pixel values 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Subtracted from each channel.
    pub mean: [f32; 3],
    /// Divides each channel.
    pub std: [f32; 3],
}

/// Key of [`Metadata::extra`] in a head's file: the backbone whose embeddings the head was trained on.
pub const EMBEDDING: &str = "embedding";

/// Facts that travel inside a weights file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Network that the parameters belong to: `faceres`, `emotieffnet-b0`, `blazeface-short-range`, `mlp`, ...
    pub architecture: String,
    /// Side of the square input, pixels.
    pub input_side: Option<u32>,
    /// How the input is normalised.
    pub normalisation: Option<Normalisation>,
    /// Output classes in order.
    pub classes: Vec<Expression>,
    /// Licence of the parameters, with whatever terms the publisher adds.
    pub licence: String,
    /// Where the parameters came from: package, version and file, or the command that trained them.
    pub source: String,
    /// sha256 of the published file, hexadecimal.
    pub source_sha256: String,
    /// Anything else, by key: a head keeps its calibration here.
    pub extra: BTreeMap<String, String>,
}

impl Metadata {
    /// The backbone whose embeddings a head was trained on, if its file names one.
    pub fn embedding(&self) -> Option<&str> {
        self.extra.get(EMBEDDING).map(String::as_str)
    }
}
