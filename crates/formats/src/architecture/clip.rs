//! Networks that look at clips of frames, and their layers.
//!
//! The frames of a clip stand below each other in a map. The networks give features of several moments: one map of
//! `[moments, 1, width]`, before any interpolation to the clip's frames.

mod resnet;
mod s3d;
mod slowfast;
mod swin;
mod swin_windows;
mod videomae;
mod videomae_file;

use super::walk::Walk;
use crate::element::malformed;
use crate::error::WeightsError;
use crate::metadata::Metadata;
use swin::SwinConfig;

pub use super::clip_layer::{ClipConvolution, ClipConvolutionConfig, ClipPool};
pub use videomae::VideoMaeConfig;

/// Side of the input, pixels.
const SIDE: u32 = 224;

/// Clip networks, as weights files and the command line name them.
pub const CLIP_NAMES: [&str; 7] = [
    ClipConfig::R3D_18.name,
    ClipConfig::R2PLUS1D_18.name,
    ClipConfig::S3D.name,
    ClipConfig::SLOWFAST_R50.name,
    ClipConfig::VIDEOMAE_SMALL.name,
    ClipConfig::VIDEOMAE_CRIME.name,
    ClipConfig::SWIN3D_T.name,
];

/// Key of [`Metadata::extra`]: the config of a network whose sizes its name does not say, JSON under the publisher's names.
pub const CONFIG: &str = "config";

/// Which network over clips, and of how many frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipConfig {
    /// Architecture name in weights files.
    pub name: &'static str,
    /// Frames of a clip.
    pub frames: usize,
    /// Side of a frame, pixels.
    pub side: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    ResNet {
        is_factored: bool,
        /// Channels of the stem.
        channels: usize,
    },
    S3d(s3d::Size),
    SlowFast {
        /// Channels of the slow pathway's stem.
        channels: usize,
    },
    VideoMae(VideoMaeConfig),
    Swin(SwinConfig),
}

impl ClipConfig {
    const ALL: [Self; 13] = [
        Self::R3D_18,
        Self::R2PLUS1D_18,
        Self::S3D,
        Self::SLOWFAST_R50,
        Self::VIDEOMAE_SMALL,
        Self::VIDEOMAE_CRIME,
        Self::SWIN3D_T,
        Self::TEST,
        Self::R2PLUS1D_TEST,
        Self::S3D_TEST,
        Self::SLOWFAST_TEST,
        Self::VIDEOMAE_TEST,
        Self::SWIN3D_TEST,
    ];

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
        kind: Kind::S3d(s3d::Size::PUBLISHED),
        ..Self::R3D_18
    };
    /// SlowFast-R50 over 16 frames: 16 moments of 2304 features.
    pub const SLOWFAST_R50: Self = Self {
        name: "slowfast-r50",
        kind: Kind::SlowFast {
            channels: slowfast::CHANNELS,
        },
        ..Self::R3D_18
    };
    /// VideoMAE-Small over 16 frames: 8 moments of 384 features.
    pub const VIDEOMAE_SMALL: Self = Self {
        name: "videomae-small",
        kind: Kind::VideoMae(VideoMaeConfig::SMALL),
        ..Self::R3D_18
    };
    /// VideoMAE-Crime: a VideoMAE that tells crimes, whose sizes are those of its config. Here they are those of the base.
    pub const VIDEOMAE_CRIME: Self = Self {
        name: "videomae-crime",
        kind: Kind::VideoMae(VideoMaeConfig::BASE),
        ..Self::R3D_18
    };
    /// Video Swin-T over 16 frames: 8 moments of 768 features.
    pub const SWIN3D_T: Self = Self {
        name: "swin3d-t",
        kind: Kind::Swin(SwinConfig::TINY),
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
    /// R(2+1)D with few channels, for the same: 2 moments of 32 features.
    #[doc(hidden)]
    pub const R2PLUS1D_TEST: Self = Self {
        name: "r2plus1d-test",
        kind: Kind::ResNet {
            is_factored: true,
            channels: 4,
        },
        ..Self::TEST
    };
    /// S3D with few channels and blocks, for the same: 2 moments of 104 features.
    #[doc(hidden)]
    pub const S3D_TEST: Self = Self {
        name: "s3d-test",
        kind: Kind::S3d(s3d::Size::SMALL),
        ..Self::TEST
    };
    /// SlowFast with few channels, for the same: 16 moments of 288 features.
    #[doc(hidden)]
    pub const SLOWFAST_TEST: Self = Self {
        name: "slowfast-test",
        kind: Kind::SlowFast { channels: 8 },
        ..Self::TEST
    };
    /// VideoMAE with few channels, for the same: 8 moments of 24 features.
    #[doc(hidden)]
    pub const VIDEOMAE_TEST: Self = Self {
        name: "videomae-test",
        kind: Kind::VideoMae(VideoMaeConfig {
            patch: 8,
            tubelet: 2,
            width: 24,
            layers: 2,
            heads: 3,
            hidden: 48,
            has_norm: false,
        }),
        ..Self::TEST
    };
    /// Video Swin with few channels and layers, for the same: 8 moments of 64 features.
    #[doc(hidden)]
    pub const SWIN3D_TEST: Self = Self {
        name: "swin3d-test",
        kind: Kind::Swin(SwinConfig::TEST),
        ..Self::TEST
    };

    /// The network of that architecture name; of one whose sizes are in its file, with others than those maybe.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|config| config.name == name)
    }

    /// The network of a weights file, with the sizes that the file says; none if it is no network over clips.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] for a file that should say the sizes and does not, or sizes that no network has.
    pub fn of_metadata(metadata: &Metadata) -> Result<Option<Self>, WeightsError> {
        Self::of_published(&metadata.architecture, metadata)
    }

    /// The same of a published file, which does not name its network.
    ///
    /// # Errors
    ///
    /// As [`of_metadata`](Self::of_metadata).
    pub fn of_published(name: &str, metadata: &Metadata) -> Result<Option<Self>, WeightsError> {
        match Self::from_name(name) {
            Some(config) if config.has_config() => {
                let Some(json) = metadata.extra.get(CONFIG) else {
                    let name = config.name;
                    return Err(malformed(
                        "weights",
                        format!(
                            "`{name}` has the sizes that its config says, and there is none (published as config.json)"
                        ),
                    ));
                };
                let (sizes, frames, side) = videomae_file::read(json)?;
                let kind = Kind::VideoMae(sizes);
                Ok(Some(Self { kind, ..config }.of_size(frames, side)))
            }
            config => Ok(config),
        }
    }

    /// Whether the sizes are those of a config, in a network's file or beside it.
    pub fn has_config(&self) -> bool {
        self.name == Self::VIDEOMAE_CRIME.name
    }

    /// The config of a network whose sizes its name does not say, as canonical files have it.
    pub fn config(&self) -> Option<String> {
        match self.kind {
            Kind::VideoMae(config) if self.has_config() => {
                Some(videomae_file::write(config, self.frames, self.side))
            }
            _ => None,
        }
    }

    /// The same VideoMAE with other sizes.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[must_use]
    pub fn of_sizes(self, config: VideoMaeConfig) -> Self {
        assert!(matches!(self.kind, Kind::VideoMae(_)), "a VideoMAE");
        Self {
            kind: Kind::VideoMae(config),
            ..self
        }
    }

    /// The same Video Swin whose layers are left out of samples with up to that probability in training.
    ///
    /// # Panics
    ///
    /// If it is none, or for a probability outside of [0, 1).
    #[must_use]
    pub fn of_stochastic_depth(self, most: f32) -> Self {
        assert!((0.0..1.0).contains(&most), "probability {most}");
        let Kind::Swin(config) = self.kind else {
            panic!("`{}` is no Video Swin", self.name);
        };
        Self {
            kind: Kind::Swin(config.stochastic_depth(most)),
            ..self
        }
    }

    /// Sizes of a VideoMAE.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn videomae(&self) -> Option<VideoMaeConfig> {
        match self.kind {
            Kind::VideoMae(config) => Some(config),
            _ => None,
        }
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
            Kind::S3d(size) => size.width(),
            Kind::SlowFast { channels } => slowfast::width(channels),
            Kind::VideoMae(config) => config.width,
            Kind::Swin(config) => config.width(),
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
            Kind::S3d(size) => s3d::describe(walk, size, self.frames, input)?,
            Kind::SlowFast { channels } => slowfast::describe(walk, channels, self.frames, input)?,
            Kind::VideoMae(config) => config.describe(walk, self.frames, self.side, input)?,
            Kind::Swin(config) => config.describe(walk, self.frames, self.side, input)?,
        };
        Ok(vec![features])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StateDict;
    use crate::architecture::Architecture;

    /// Parameters as published, without classes and running statistics.
    fn parameters(config: ClipConfig) -> usize {
        let layout = StateDict::new(Architecture::Clip(config)).expect("has a state dict");
        let learned = layout
            .parameters()
            .filter(|parameter| !parameter.name.contains(".running_"));
        learned
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum()
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
        assert_eq!(parameters(ClipConfig::SWIN3D_T), 28_158_070 - 400 * 769);
    }

    #[test]
    fn parameter_counts_are_transformers() {
        // `VideoMAEModel` of transformers 4.57.6.
        assert_eq!(parameters(ClipConfig::VIDEOMAE_SMALL), 21_879_168);
        assert_eq!(parameters(ClipConfig::VIDEOMAE_CRIME), 86_225_664);
    }

    #[test]
    fn sizes_are_those_of_the_file() {
        let read = |name: &str, config: Option<&str>| {
            let metadata = Metadata {
                architecture: name.to_owned(),
                extra: config
                    .map(|json| (CONFIG.to_owned(), json.to_owned()))
                    .into_iter()
                    .collect(),
                ..Metadata::default()
            };
            ClipConfig::of_metadata(&metadata)
        };
        let crime = read(
            "videomae-crime",
            Some(
                r#"{"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536, "num_frames": 8}"#,
            ),
        );
        let crime = crime.expect("sizes").expect("a network over clips");
        assert_eq!(
            (crime.name, crime.frames, crime.side),
            ("videomae-crime", 8, 224)
        );
        assert_eq!(crime.videomae(), Some(VideoMaeConfig::SMALL));
        let again = read("videomae-crime", crime.config().as_deref());
        assert_eq!(again.expect("its own"), Some(crime));
        let small = read("videomae-small", None).expect("named");
        assert_eq!(small, Some(ClipConfig::VIDEOMAE_SMALL));
        assert_eq!(small.and_then(|config| config.config()), None);
        assert_eq!(read("resnet18", None).expect("no clip"), None);
        let error = read("videomae-crime", None).expect_err("which sizes?");
        assert_eq!(
            error.to_string(),
            "weights file is malformed: `videomae-crime` has the sizes that its config says, and there is none (published as \
             config.json)"
        );
    }
}
