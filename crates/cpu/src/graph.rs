//! Networks in folded form: feature maps in NHWC order and the steps between them.
//!
//! Batch norm is folded into the convolutions, so each step has weights, a bias and an activation. The same [`Plan`]
//! runs on the loops of this crate and on the kernels of a GPU. The number of pictures is open until it runs.

mod clip;
mod planner;
mod sequence;
mod step;
mod weighted;
mod window;

use alloc::{borrow::Cow, vec::Vec};
use core::ops::Range;

pub use clip::{Clip, Span};
pub use planner::Planner;
pub use sequence::{ScoreBias, Sequence};
pub use step::{Shortcut, Step};
pub use weighted::{LineSums, Weighted};
pub use window::Window;

/// Longest side, and most channels, of a map.
pub(crate) const LONGEST_SIDE: usize = 1 << 16;

/// Number of a feature map in a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Map(usize);

impl Map {
    /// Place in [`Plan::maps`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// Size of one picture's feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapShape {
    /// Rows, pixels.
    pub height: usize,
    /// Columns, pixels.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl MapShape {
    /// A map of one pixel.
    pub(crate) const fn pixel(channels: usize) -> Self {
        Self {
            height: 1,
            width: 1,
            channels,
        }
    }

    /// Rows times columns.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Values of one picture.
    pub fn len(&self) -> usize {
        self.pixels() * self.channels
    }

    /// Whether the map has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[height, width, channels]`
    pub(crate) fn axes(&self) -> [usize; 3] {
        [self.height, self.width, self.channels]
    }
}

/// A network: maps, and steps in the order in which they run. A [`Planner`] makes it and checks that its steps fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    maps: Vec<MapShape>,
    steps: Vec<Step>,
    outputs: Vec<Map>,
}

impl Plan {
    /// A planner whose input, [`Planner::input`], has this size.
    pub fn of_input(height: usize, width: usize, channels: usize) -> Planner {
        Planner::new(MapShape {
            height,
            width,
            channels,
        })
    }

    /// Sizes of all maps; the first is the input.
    pub fn maps(&self) -> &[MapShape] {
        &self.maps
    }

    /// Size of a map.
    pub fn shape(&self, map: Map) -> MapShape {
        self.maps[map.0]
    }

    /// Size of the input.
    pub fn input(&self) -> MapShape {
        self.maps[0]
    }

    /// Steps in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Maps whose values are the result, in order.
    pub fn outputs(&self) -> &[Map] {
        &self.outputs
    }

    /// Maps, steps and outputs.
    #[cfg(feature = "std")]
    pub(crate) fn into_parts(self) -> (Vec<MapShape>, Vec<Step>, Vec<Map>) {
        (self.maps, self.steps, self.outputs)
    }

    /// Changes the number of pixels of every map, for a plan over a row whose steps all keep its length.
    ///
    /// # Panics
    ///
    /// If a step looks at more than one pixel and is no [`Sequence`], or changes the length.
    #[track_caller]
    pub fn set_length(&mut self, pixels: usize) {
        for step in &self.steps {
            let keeps = match step {
                Step::LayerNorm { .. } => true,
                Step::Pointwise { gate, shortcut, .. } => {
                    gate.is_none() && shortcut.is_none_or(|shortcut| !shortcut.pooled)
                }
                Step::Sequence(sequence) => sequence.keeps_length(),
                _ => false,
            };
            assert!(keeps, "a step changes the length of a row");
        }
        for map in &mut self.maps {
            assert_eq!(map.height, 1, "rows of a map of variable length");
            map.width = pixels;
        }
    }

    /// The range of each output among the values of one picture's result.
    pub fn output_ranges(&self) -> Vec<Range<usize>> {
        let mut start = 0;
        let mut ranges = Vec::new();
        for map in &self.outputs {
            let end = start + self.shape(*map).len();
            ranges.push(start..end);
            start = end;
        }
        ranges
    }
}

impl From<Plan> for Cow<'_, Plan> {
    fn from(plan: Plan) -> Self {
        Self::Owned(plan)
    }
}

impl<'a> From<&'a Plan> for Cow<'a, Plan> {
    fn from(plan: &'a Plan) -> Self {
        Self::Borrowed(plan)
    }
}

/// Panics where a parameter or a map does not fit.
#[track_caller]
fn expect(what: &str, expected: &[usize], got: &[usize]) {
    assert!(
        expected == got,
        "{what} has shape {got:?}, expected {expected:?}"
    );
}
