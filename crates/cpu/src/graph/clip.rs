//! Operations over clips, whose frames stand below each other in a map: a clip of `[frames, height, width, channels]` is a
//! map of `frames * height` rows.

use super::{LONGEST_SIDE, Map, MapShape, Weighted, Window};

/// Frames that a kernel over a clip reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Frames of the input.
    pub frames: usize,
    /// Neighbouring frames that an output sees.
    pub kernel: usize,
    /// Step between outputs, frames.
    pub stride: usize,
    /// Frames that an output sees before its own place. Padding is zero.
    pub padding: usize,
    /// Frames of the output.
    pub output: usize,
}

impl Span {
    /// A single picture.
    pub const PICTURE: Self = Self {
        frames: 1,
        kernel: 1,
        stride: 1,
        padding: 0,
        output: 1,
    };

    /// PyTorch's symmetric padding.
    ///
    /// # Panics
    ///
    /// If the kernel is longer than the padded clip.
    pub fn symmetric(frames: usize, kernel: usize, stride: usize, padding: usize) -> Self {
        let room = (frames + 2 * padding).checked_sub(kernel);
        Self {
            frames,
            kernel,
            stride,
            padding,
            output: room.expect("the kernel fits into the padded clip") / stride + 1,
        }
    }

    /// Size of one frame of a map.
    ///
    /// # Panics
    ///
    /// If the map's rows are not those of so many frames.
    #[track_caller]
    pub fn frame_of(&self, map: MapShape) -> MapShape {
        frame_of(map, self.frames)
    }

    /// Size of the map that a window over each of these frames gives.
    pub(super) fn under(&self, window: Window, channels: usize) -> MapShape {
        let [height, width] = window.output;
        MapShape {
            height: self.output * height,
            width,
            channels,
        }
    }

    /// Panics where every output does not see at least one frame of the input.
    #[track_caller]
    pub(super) fn check(&self) {
        let Self { kernel, stride, .. } = *self;
        let refuse = |reason: &str| panic!("span of {kernel} frames, stride {stride}, {reason}");
        if kernel == 0 || stride == 0 || self.output == 0 {
            refuse("has no extent");
        }
        let longest = kernel.max(stride).max(self.frames).max(self.output);
        if longest > LONGEST_SIDE {
            refuse("is too large");
        }
        if self.padding >= kernel {
            refuse("lies in the padding");
        }
        if (self.output - 1) * stride >= self.frames + self.padding {
            refuse("reaches past the clip");
        }
    }
}

/// Size of one of the frames that stand below each other in a map.
#[track_caller]
pub(super) fn frame_of(map: MapShape, frames: usize) -> MapShape {
    assert!(
        frames > 0 && map.height.is_multiple_of(frames),
        "a map of {} rows is no clip of {frames} frames",
        map.height
    );
    MapShape {
        height: map.height / frames,
        ..map
    }
}

/// An operation over the frames of a clip.
#[derive(Clone, Debug, PartialEq)]
pub enum Clip {
    /// A convolution in three dimensions in which every output channel sees every input channel.
    Convolution {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// Frames that the kernel reads.
        span: Span,
        /// Pixels of each frame that the kernel reads.
        window: Window,
        /// `[kernel of the span, kernel, kernel, inputs, outputs]`
        weighted: Weighted,
        /// Map as large as the output that is added before the activation.
        shortcut: Option<Map>,
    },
    /// The largest pixel of each window over some frames; padding never wins.
    MaxPool {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// Frames that are compared.
        span: Span,
        /// Pixels of each frame that are compared.
        window: Window,
    },
    /// The mean of each channel over the pixels of each frame.
    Average {
        /// Map that is read.
        input: Map,
        /// Map that is written: `[frames, 1, channels]`.
        output: Map,
        /// Frames of the clip.
        frames: usize,
    },
    /// As many frames as wanted, linear between the centres of frames and flat beyond them.
    Interpolate {
        /// Map that is read.
        input: Map,
        /// Map that is written.
        output: Map,
        /// Frames of the input, and of the output.
        frames: [usize; 2],
    },
    /// The channels of several maps of one size after each other.
    Join {
        /// Maps that are read.
        inputs: Vec<Map>,
        /// Map that is written.
        output: Map,
    },
}

impl Clip {
    /// The map that the operation writes.
    pub fn output(&self) -> Map {
        match self {
            Self::Convolution { output, .. }
            | Self::MaxPool { output, .. }
            | Self::Average { output, .. }
            | Self::Interpolate { output, .. }
            | Self::Join { output, .. } => *output,
        }
    }

    /// The maps that the operation reads.
    pub(super) fn inputs(&self) -> Vec<Map> {
        match self {
            Self::Convolution {
                input, shortcut, ..
            } => [Some(*input), *shortcut].into_iter().flatten().collect(),
            Self::MaxPool { input, .. }
            | Self::Average { input, .. }
            | Self::Interpolate { input, .. } => [*input].into(),
            Self::Join { inputs, .. } => inputs.clone(),
        }
    }
}
