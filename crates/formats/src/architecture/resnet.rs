//! ResNet-18, for whole frames.
//!
//! He et al., "Deep residual learning for image recognition" (2016), table 1: four stages of two basic blocks. Names and
//! padding are torchvision's.

use affectlens_cpu::Activation;

use super::layer::{Classifier, Convolution, ConvolutionConfig, Padding, Place};
use super::walk::{Beside, MaxPool, Walk};

/// Architecture name in weights files.
pub(super) const NAME: &str = "resnet18";
/// Side of the input, pixels.
pub(super) const SIDE: u32 = 224;
/// Length of the embedding.
pub(super) const WIDTH: usize = 512;

const STEM_CHANNELS: usize = 64;
const BLOCKS_OF_A_STAGE: usize = 2;
/// Channels of each stage, and the stride of its first block.
const STAGES: [(usize, usize); 4] = [(64, 1), (128, 2), (256, 2), (512, 2)];
/// The pooling after the stem.
const POOL: MaxPool = MaxPool {
    kernel: 3,
    stride: 2,
    padding: 1,
};
/// Added to the variance of batch norms.
const EPSILON: f64 = 1e-5;

/// Walks the network; gives the embedding and, where the weights have a classifier, the logits.
pub(super) fn describe<W: Walk>(walk: &mut W, input: &W::Map) -> Result<Vec<W::Map>, W::Error> {
    let stem = convolution([3, STEM_CHANNELS], 7, 2, Activation::Relu);
    let stem = normalised(&Place::default(), "conv1", "bn1", stem);
    let maps = walk.convolution(&stem, input)?;
    let mut maps = walk.max_pool(POOL, &maps);
    let mut inputs = STEM_CHANNELS;
    for (stage, (channels, first_stride)) in STAGES.into_iter().enumerate() {
        for index in 0..BLOCKS_OF_A_STAGE {
            let stride = if index == 0 { first_stride } else { 1 };
            let block = Place::same(format!("layer{}.{index}", stage + 1));
            maps = describe_block(walk, &block, [inputs, channels], stride, maps)?;
            inputs = channels;
        }
    }
    let embedding = walk.average(&maps);
    let classifier = Classifier {
        width: WIDTH,
        published: &["fc"],
        unused: &[],
    };
    let logits = walk.classifier(&classifier, &embedding)?;
    Ok([embedding].into_iter().chain(logits).collect())
}

fn describe_block<W: Walk>(
    walk: &mut W,
    block: &Place,
    [inputs, channels]: [usize; 2],
    stride: usize,
    maps: W::Map,
) -> Result<W::Map, W::Error> {
    let first = convolution([inputs, channels], 3, stride, Activation::Relu);
    let second = convolution([channels, channels], 3, 1, Activation::Relu);
    // What the shortcut goes through where the sizes change.
    let shortcut = if stride != 1 || inputs != channels {
        let halve = convolution([inputs, channels], 1, stride, Activation::Identity);
        let halve = normalised(block, "downsample", "downsample.1", halve);
        walk.convolution(&halve.published("downsample.0"), &maps)?
    } else {
        maps.clone()
    };
    let inner = walk.convolution(&normalised(block, "conv1", "bn1", first), &maps)?;
    walk.convolution_beside(
        &normalised(block, "conv2", "bn2", second),
        &inner,
        Beside::shortcut(Some(&shortcut)),
    )
}

fn convolution(
    [inputs, outputs]: [usize; 2],
    kernel: usize,
    stride: usize,
    activation: Activation,
) -> ConvolutionConfig {
    ConvolutionConfig::dense(inputs, outputs, kernel, stride, activation).padded(Padding::Half)
}

fn normalised(
    place: &Place,
    name: &str,
    batch_norm: &str,
    config: ConvolutionConfig,
) -> Convolution {
    let layer = place.convolution(name, config).unbiased();
    layer.batch_norm(batch_norm, EPSILON)
}
