//! The pixels of a map in another order.

/// Where each pixel of a map comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrangement {
    /// Rows of the new map.
    pub height: usize,
    /// Its columns.
    pub width: usize,
    /// For each pixel of the new map, row by row, the number of the pixel that it was, counted in the same way; none for zeros.
    pub places: Vec<Option<u32>>,
    /// What is added, `[pixels, channels]`; empty for nothing.
    pub addend: Vec<f32>,
}

impl Arrangement {
    /// The same pixels as a map of another height and width.
    pub(super) fn reshaped(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            places: (0..height * width).map(place).collect(),
            addend: Vec::new(),
        }
    }
}

/// The number of a pixel.
pub(super) fn place(number: usize) -> Option<u32> {
    Some(u32::try_from(number).expect("maps have fewer pixels"))
}
