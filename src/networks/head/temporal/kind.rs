//! Kinds of temporal heads and their names.

use super::fusion_kind::FusionKind;
use crate::weights::{Weights, WeightsError};

/// Prefix of the kind's name in the architecture of a weights file.
const PREFIX: &str = "temporal-";

/// Positions that published transformers learn.
pub(super) const LONGEST_WINDOW: usize = 128;

/// Architecture of a temporal head: how it relates the frames of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemporalKind {
    /// Temporal convolutional network: five residual dilated convolutions of 256 channels with batch norm. A frame sees
    /// 31 frames to each side.
    Tcn,
    /// Two bidirectional LSTM layers of 256 units per direction, then a linear layer.
    BiLstm,
    /// Two bidirectional LSTM layers, then a convolution one frame wide ("v2" of the published 3-D backbones).
    BiLstmConv,
    /// One convolution one frame wide: each frame is classified on its own.
    Conv1d,
    /// Transformer encoder: post-norm layers of width 256 with four attention heads over all frames.
    Transformer {
        /// Number of encoder layers; published are 2, and 3 over ConvNeXt.
        layers: usize,
    },
    /// [`BiLstm`](Self::BiLstm) with a conditional random field over its logits.
    Crf,
    /// Motion head, our own, for few training clips: changes from frame to frame, pooled over the window, through a
    /// small convolutional network and a linear model.
    Motion,
    /// Linear model of [`Motion`](Self::Motion) alone: logistic regression on mean absolute changes.
    MotionLinear,
    /// Two streams of features, joined in each frame, then a network over time.
    Fusion(FusionKind),
}

impl TemporalKind {
    /// All kinds that read one stream of features, the transformer with its default number of layers; those that read two
    /// are in [`FusionKind::ALL`].
    pub const ALL: [Self; 8] = [
        Self::Tcn,
        Self::BiLstm,
        Self::BiLstmConv,
        Self::Conv1d,
        Self::Transformer { layers: 2 },
        Self::Crf,
        Self::Motion,
        Self::MotionLinear,
    ];

    /// Name in files and options; the architecture in weights files is `temporal-` followed by it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcn => "tcn",
            Self::BiLstm => "bilstm",
            Self::BiLstmConv => "bilstm-conv",
            Self::Conv1d => "conv1d",
            Self::Transformer { .. } => "transformer",
            Self::Crf => "crf",
            Self::Motion => "motion",
            Self::MotionLinear => "motion-linear",
            Self::Fusion(kind) => kind.name(),
        }
    }

    /// Parses a name; a transformer gets two layers.
    pub fn from_name(name: &str) -> Option<Self> {
        let fusions = FusionKind::ALL.into_iter().map(Self::Fusion);
        let mut kinds = Self::ALL.into_iter().chain(fusions);
        kinds.find(|kind| kind.name() == name)
    }

    /// How it joins a second stream of features to that of the frames; `None` if it reads one stream.
    pub fn fusion(self) -> Option<FusionKind> {
        match self {
            Self::Fusion(kind) => Some(kind),
            _ => None,
        }
    }

    /// Largest number of frames in a window of a new head, the number of positions of a transformer; `None` without a limit.
    pub fn longest_window(self) -> Option<usize> {
        match self {
            Self::Transformer { .. } => Some(LONGEST_WINDOW),
            _ => None,
        }
    }

    /// Architecture in weights files.
    pub(super) fn architecture(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    /// The kind of head that weights are of.
    pub(super) fn of(weights: &Weights) -> Result<Self, WeightsError> {
        let architecture = &weights.metadata.architecture;
        Self::from_architecture(architecture).ok_or_else(|| WeightsError::Architecture {
            expected: Self::ALL.map(Self::architecture).join("` or `"),
            got: architecture.clone(),
        })
    }

    /// Parses the architecture in a weights file; a transformer gets two layers.
    pub fn from_architecture(architecture: &str) -> Option<Self> {
        Self::from_name(architecture.strip_prefix(PREFIX)?)
    }
}
