//! How the pixels of one picture move to the next: dense optical flow.
//!
//! G. Farnebäck, Two-Frame Motion Estimation Based on Polynomial Expansion, 2003, with the settings of the published violence
//! systems (HSEmotion team at ABAW-10) and the numbers of OpenCV's `calcOpticalFlowFarneback`, which they used.
//!
//! Around each pixel both pictures are described by a quadratic polynomial (`expansion`). Where only the linear parts differ,
//! the quadratic ones say by how far the pixel has moved (`displacement`); coarse pictures go first, and finer ones correct what
//! these found (`pyramid`). Of pictures with a side below ten pixels OpenCV takes part of the border for the inside; nothing is
//! made of that here.

mod displacement;
mod expansion;
mod grey;
mod picture;
mod plane;
mod pyramid;

use thiserror::Error;

pub use grey::{GreyError, GreyPicture};
pub use picture::{FlowPictures, SIDE};
pub use pyramid::FlowPyramid;

/// Why there is no flow between two pictures.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlowError {
    /// The pictures are of different sizes.
    #[error("pictures are {}x{} and {}x{} pixels, expected two of one size", before[0], before[1], after[0], after[1])]
    Sizes {
        /// Width and height of the first one, pixels.
        before: [usize; 2],
        /// Width and height of the second one, pixels.
        after: [usize; 2],
    },
}

/// How far each pixel moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    width: usize,
    height: usize,
    vectors: Vec<[f32; 2]>,
}

impl Flow {
    /// Width, pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height, pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// By how many pixels each pixel moves to the right and down, row by row, `width * height` of them.
    pub fn vectors(&self) -> &[[f32; 2]] {
        &self.vectors
    }
}
