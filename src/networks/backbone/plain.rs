//! Networks in Burn's own operations: what is trained, and what the folded form is compared with.
//!
//! A network keeps its layers in the order in which they run; a forward pass is the walk over its description that takes
//! one after another.

mod grey;
mod layer;
mod walk;

use affectlens_formats::architecture::{Architecture, Classifier, Layer, Layers};
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};

pub use grey::GreyBackbone;

use super::parameters::Parameters;
use crate::weights::{Weights, WeightsError};
use layer::{PlainConvolution, PlainLayer, PlainLineSum, PlainNorm, PlainTable};
use walk::Forward;

/// A network in Burn's own operations.
#[derive(Module, Debug)]
pub struct PlainNetwork {
    layers: Vec<PlainLayer>,
    classifier: Option<PlainClassifier>,
    #[module(skip)]
    architecture: Architecture,
}

#[derive(Module, Debug)]
struct PlainClassifier {
    /// `[outputs, width]`
    weight: Param<Tensor<2>>,
    /// `[outputs]`
    bias: Param<Tensor<1>>,
}

impl PlainNetwork {
    /// Takes canonical weights; their parameters are frozen.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a missing, misshapen or unexpected parameter.
    pub fn load(
        architecture: Architecture,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let mut loader = Loader::new(weights, device, false);
        let network = loader.network(architecture)?;
        loader.parameters.finish(architecture.name())?;
        Ok(network)
    }

    /// Takes a state dict without its classifier, batch norms and layer scales kept beside the convolutions; gives the
    /// published names of what it has taken too, in the order in which layers run.
    pub(super) fn unfolded(
        architecture: Architecture,
        weights: &Weights,
        device: &Device,
    ) -> Result<(Self, Vec<(String, ParamId)>), WeightsError> {
        let mut loader = Loader::new(weights, device, true);
        let network = loader.network(architecture)?;
        Ok((network, loader.ids))
    }

    /// Gives the network's outputs, numbers of a pixel side by side; a backbone's are the embedding and, where the weights
    /// have a classifier, its outputs before softmax.
    ///
    /// # Shapes
    ///
    /// - pictures: `[batch, 3, side, side]`, RGB, normalised
    /// - each output: `[batch, values]`
    pub fn forward(&self, pictures: Tensor<4>) -> Vec<Tensor<2>> {
        let mut walk = Forward::new(&self.layers, self.classifier.as_ref());
        let Ok(outputs) = self.architecture.describe(&mut walk, pictures);
        let flat = |maps: Tensor<4>| maps.permute([0, 2, 3, 1]).flatten(1, 3);
        outputs.into_iter().map(flat).collect()
    }
}

impl PlainClassifier {
    /// `[batch, width, 1, 1]` to `[batch, outputs, 1, 1]`.
    fn forward(&self, embedding: Tensor<4>) -> Tensor<4> {
        let embedding: Tensor<2> = embedding.flatten(1, 3);
        let outputs = embedding.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze();
        let [batch, count] = outputs.dims();
        outputs.reshape([batch, count, 1, 1])
    }
}

/// Reads layers out of a weights table.
struct Loader<'a> {
    parameters: Parameters<'a>,
    device: &'a Device,
    /// Whether the table is a state dict and the network is to be trained.
    is_trained: bool,
    /// Parameters and running statistics in the order in which they were taken.
    ids: Vec<(String, ParamId)>,
}

impl<'a> Loader<'a> {
    fn new(weights: &'a Weights, device: &'a Device, is_trained: bool) -> Self {
        Self {
            parameters: Parameters::new(weights),
            device,
            is_trained,
            ids: Vec::new(),
        }
    }

    fn network(&mut self, architecture: Architecture) -> Result<PlainNetwork, WeightsError> {
        let Layers { layers, classifier } = Layers::new(architecture);
        let layers = layers.iter().map(|layer| self.layer(layer));
        Ok(PlainNetwork {
            layers: layers.collect::<Result<_, _>>()?,
            classifier: match classifier {
                Some(classifier) => self.classifier(&classifier)?,
                None => None,
            },
            architecture,
        })
    }

    fn layer(&mut self, layer: &Layer) -> Result<PlainLayer, WeightsError> {
        Ok(match layer {
            Layer::Convolution(layer) => {
                PlainLayer::Convolution(PlainConvolution::load(layer, self)?)
            }
            Layer::Clip(layer) => {
                PlainLayer::Convolution(PlainConvolution::load_clip(layer, self)?)
            }
            Layer::Norm(norm) => PlainLayer::Norm(PlainNorm::load(norm, self)?),
            Layer::LineSum(sum) => PlainLayer::LineSum(PlainLineSum::load(sum, self)?),
            Layer::Table(table) => PlainLayer::Table(PlainTable::load(table, self)?),
        })
    }

    fn classifier(
        &mut self,
        classifier: &Classifier,
    ) -> Result<Option<PlainClassifier>, WeightsError> {
        let Some(outputs) = self.parameters.rows(Classifier::WEIGHT)? else {
            return Ok(None);
        };
        Ok(Some(PlainClassifier {
            weight: self.take(Classifier::WEIGHT, [outputs, classifier.width])?,
            bias: self.take(Classifier::BIAS, [outputs])?,
        }))
    }

    /// The parameter of that name and shape, frozen unless the network is to be trained.
    fn take<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, WeightsError> {
        self.take_reshaped(name, &shape, shape)
    }

    /// The same with another shape in memory than in the table.
    fn take_reshaped<const D: usize>(
        &mut self,
        name: &str,
        stored: &[usize],
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, WeightsError> {
        let values = self.parameters.values(name, stored)?.to_vec();
        let tensor = Tensor::from_data(TensorData::new(values, shape), self.device);
        let parameter = Param::from_tensor(tensor);
        let parameter = parameter.set_require_grad(self.is_trained);
        self.ids.push((name.to_owned(), parameter.id));
        Ok(parameter)
    }

    fn tensor<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Tensor<D>, WeightsError> {
        let values = self.parameters.values(name, &shape)?.to_vec();
        Ok(Tensor::from_data(
            TensorData::new(values, shape),
            self.device,
        ))
    }
}
