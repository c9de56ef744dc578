use super::{LONGEST_SIDE, MapShape};

/// Pixels that a kernel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Side of the square kernel, pixels.
    pub kernel: usize,
    /// Step between outputs, pixels.
    pub stride: usize,
    /// Pixels of padding above and to the left; what is needed below and to the right follows from the output's size.
    /// Padding is zero.
    pub padding: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
}

impl Window {
    /// TensorFlow's SAME padding: `ceil(side / stride)` outputs, an odd pixel of padding goes below and right.
    pub fn same(input: MapShape, kernel: usize, stride: usize) -> Self {
        let axis = |side: usize| {
            let outputs = side.div_ceil(stride);
            let total = ((outputs - 1) * stride + kernel).saturating_sub(side);
            (outputs, total / 2)
        };
        let ((height, above), (width, left)) = (axis(input.height), axis(input.width));
        Self {
            kernel,
            stride,
            padding: [above, left],
            output: [height, width],
        }
    }

    /// PyTorch's symmetric padding.
    ///
    /// # Panics
    ///
    /// If the kernel is larger than the padded input.
    pub fn symmetric(input: MapShape, kernel: usize, stride: usize, padding: usize) -> Self {
        let axis = |side: usize| {
            let room = (side + 2 * padding).checked_sub(kernel);
            room.expect("the kernel fits into the padded input") / stride + 1
        };
        Self {
            kernel,
            stride,
            padding: [padding; 2],
            output: [axis(input.height), axis(input.width)],
        }
    }

    /// Single pixels of a map of this size.
    pub(crate) fn pixels(shape: MapShape) -> Self {
        Self {
            kernel: 1,
            stride: 1,
            padding: [0, 0],
            output: [shape.height, shape.width],
        }
    }

    /// Panics where every output does not see at least one pixel of the input.
    #[track_caller]
    pub(super) fn check(&self, input: MapShape) {
        let Self { kernel, stride, .. } = *self;
        let refuse =
            |reason: &str| panic!("window of {kernel}x{kernel}, stride {stride}, {reason}");
        if kernel == 0 || stride == 0 {
            refuse("has no extent");
        }
        if kernel > LONGEST_SIDE
            || stride > LONGEST_SIDE
            || self.output.iter().any(|&side| side > LONGEST_SIDE)
        {
            refuse("is too large");
        }
        for (axis, side) in [input.height, input.width].into_iter().enumerate() {
            if self.padding[axis] >= kernel {
                refuse("lies in the padding");
            }
            let last = self.output[axis].saturating_sub(1) * stride;
            if last >= side + self.padding[axis] {
                refuse("reaches past the map");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(side: usize) -> MapShape {
        MapShape {
            height: side,
            width: side,
            channels: 1,
        }
    }

    #[test]
    fn same_padding_matches_the_published_tables() {
        let sizes = |side, kernel, stride| {
            let window = Window::same(square(side), kernel, stride);
            (window.output[0], window.padding[0])
        };
        // EfficientNet-B0 at 224 pixels, then B2 at 260, whose sides are odd.
        assert_eq!(sizes(224, 3, 2), (112, 0));
        assert_eq!(sizes(112, 3, 2), (56, 0));
        assert_eq!(sizes(56, 5, 2), (28, 1));
        assert_eq!(sizes(28, 3, 2), (14, 0));
        assert_eq!(sizes(65, 5, 2), (33, 2));
        assert_eq!(sizes(33, 3, 2), (17, 1));
        assert_eq!(sizes(9, 5, 1), (9, 2));
    }

    #[test]
    fn symmetric_padding_gives_pytorchs_sizes() {
        let size = |side, kernel, stride, padding| {
            Window::symmetric(square(side), kernel, stride, padding).output[0]
        };
        assert_eq!(size(112, 3, 2, 1), 56);
        assert_eq!(size(224, 4, 4, 0), 56);
        assert_eq!(size(7, 7, 1, 0), 1);
        assert_eq!(size(56, 7, 1, 3), 56);
    }
}
