//! MobileNetV1 to be trained for expressions, on grey pictures.

use affectlens_formats::architecture::{Architecture, Layers};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::layer::PlainConvolution;
use crate::backbone::{Facts, MobileNetConfig, Parameters};
use crate::weights::{Metadata, Weights, WeightsError};

/// Luminance of red, green and blue (ITU-R BT.601).
const LUMINANCE: [f32; 3] = [0.299, 0.587, 0.114];
/// What is trained and written.
const TRAINED: Architecture = Architecture::MobileNetV1(MobileNetConfig::EXPRESSION);
/// Share of a batch in the running statistics.
const MOMENTUM: f64 = 0.02;

/// MobileNetV1 with one grey channel in, and a batch norm in every layer.
///
/// Canonical weights have their batch norms folded; [`restore`](Self::restore) puts new ones in that change nothing at
/// first, [`to_weights`](Self::to_weights) folds them again. Colour changes nothing in the weights that are written: each
/// channel of a picture counts by its luminance.
///
/// On a device with gradients batch norms take the batch's statistics and remember them as PyTorch's do; elsewhere, and
/// after [`Module::valid`], they use what they remember.
#[derive(Module, Debug)]
pub struct GreyBackbone {
    layers: Vec<PlainConvolution>,
    #[module(skip)]
    names: Vec<String>,
}

impl GreyBackbone {
    /// Takes canonical weights of `faceres`, or of `expression-mobilenet` to train it on; `pictures` give the statistics of
    /// the new batch norms.
    ///
    /// # Shapes
    ///
    /// - pictures: `[batch, 1, side, side]`, as for [`forward`](Self::forward)
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for another architecture, or a missing, misshapen or unexpected parameter.
    pub fn restore(
        weights: &Weights,
        pictures: Tensor<4>,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        if MobileNetConfig::from_name(&weights.metadata.architecture).is_none() {
            weights.expect_architecture(MobileNetConfig::FACERES.name)?;
        }
        let mut parameters = Parameters::new(weights);
        let (mut layers, mut names) = (Vec::new(), Vec::new());
        let mut maps = pictures.without_autodiff();
        let plain = maps.device();
        for layer in Layers::new(TRAINED).convolutions() {
            let shape = layer.config.weight_shape();
            let mut tensor = |part: &str, shape: &[usize]| {
                let values = parameters.values(&format!("{}.{part}", layer.name), shape)?;
                Ok::<_, WeightsError>(Tensor::<1>::from_floats(&*values, &plain))
            };
            let mut weight = tensor("weight", &shape)?.reshape(shape);
            if layers.is_empty() {
                weight = weight.sum_dim(1);
            }
            let bias = tensor("bias", &shape[..1])?;
            let (restored, next) =
                PlainConvolution::restored(layer.config, weight, bias, MOMENTUM, maps);
            layers.push(restored);
            names.push(layer.name);
            maps = next;
        }
        parameters.finish(TRAINED.name())?;
        let network = Self { layers, names };
        Ok(match device.is_autodiff() {
            true => network.train(),
            false => network,
        })
    }

    /// The mean that is subtracted from grey pictures of levels from 0 to 255.
    pub fn mean() -> f32 {
        let facts = TRAINED.facts().expect("a backbone has facts");
        let Facts { normalisation, .. } = facts;
        let channels = normalisation.mean.iter().zip(LUMINANCE);
        channels.map(|(mean, part)| mean * part).sum()
    }

    /// What red, green and blue of a pixel are as one level.
    pub fn grey([red, green, blue]: [u8; 3]) -> f32 {
        let channels = [red, green, blue].into_iter().zip(LUMINANCE);
        channels.map(|(level, part)| f32::from(level) * part).sum()
    }

    /// Length of the embedding.
    pub fn width(&self) -> usize {
        self.layers.last().map_or(0, PlainConvolution::outputs)
    }

    /// Embeds grey faces.
    ///
    /// # Shapes
    ///
    /// - pictures: `[batch, 1, side, side]`, levels from 0 to 255 less [`mean`](Self::mean)
    /// - output: `[batch, 1024]`, not unit length
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let mut maps = pictures;
        for layer in &self.layers {
            maps = layer.forward(maps, None);
        }
        let [batch, channels, height, width] = maps.dims();
        maps.reshape([batch, channels, height * width])
            .mean_dim(2)
            .squeeze_dim(2)
    }

    /// Canonical weights of `expression-mobilenet` for pictures in colour of that side, batch norms folded by what they
    /// remember.
    ///
    /// Reads back from the device.
    ///
    /// # Panics
    ///
    /// If the device is lost.
    pub fn to_weights(&self, side: u32) -> Weights {
        let facts = TRAINED.facts().expect("a backbone has facts");
        let mut weights = Weights::new(Metadata {
            architecture: facts.name.to_owned(),
            input_side: Some(side),
            normalisation: Some(facts.normalisation),
            ..Metadata::default()
        });
        // Running statistics of the last batch are only in what this gives.
        let network = self.valid();
        for (place, (name, layer)) in self.names.iter().zip(&network.layers).enumerate() {
            let (mut weight, bias) = layer.folded();
            if place == 0 {
                let luminance = Tensor::<1>::from_floats(LUMINANCE, &weight.device());
                weight = weight * luminance.reshape([1, LUMINANCE.len(), 1, 1]);
            }
            insert(&mut weights, format!("{name}.weight"), weight);
            insert(&mut weights, format!("{name}.bias"), bias);
        }
        weights
    }
}

fn insert<const D: usize>(weights: &mut Weights, name: String, tensor: Tensor<D>) {
    let shape = tensor.dims().to_vec();
    let values = tensor.into_data().convert::<f32>();
    let values = values.try_into_vec().expect("just converted");
    weights
        .insert(name, shape, values)
        .expect("the shape is the tensor's own");
}
