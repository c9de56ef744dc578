//! Which network finds the points of a body.

use clap::ValueEnum;

use affectlens::pose::PoseVersion;

/// `--pose`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PoseOption {
    /// The fastest, which the published violence systems use.
    #[default]
    Lite,
    /// More exact.
    Full,
    /// The most exact, and the slowest.
    Heavy,
}

impl PoseOption {
    /// The network.
    pub(crate) fn version(self) -> PoseVersion {
        match self {
            Self::Lite => PoseVersion::LITE,
            Self::Full => PoseVersion::FULL,
            Self::Heavy => PoseVersion::HEAVY,
        }
    }
}
