//! MobileFaceNet at double width, EmotiEffLib's `mbf_va_mtl`.
//!
//! Chen et al., "MobileFaceNets: Efficient CNNs for accurate real-time face verification on mobile devices" (2018),
//! table 1. Inverted residual blocks with PReLU; a depthwise convolution over the whole last map instead of the
//! average, and a fully connected layer. In the publisher's container are `features` and `fc`.

use affectlens_cpu::Activation;

use super::layer::{Classifier, Convolution, ConvolutionConfig, Padding, Place};
use super::walk::{Beside, Walk};

/// Architecture name in weights files.
pub(super) const NAME: &str = "mobilefacenet";
/// Length of the embedding.
pub(super) const WIDTH: usize = 512;
/// Side of the input, pixels.
pub(super) const SIDE: u32 = 112;

/// One row of the table: blocks of equal width.
struct Stage {
    /// Place in the published list of layers.
    place: usize,
    hidden: usize,
    outputs: usize,
    stride: usize,
    repeats: usize,
}

#[rustfmt::skip]
const STAGES: [Stage; 6] = [
    Stage { place: 2, hidden: 128, outputs: 128, stride: 2, repeats: 1 },
    Stage { place: 3, hidden: 128, outputs: 128, stride: 1, repeats: 4 },
    Stage { place: 4, hidden: 256, outputs: 256, stride: 2, repeats: 1 },
    Stage { place: 5, hidden: 256, outputs: 256, stride: 1, repeats: 6 },
    Stage { place: 6, hidden: 512, outputs: 256, stride: 2, repeats: 1 },
    Stage { place: 7, hidden: 256, outputs: 256, stride: 1, repeats: 2 },
];
const STEM_CHANNELS: usize = 128;
const LAST_CHANNELS: usize = 256;
/// Side of the last map, pixels.
const LAST_SIDE: usize = 7;
/// Added to the variance of batch norms.
const EPSILON: f64 = 1e-5;

/// Walks the network; gives the embedding and, where the weights have a classifier, its outputs: logits, then valence and
/// arousal where there are ten.
pub(super) fn describe<W: Walk>(walk: &mut W, input: &W::Map) -> Result<Vec<W::Map>, W::Error> {
    let features = Place::new("", "features");
    let stem = ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Prelu);
    let stem = unit(
        &features.within("conv_stem", "layers.0"),
        stem.padded(Padding::Half),
    );
    let maps = walk.convolution(&stem, input)?;
    let pairs = ConvolutionConfig::pairwise(STEM_CHANNELS, Activation::Prelu);
    let pairs = unit(&features.within("conv_pairs", "layers.1"), pairs);
    let mut maps = walk.convolution(&pairs, &maps)?;
    let mut inputs = STEM_CHANNELS;
    let mut count = 0;
    for stage in STAGES {
        for index in 0..stage.repeats {
            let mut published = format!("layers.{}", stage.place);
            if stage.stride == 1 {
                published = format!("{published}.layers.{index}");
            }
            let block = features.within(&format!("blocks.{count}"), &published);
            maps = describe_block(walk, &block, inputs, &stage, maps)?;
            inputs = stage.outputs;
            count += 1;
        }
    }
    let separate = ConvolutionConfig::pointwise(LAST_CHANNELS, WIDTH, Activation::Prelu);
    let separate = unit(&features.within("conv_sep", "conv_sep"), separate);
    let maps = walk.convolution(&separate, &maps)?;
    let head = ConvolutionConfig::depthwise(WIDTH, LAST_SIDE, 1, Activation::Identity);
    let head = unit(
        &features.within("conv_head", "features.layers.0"),
        head.padded(Padding::None),
    );
    let maps = walk.convolution(&head, &maps)?;
    let embed = ConvolutionConfig::pointwise(WIDTH, WIDTH, Activation::Identity);
    let embed = features
        .within("embed", "features.layers")
        .convolution("", embed)
        .published("2")
        .dense()
        .unbiased()
        .batch_norm("3", EPSILON);
    let embedding = walk.convolution(&embed, &maps)?;
    let classifier = Classifier {
        width: WIDTH,
        published: &["fc"],
        unused: &[],
    };
    let outputs = walk.classifier(&classifier, &embedding)?;
    Ok([embedding].into_iter().chain(outputs).collect())
}

fn describe_block<W: Walk>(
    walk: &mut W,
    block: &Place,
    inputs: usize,
    stage: &Stage,
    input: W::Map,
) -> Result<W::Map, W::Error> {
    let &Stage {
        hidden,
        outputs,
        stride,
        ..
    } = stage;
    let expand = ConvolutionConfig::pointwise(inputs, hidden, Activation::Prelu);
    let depthwise = ConvolutionConfig::depthwise(hidden, 3, stride, Activation::Prelu);
    let project = ConvolutionConfig::pointwise(hidden, outputs, Activation::Identity);
    let maps = walk.convolution(&unit(&block.within("conv_pw", "layers.0"), expand), &input)?;
    let depthwise = unit(
        &block.within("conv_dw", "layers.1"),
        depthwise.padded(Padding::Half),
    );
    let maps = walk.convolution(&depthwise, &maps)?;
    walk.convolution_beside(
        &unit(&block.within("conv_pwl", "layers.2"), project),
        &maps,
        Beside::shortcut((stride == 1).then_some(&input)),
    )
}

/// The publisher's list of a convolution, batch norm and maybe PReLU.
fn unit(place: &Place, config: ConvolutionConfig) -> Convolution {
    let layer = place
        .convolution("", config)
        .published("layers.0")
        .unbiased()
        .batch_norm("layers.1", EPSILON);
    match config.activation {
        Activation::Prelu => layer.slopes("layers.2"),
        _ => layer,
    }
}
