//! A network's layers as a list.

use std::convert::Infallible;

use affectlens_cpu::Activation;

use super::Architecture;
use super::arrangement::Arrangement;
use super::clip::{ClipConvolution, ClipPool};
use super::layer::{ChannelNorm, Classifier, Convolution, LineSum, PositionTable};
use super::walk::{Beside, CoordinateAttention, MaxPool, SelfAttention, Shortcut, Walk};

/// A layer with weights.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// A convolution.
    Convolution(Convolution),
    /// Weighted sums of lines.
    LineSum(LineSum),
    /// A layer norm.
    Norm(ChannelNorm),
    /// A convolution over a clip.
    Clip(ClipConvolution),
    /// What attention adds to its scores.
    Table(PositionTable),
}

/// All layers of a network with weights.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// In the order in which they run, the classifier left out.
    pub layers: Vec<Layer>,
    /// The classifier, which weights need not have.
    pub classifier: Option<Classifier>,
}

impl Layers {
    /// The layers of a network.
    pub fn new(architecture: Architecture) -> Self {
        let mut list = Self::default();
        let Ok(_) = architecture.describe(&mut list, ());
        list
    }

    /// The convolutions in the order in which they run.
    pub fn convolutions(self) -> Vec<Convolution> {
        let layers = self.layers.into_iter();
        let convolutions = layers.filter_map(|layer| match layer {
            Layer::Convolution(layer) => Some(layer),
            Layer::LineSum(_) | Layer::Norm(_) => None,
            Layer::Clip(_) | Layer::Table(_) => None,
        });
        convolutions.collect()
    }

    fn add_layers<'a>(&mut self, layers: impl IntoIterator<Item = &'a Convolution>) {
        let layers = layers.into_iter().cloned();
        self.layers.extend(layers.map(Layer::Convolution));
    }
}

impl Walk for Layers {
    type Map = ();
    type Error = Infallible;

    fn convolution_beside(
        &mut self,
        layer: &Convolution,
        _input: &(),
        _beside: Beside<'_, ()>,
    ) -> Result<(), Infallible> {
        self.add_layers([layer]);
        Ok(())
    }

    fn mixed_depthwise(&mut self, layers: &[Convolution], _input: &()) -> Result<(), Infallible> {
        self.add_layers(layers);
        Ok(())
    }

    fn separable(
        &mut self,
        depthwise: &Convolution,
        pointwise: &Convolution,
        _input: &(),
        _shortcut: Shortcut<'_, ()>,
    ) -> Result<(), Infallible> {
        self.add_layers([depthwise, pointwise]);
        Ok(())
    }

    fn stacked(
        &mut self,
        layers: &[Convolution],
        _groups: usize,
        _input: &(),
    ) -> Result<(), Infallible> {
        self.add_layers(layers);
        Ok(())
    }

    fn squeeze_excite(
        &mut self,
        reduce: &Convolution,
        excite: &Convolution,
        _input: &(),
    ) -> Result<(), Infallible> {
        self.add_layers([reduce, excite]);
        Ok(())
    }

    fn coordinate_attention(
        &mut self,
        layers: &CoordinateAttention,
        _input: &(),
    ) -> Result<(), Infallible> {
        let sums = layers.sums.iter().flatten().cloned();
        self.layers.extend(sums.map(Layer::LineSum));
        self.add_layers([&layers.reduce, &layers.rows, &layers.columns]);
        Ok(())
    }

    fn line_gate(&mut self, _input: &(), _gates: &(), _others: Option<&()>) {}

    fn layer_norm(&mut self, norm: &ChannelNorm, _input: &()) -> Result<(), Infallible> {
        self.layers.push(Layer::Norm(norm.clone()));
        Ok(())
    }

    fn max_pool(&mut self, _pool: MaxPool, _input: &()) {}

    fn unpacked_separable(
        &mut self,
        depthwise: &Convolution,
        pointwise: &Convolution,
        _input: &(),
    ) -> Result<(), Infallible> {
        self.add_layers([depthwise, pointwise]);
        Ok(())
    }

    fn enlarge(&mut self, _input: &(), _activation: Activation, _addend: &()) {}

    fn add(&mut self, _first: &(), _second: &()) {}

    fn average(&mut self, _input: &()) {}

    #[cfg(not(target_family = "wasm"))]
    fn convolution_of_two(
        &mut self,
        layer: &Convolution,
        _first: &(),
        _second: &(),
    ) -> Result<(), Infallible> {
        self.add_layers([layer]);
        Ok(())
    }

    #[cfg(not(target_family = "wasm"))]
    fn unfold(&mut self, _input: &(), _patch: usize) {}

    #[cfg(not(target_family = "wasm"))]
    fn fold(&mut self, _input: &(), _patch: usize, _picture: &()) {}

    fn arrange(&mut self, _arrangement: &Arrangement, _input: &()) {}

    fn attention(
        &mut self,
        layers: &SelfAttention,
        _input: &(),
        _addend: &(),
    ) -> Result<(), Infallible> {
        self.add_layers(layers.all.iter().chain([&layers.output]));
        let table = layers.bias.iter().map(|bias| bias.table.clone());
        self.layers.extend(table.map(Layer::Table));
        Ok(())
    }

    fn clip_convolution(
        &mut self,
        layer: &ClipConvolution,
        _input: &(),
        _shortcut: Option<&()>,
    ) -> Result<(), Infallible> {
        self.layers.push(Layer::Clip(layer.clone()));
        Ok(())
    }

    fn clip_max_pool(&mut self, _pool: ClipPool, _input: &()) {}

    fn frame_average(&mut self, _frames: usize, _input: &()) {}

    fn interpolate_frames(&mut self, _frames: [usize; 2], _input: &()) {}

    fn join(&mut self, _inputs: &[()]) {}

    fn concatenate(&mut self, _first: &(), _second: &()) {}

    fn classifier(
        &mut self,
        classifier: &Classifier,
        _embedding: &(),
    ) -> Result<Option<()>, Infallible> {
        self.classifier = Some(classifier.clone());
        Ok(None)
    }
}
