//! Heads over two streams of features: embeddings of frames, and skeletons or embeddings of the optical flow.
//!
//! The embedding of a frame and the numbers of the second stream lie behind each other in the input. Skeletons first go
//! through a branch of their own; then both streams are joined in each frame, and a BiLSTM or a convolutional network
//! relates the frames.

mod joining;
mod skeletons;

use burn::module::Module;
use burn::nn::Dropout;
use burn::tensor::Tensor;

use super::fusion_kind::{FusionKind, OverTime, SecondStream};
use super::lstm::{self, BiLstm};
use super::parameters::{Names, Source, malformed};
use super::sequence::TemporalNetwork;
use super::tcn::{self, Tcn};
use crate::weights::WeightsError;
use joining::Join;
use skeletons::Skeletons;

/// Numbers of a frame after the streams are joined, unless they only lie beside each other.
const JOINED: usize = 512;

#[derive(Module, Debug)]
pub(super) struct Fusion {
    #[module(skip)]
    kind: FusionKind,
    /// What skeletons go through; embeddings of the flow need nothing.
    skeletons: Option<Skeletons>,
    /// `None` where the streams stay beside each other.
    join: Option<Join>,
    over_time: Frames,
}

/// What relates the frames.
#[derive(Module, Debug)]
enum Frames {
    BiLstm(BiLstm),
    Tcn(Tcn),
}

impl Fusion {
    /// Builds a network of the file's sizes, or of the published sizes if its parameters are random.
    pub(super) fn build(kind: FusionKind, source: &mut Source) -> Result<Self, WeightsError> {
        let features = source.sizes(Some, |_| Ok(None))?;
        let skeletons = match kind.stream() {
            SecondStream::Skeletons => Some(Skeletons::build(kind.joining(), source)?),
            SecondStream::Flow => None,
        };
        // Numbers of the frames, and of the second stream when it is joined.
        let widths = features.map(|features| {
            let second = kind.stream().width();
            let branch = skeletons.as_ref().map_or(second, Skeletons::outputs);
            [features - second, branch]
        });
        let join = Join::build(kind.joining(), widths, JOINED, source)?;
        let joined = match &join {
            Some(join) => Some(join.outputs()),
            None => widths.map(|widths| widths.into_iter().sum()),
        };
        let network = Self {
            over_time: Frames::build(kind.over_time(), joined, source)?,
            kind,
            skeletons,
            join,
        };
        network.check()?;
        Ok(network)
    }

    pub(super) fn kind(&self) -> FusionKind {
        self.kind
    }

    /// Confirms that what is joined has the widths that the layers before and after it have.
    fn check(&self) -> Result<(), WeightsError> {
        let taken = self.over_time.features();
        if let Some(join) = &self.join
            && join.outputs() != taken
        {
            let given = join.outputs();
            return Err(malformed(format!(
                "network over time takes {taken} values per frame, expected {given}, as the fusion gives"
            )));
        }
        let second = self.skeletons.as_ref().map_or(0, Skeletons::outputs);
        if self.joint() <= second {
            return Err(malformed(format!(
                "fusion takes {} values per frame, expected more than the {second} of its second stream",
                self.joint()
            )));
        }
        match self.join.as_ref().and_then(Join::second) {
            Some(got) if self.skeletons.is_some() && got != second => Err(malformed(format!(
                "fusion takes {got} values of the second stream, expected {second}, as its projection gives"
            ))),
            _ => Ok(()),
        }
    }

    /// Numbers of a frame and of the second stream where they are joined.
    fn joint(&self) -> usize {
        match &self.join {
            Some(join) => join.inputs(),
            None => self.over_time.features(),
        }
    }
}

impl TemporalNetwork for Fusion {
    fn features(&self) -> usize {
        match &self.skeletons {
            Some(branch) => self.joint() - branch.outputs() + branch.inputs(),
            None => self.joint(),
        }
    }

    fn names(&self) -> Names<'_> {
        let mut names = self.over_time.inner().names();
        if let Some(branch) = &self.skeletons {
            branch.add_names(&mut names);
        }
        if let Some(join) = &self.join {
            join.add_names(&mut names);
        }
        names
    }

    fn forward(&self, features: Tensor<3>, dropout: &Dropout) -> Tensor<3> {
        let both = match &self.skeletons {
            Some(branch) => {
                let frames = self.joint() - branch.outputs();
                let second = features.clone().narrow(2, frames, branch.inputs());
                let second = branch.forward(second, dropout);
                Tensor::cat(vec![features.narrow(2, 0, frames), second], 2)
            }
            None => features,
        };
        let joined = match &self.join {
            Some(join) => join.forward(both, dropout),
            None => both,
        };
        self.over_time.inner().forward(joined, dropout)
    }
}

impl Frames {
    /// Over `features` numbers a frame, or over as many as the file has.
    fn build(
        kind: OverTime,
        features: Option<usize>,
        source: &mut Source,
    ) -> Result<Self, WeightsError> {
        let published = |features: Option<usize>| features.expect("a seed comes with a width");
        Ok(match kind {
            OverTime::BiLstm => {
                let new = |_| lstm::Sizes::published(published(features));
                let sizes = source.sizes(new, BiLstm::stored_sizes)?;
                Self::BiLstm(BiLstm::build(sizes, source)?)
            }
            OverTime::Tcn => {
                let new = |_| tcn::Sizes::published(published(features));
                let sizes = source.sizes(new, tcn::Sizes::from_weights)?;
                Self::Tcn(Tcn::build(sizes, source)?)
            }
        })
    }

    fn inner(&self) -> &dyn TemporalNetwork {
        match self {
            Self::BiLstm(network) => network,
            Self::Tcn(network) => network,
        }
    }

    fn features(&self) -> usize {
        self.inner().features()
    }
}
