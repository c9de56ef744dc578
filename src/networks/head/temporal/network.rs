//! The network of a temporal head, one of several kinds.

use burn::module::Module;
use burn::nn::Dropout;
use burn::tensor::Tensor;

use super::TemporalKind;
use super::convolution::Pointwise;
use super::crf::Crf;
use super::fusion::Fusion;
use super::lstm::{self, BiLstm, BiLstmConv};
use super::motion::Motion;
use super::parameters::{Names, Source};
use super::sequence::TemporalNetwork;
use super::tcn::{self, Tcn};
use super::transformer::{self, Transformer};
use crate::weights::WeightsError;

#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per head, and it is rarely moved"
)]
pub(super) enum Network {
    Tcn(Tcn),
    BiLstm(BiLstm),
    BiLstmConv(BiLstmConv),
    Conv1d(Pointwise),
    Transformer(Transformer),
    Crf(Crf),
    Motion(Motion),
    Fusion(Fusion),
}

impl Network {
    /// Builds a network of the file's sizes, or of the published sizes if its parameters are random.
    pub(super) fn build(kind: TemporalKind, source: &mut Source) -> Result<Self, WeightsError> {
        Ok(match kind {
            TemporalKind::Tcn => {
                let sizes = source.sizes(tcn::Sizes::published, tcn::Sizes::from_weights)?;
                Self::Tcn(Tcn::build(sizes, source)?)
            }
            TemporalKind::BiLstm => {
                let sizes = source.sizes(lstm::Sizes::published, BiLstm::stored_sizes)?;
                Self::BiLstm(BiLstm::build(sizes, source)?)
            }
            TemporalKind::BiLstmConv => {
                let sizes = source.sizes(lstm::Sizes::published, BiLstmConv::stored_sizes)?;
                Self::BiLstmConv(BiLstmConv::build(sizes, source)?)
            }
            TemporalKind::Conv1d => {
                let features = source.sizes(|features| features, Pointwise::stored_features)?;
                Self::Conv1d(Pointwise::alone(features, source)?)
            }
            TemporalKind::Transformer { layers } => {
                let published = |features| transformer::Sizes::published(features, layers);
                let sizes = source.sizes(published, transformer::Sizes::from_weights)?;
                Self::Transformer(Transformer::build(sizes, source)?)
            }
            TemporalKind::Crf => {
                let sizes = source.sizes(lstm::Sizes::published, BiLstm::stored_sizes)?;
                Self::Crf(Crf::build(sizes, source)?)
            }
            TemporalKind::Motion => {
                let sizes = source.sizes(Motion::network_sizes, tcn::Sizes::from_weights)?;
                Self::Motion(Motion::build(Some(sizes), source)?)
            }
            TemporalKind::MotionLinear => Self::Motion(Motion::build(None, source)?),
            TemporalKind::Fusion(kind) => Self::Fusion(Fusion::build(kind, source)?),
        })
    }

    pub(super) fn kind(&self) -> TemporalKind {
        match self {
            Self::Tcn(_) => TemporalKind::Tcn,
            Self::BiLstm(_) => TemporalKind::BiLstm,
            Self::BiLstmConv(_) => TemporalKind::BiLstmConv,
            Self::Conv1d(_) => TemporalKind::Conv1d,
            Self::Transformer(network) => TemporalKind::Transformer {
                layers: network.layers(),
            },
            Self::Crf(_) => TemporalKind::Crf,
            Self::Motion(network) if network.has_network() => TemporalKind::Motion,
            Self::Motion(_) => TemporalKind::MotionLinear,
            Self::Fusion(network) => TemporalKind::Fusion(network.kind()),
        }
    }

    fn inner(&self) -> &dyn TemporalNetwork {
        match self {
            Self::Tcn(network) => network,
            Self::BiLstm(network) => network,
            Self::BiLstmConv(network) => network,
            Self::Conv1d(network) => network,
            Self::Transformer(network) => network,
            Self::Crf(network) => network,
            Self::Motion(network) => network,
            Self::Fusion(network) => network,
        }
    }
}

impl TemporalNetwork for Network {
    fn features(&self) -> usize {
        self.inner().features()
    }

    fn names(&self) -> Names<'_> {
        self.inner().names()
    }

    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        self.inner().forward(features, dropout)
    }
}
