//! Networks that look at clips of frames, and their layers.
//!
//! The frames of a clip stand below each other in a map. The networks give features of several moments: one map of
//! `[moments, 1, width]`, before any interpolation to the clip's frames.

mod resnet;
mod s3d;
mod slowfast;

use super::walk::Walk;

pub use super::clip_layer::{ClipConvolution, ClipConvolutionConfig, ClipPool};

/// Side of the input, pixels.
const SIDE: u32 = 224;

/// Clip networks, as weights files and the command line name them.
pub const CLIP_NAMES: [&str; 4] = [
    ClipConfig::R3D_18.name,
    ClipConfig::R2PLUS1D_18.name,
    ClipConfig::S3D.name,
    ClipConfig::SLOWFAST_R50.name,
];

/// Which network over clips, and of how many frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipConfig {
    /// Architecture name in weights files.
    pub name: &'static str,
    /// Frames of a clip.
    pub frames: usize,
    /// Side of a frame, pixels.
    pub side: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ResNet {
        is_factored: bool,
        /// Channels of the stem.
        channels: usize,
    },
    S3d,
    SlowFast,
}

impl ClipConfig {
    /// R3D-18 over 16 frames: 2 moments of 512 features.
    pub const R3D_18: Self = Self {
        name: "r3d-18",
        frames: 16,
        side: SIDE,
        kind: Kind::ResNet {
            is_factored: false,
            channels: resnet::CHANNELS,
        },
    };
    /// R(2+1)D-18 over 16 frames: 2 moments of 512 features.
    pub const R2PLUS1D_18: Self = Self {
        name: "r2plus1d-18",
        kind: Kind::ResNet {
            is_factored: true,
            channels: resnet::CHANNELS,
        },
        ..Self::R3D_18
    };
    /// S3D over 16 frames: 2 moments of 1024 features.
    pub const S3D: Self = Self {
        name: "s3d",
        kind: Kind::S3d,
        ..Self::R3D_18
    };
    /// SlowFast-R50 over 16 frames: 16 moments of 2304 features.
    pub const SLOWFAST_R50: Self = Self {
        name: "slowfast-r50",
        kind: Kind::SlowFast,
        ..Self::R3D_18
    };

    /// R3D-18 with few channels, for tests of training: 32 pixels, 2 moments of 32 features. It has no published weights, so
    /// it is not among [`CLIP_NAMES`].
    #[doc(hidden)]
    pub const TEST: Self = Self {
        name: "r3d-test",
        side: 32,
        kind: Kind::ResNet {
            is_factored: false,
            channels: 4,
        },
        ..Self::R3D_18
    };

    /// The network of that architecture name.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::R3D_18,
            Self::R2PLUS1D_18,
            Self::S3D,
            Self::SLOWFAST_R50,
            Self::TEST,
        ]
        .into_iter()
        .find(|config| config.name == name)
    }

    /// The same over clips of another size.
    #[must_use]
    pub fn of_size(self, frames: usize, side: u32) -> Self {
        Self {
            frames,
            side,
            ..self
        }
    }

    /// Features of a moment.
    pub fn width(&self) -> usize {
        match self.kind {
            Kind::ResNet { channels, .. } => resnet::width(channels),
            Kind::S3d => s3d::WIDTH,
            Kind::SlowFast => slowfast::WIDTH,
        }
    }

    /// Walks the network; gives the features of its moments.
    pub(super) fn describe<W: Walk>(
        &self,
        walk: &mut W,
        input: &W::Map,
    ) -> Result<Vec<W::Map>, W::Error> {
        let features = match self.kind {
            Kind::ResNet {
                is_factored,
                channels,
            } => resnet::describe(walk, is_factored, channels, self.frames, input)?,
            Kind::S3d => s3d::describe(walk, self.frames, input)?,
            Kind::SlowFast => slowfast::describe(walk, self.frames, input)?,
        };
        Ok(vec![features])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{Architecture, Layer, Layers};

    /// Parameters as published, batch norm counted as two numbers a channel.
    fn parameters(config: ClipConfig) -> usize {
        let layers = Layers::new(Architecture::Clip(config)).layers;
        let counts = layers.iter().map(|layer| match layer {
            Layer::Clip(layer) => {
                let shape = layer.config.weight_shape();
                shape.iter().product::<usize>() + 2 * shape[0]
            }
            other => unreachable!("{other:?} in a clip network"),
        });
        counts.sum()
    }

    #[test]
    fn parameter_counts_are_the_published_ones() {
        // Without the 400 classes of Kinetics.
        assert_eq!(parameters(ClipConfig::R3D_18), 33_371_472 - 400 * 513);
        assert_eq!(parameters(ClipConfig::R2PLUS1D_18), 31_505_325 - 400 * 513);
        assert_eq!(parameters(ClipConfig::S3D), 8_320_048 - 400 * 1025);
        // PyTorchVideo's 34.57 million.
        let slowfast = parameters(ClipConfig::SLOWFAST_R50) + 400 * 2305;
        assert_eq!(slowfast, 34_566_488);
    }
}
