//! Steps over pixels in their order.

use alloc::vec::Vec;

use super::Planner;
use crate::Activation;
use crate::graph::{Map, MapShape, ScoreBias, Sequence, Step, Weighted, expect};

impl Planner {
    /// Adds a [`Sequence::Convolution`].
    ///
    /// # Panics
    ///
    /// If the map has more than one row, or fewer pixels than the kernel.
    #[track_caller]
    pub fn line_convolution(
        &mut self,
        input: Map,
        kernel: usize,
        stride: usize,
        weighted: Weighted,
    ) -> Map {
        let from = self.row(input);
        let outputs = weighted.bias.len();
        weighted.check(kernel * from.channels * outputs, outputs);
        assert!(
            kernel > 0 && stride > 0 && from.width >= kernel,
            "a kernel of {kernel} and stride {stride} does not fit into a row of {}",
            from.width
        );
        let output = self.add(MapShape {
            height: 1,
            width: (from.width - kernel) / stride + 1,
            channels: outputs,
        });
        self.steps.push(Step::Sequence(Sequence::Convolution {
            input,
            output,
            kernel,
            stride,
            weighted,
        }));
        output
    }

    /// Adds a [`Sequence::GroupedConvolution`].
    ///
    /// # Panics
    ///
    /// If the map has more than one row, the channels cannot be divided into the groups, the kernel lies in the padding, or
    /// the activation has slopes.
    #[track_caller]
    pub fn grouped_convolution(
        &mut self,
        input: Map,
        [kernel, padding, groups]: [usize; 3],
        weighted: Weighted,
        addend: Option<Map>,
    ) -> Map {
        let from = self.row(input);
        let outputs = weighted.bias.len();
        assert!(
            groups > 0
                && from.channels.is_multiple_of(groups)
                && outputs.is_multiple_of(groups)
                && kernel > padding
                && weighted.activation != Activation::Prelu,
            "a kernel of {kernel} with padding {padding} in {groups} groups does not fit to {} and {outputs} channels",
            from.channels
        );
        weighted.check(kernel * from.channels / groups * outputs, outputs);
        let shape = MapShape {
            channels: outputs,
            ..from
        };
        if let Some(addend) = addend {
            expect("addend", &shape.axes(), &self.read(addend).axes());
        }
        let output = self.add(shape);
        self.steps
            .push(Step::Sequence(Sequence::GroupedConvolution {
                input,
                output,
                kernel,
                padding,
                groups,
                weighted,
                addend,
            }));
        output
    }

    /// Adds a [`Sequence::Attention`] with nothing added to scores.
    ///
    /// # Panics
    ///
    /// As [`biased_attention`](Self::biased_attention).
    #[track_caller]
    pub fn attention(&mut self, input: Map, heads: usize) -> Map {
        self.biased_attention(input, heads, None)
    }

    /// Adds a [`Sequence::Attention`].
    ///
    /// # Panics
    ///
    /// If the channels are not those of queries, keys and values of that many heads, or what is added does not fit.
    #[track_caller]
    pub fn biased_attention(&mut self, input: Map, heads: usize, bias: Option<ScoreBias>) -> Map {
        let from = self.read(input);
        assert!(
            heads > 0 && from.channels.is_multiple_of(3 * heads),
            "{} channels are not queries, keys and values of {heads} heads",
            from.channels
        );
        if let Some(bias) = &bias {
            bias.check(heads, [from.height, from.width]);
        }
        let output = self.add(MapShape {
            channels: from.channels / 3,
            ..from
        });
        self.steps.push(Step::Sequence(Sequence::Attention {
            input,
            output,
            heads,
            bias,
        }));
        output
    }

    /// Adds a [`Sequence::Arrange`] whose output has `height` and `width`.
    ///
    /// # Panics
    ///
    /// If there is not a place for each pixel, one is outside the map, or what is added is no map of that size.
    #[track_caller]
    pub fn arrange(
        &mut self,
        input: Map,
        [height, width]: [usize; 2],
        places: Vec<Option<u32>>,
        addend: Vec<f32>,
    ) -> Map {
        let from = self.read(input);
        let shape = MapShape {
            height,
            width,
            channels: from.channels,
        };
        expect("places", &[shape.pixels()], &[places.len()]);
        let last = places.iter().flatten().max();
        assert!(
            last.is_none_or(|last| (*last as usize) < from.pixels()),
            "place {last:?} of a map of {} pixels",
            from.pixels()
        );
        if !addend.is_empty() {
            expect("addend", &[shape.len()], &[addend.len()]);
        }
        let output = self.add(shape);
        self.steps.push(Step::Sequence(Sequence::Arrange {
            input,
            output,
            places,
            addend,
        }));
        output
    }

    /// Adds a [`Sequence::Unfold`].
    ///
    /// # Panics
    ///
    /// If patches have no side.
    #[track_caller]
    pub fn unfold(&mut self, input: Map, patch: usize) -> Map {
        let from = self.read(input);
        let output = self.add(unfolded(from, patch));
        self.steps.push(Step::Sequence(Sequence::Unfold {
            input,
            output,
            patch,
        }));
        output
    }

    /// Adds a [`Sequence::Fold`] whose output has `height` and `width`.
    ///
    /// # Panics
    ///
    /// If the map does not hold the patches of such a picture.
    #[track_caller]
    pub fn fold(&mut self, input: Map, patch: usize, [height, width]: [usize; 2]) -> Map {
        let from = self.read(input);
        let shape = MapShape {
            height,
            width,
            channels: from.channels,
        };
        expect("patches", &unfolded(shape, patch).axes(), &from.axes());
        let output = self.add(shape);
        self.steps.push(Step::Sequence(Sequence::Fold {
            input,
            output,
            patch,
        }));
        output
    }

    /// Adds a [`Sequence::Transpose`].
    #[track_caller]
    pub fn transpose(&mut self, input: Map) -> Map {
        let from = self.read(input);
        let output = self.add(MapShape {
            height: 1,
            width: from.channels,
            channels: from.height * from.width,
        });
        self.steps
            .push(Step::Sequence(Sequence::Transpose { input, output }));
        output
    }

    /// Size of a map of one row.
    #[track_caller]
    fn row(&self, map: Map) -> MapShape {
        let shape = self.read(map);
        assert_eq!(shape.height, 1, "rows of a line");
        shape
    }
}

/// Size of a picture's pixels in rows by their place in a patch.
#[track_caller]
fn unfolded(picture: MapShape, patch: usize) -> MapShape {
    assert!(patch > 0, "patches of {patch} pixels a side");
    MapShape {
        height: patch * patch,
        width: picture.height.div_ceil(patch) * picture.width.div_ceil(patch),
        channels: picture.channels,
    }
}
