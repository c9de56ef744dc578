//! ResNet-18, for whole frames.
//!
//! He et al., "Deep residual learning for image recognition" (2016), table 1: four stages of two basic blocks. Names and
//! padding are torchvision's.

#[cfg(not(target_family = "wasm"))]
use super::published::{Layer, PublishedNetwork};

use burn::module::Module;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

use super::classifier::Classifier;
use super::convolution::{Convolution, ConvolutionConfig, Padding, pool};
use super::parameters::Parameters;
use crate::kernel::{Activation, Map, Planner, Window};
use crate::weights::{Weights, WeightsError};

const STEM_CHANNELS: usize = 64;
const BLOCKS_OF_A_STAGE: usize = 2;
/// Channels of each stage, and the stride of its first block.
const STAGES: [(usize, usize); 4] = [(64, 1), (128, 2), (256, 2), (512, 2)];
/// Side, stride and padding of the pooling after the stem.
const POOL: (usize, usize, usize) = (3, 2, 1);

/// ResNet-18 with or without its classifier.
#[derive(Module, Debug)]
pub struct ResNet18 {
    stem: Convolution,
    blocks: Vec<Block>,
    classifier: Option<Classifier>,
}

#[derive(Module, Debug)]
struct Block {
    first: Convolution,
    second: Convolution,
    downsample: Option<Convolution>,
}

/// One block, spelled out.
struct BlockConfig {
    /// `layerSTAGE.INDEX`.
    name: String,
    first: ConvolutionConfig,
    second: ConvolutionConfig,
    /// What the shortcut goes through where the sizes change.
    downsample: Option<ConvolutionConfig>,
}

impl ResNet18 {
    /// Architecture name in weights files.
    pub const NAME: &str = "resnet18";
    /// Side of the input, pixels.
    pub const SIDE: u32 = 224;
    /// Length of the embedding.
    pub const WIDTH: usize = 512;

    /// Takes torchvision's parameters with batch norm folded: `conv1`, `layerSTAGE.INDEX.conv1`, `.conv2` and
    /// `.downsample`, and `classifier` where there is one, each with `weight` and `bias`.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for a missing, misshapen or unexpected parameter.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        let mut parameters = Parameters::new(weights);
        let network = Self::take(&mut parameters, device)?;
        parameters.finish(Self::NAME)?;
        Ok(network)
    }

    /// The same without confirming that nothing is left.
    pub(super) fn take(
        parameters: &mut Parameters<'_>,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let mut load = |name: String, convolution: &ConvolutionConfig| {
            convolution.load(&name, parameters, device)
        };
        let stem = load("conv1".to_owned(), &stem())?;
        let mut taken = Vec::new();
        for block in blocks() {
            let name = &block.name;
            let downsample = block.downsample.as_ref();
            let downsample = downsample.map(|config| load(format!("{name}.downsample"), config));
            taken.push(Block {
                downsample: downsample.transpose()?,
                first: load(format!("{name}.conv1"), &block.first)?,
                second: load(format!("{name}.conv2"), &block.second)?,
            });
        }
        Ok(Self {
            stem,
            blocks: taken,
            classifier: Classifier::load(Self::WIDTH, parameters, device)?,
        })
    }

    /// Adds the network to a plan whose map `frames` is as large as [`forward`](Self::forward)'s input; gives the
    /// embedding and, where the weights have a classifier, the logits.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn plan(
        weights: &Weights,
        planner: &mut Planner,
        frames: Map,
    ) -> Result<(Map, Option<Map>), WeightsError> {
        let mut parameters = Parameters::new(weights);
        let maps = stem().plan("conv1", &mut parameters, planner, frames)?;
        let (kernel, stride, padding) = POOL;
        let window = Window::symmetric(planner.shape(maps), kernel, stride, padding);
        let mut maps = planner.max_pool(maps, window);
        for block in blocks() {
            let name = &block.name;
            let shortcut = match block.downsample {
                Some(config) => config.plan(
                    &format!("{name}.downsample"),
                    &mut parameters,
                    planner,
                    maps,
                )?,
                None => maps,
            };
            let first = format!("{name}.conv1");
            let inner = block.first.plan(&first, &mut parameters, planner, maps)?;
            let second = format!("{name}.conv2");
            maps =
                block
                    .second
                    .plan_onto(&second, &mut parameters, planner, inner, Some(shortcut))?;
        }
        let embedding = planner.average(maps);
        let logits = Classifier::plan(&mut parameters, planner, embedding)?;
        parameters.finish(Self::NAME)?;
        Ok((embedding, logits))
    }

    /// Embeds frames.
    ///
    /// # Shapes
    ///
    /// - frames: `[batch, 3, side, side]`, RGB, normalised
    /// - output: `[batch, 512]`, not negative
    pub fn forward(&self, frames: Tensor<4>) -> Tensor<2> {
        let (kernel, stride, padding) = POOL;
        let options = MaxPoolOptions::new([kernel; 2])
            .with_stride([stride; 2])
            .with_padding([padding; 2]);
        let maps = max_pool2d(self.stem.forward(frames), options);
        let blocks = self.blocks.iter();
        pool(blocks.fold(maps, |maps, block| block.forward(maps))).flatten(1, 3)
    }

    /// Classifies embeddings, where the weights have a classifier.
    ///
    /// # Shapes
    ///
    /// - embedding: `[batch, 512]`
    /// - output: `[batch, outputs]`, before softmax
    pub fn classify(&self, embedding: Tensor<2>) -> Option<Tensor<2>> {
        Some(self.classifier.as_ref()?.forward(embedding))
    }
}

impl Block {
    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(maps.clone()),
            None => maps.clone(),
        };
        self.second.forward_onto(self.first.forward(maps), shortcut)
    }
}

fn stem() -> ConvolutionConfig {
    ConvolutionConfig::dense(3, STEM_CHANNELS, 7, 2, Activation::Relu).padded(Padding::Half)
}

fn blocks() -> Vec<BlockConfig> {
    let convolution = |inputs, outputs, kernel, stride, activation| {
        ConvolutionConfig::dense(inputs, outputs, kernel, stride, activation).padded(Padding::Half)
    };
    let mut blocks = Vec::new();
    let mut inputs = STEM_CHANNELS;
    for (stage, (channels, first_stride)) in STAGES.into_iter().enumerate() {
        for index in 0..BLOCKS_OF_A_STAGE {
            let stride = if index == 0 { first_stride } else { 1 };
            blocks.push(BlockConfig {
                name: format!("layer{}.{index}", stage + 1),
                first: convolution(inputs, channels, 3, stride, Activation::Relu),
                second: convolution(channels, channels, 3, 1, Activation::Relu),
                downsample: (stride != 1 || inputs != channels)
                    .then(|| convolution(inputs, channels, 1, stride, Activation::Identity)),
            });
            inputs = channels;
        }
    }
    blocks
}

/// The layers as torchvision names them.
#[cfg(not(target_family = "wasm"))]
pub(super) fn published() -> PublishedNetwork {
    let normalised = |name: String, batch_norm: String, config: &ConvolutionConfig| {
        Layer::new(name, config).unbiased().batch_norm(batch_norm)
    };
    let mut layers = vec![normalised("conv1".to_owned(), "bn1".to_owned(), &stem())];
    for block in blocks() {
        let name = &block.name;
        for (part, config) in [("1", &block.first), ("2", &block.second)] {
            let batch_norm = format!("{name}.bn{part}");
            layers.push(normalised(format!("{name}.conv{part}"), batch_norm, config));
        }
        if let Some(config) = &block.downsample {
            let name = format!("{name}.downsample");
            let layer = normalised(name.clone(), format!("{name}.1"), config);
            layers.push(layer.published(format!("{name}.0")));
        }
    }
    PublishedNetwork {
        name: ResNet18::NAME,
        width: ResNet18::WIDTH,
        epsilon: 1e-5,
        layers,
        classifiers: &["fc"],
        unused: Vec::new(),
        describes_frames: true,
        aliases: Vec::new(),
    }
}
