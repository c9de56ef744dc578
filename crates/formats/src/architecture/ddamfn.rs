//! MT-DDAMFN: DDAMFN with ten outputs, the backbone of published valence and arousal.
//!
//! Zhang et al., "A dual-direction attention mixed feature network for facial expression recognition" (2023).
//! Inverted residual blocks whose depthwise convolution mixes kernel sizes and whose maps are gated by coordinate
//! attention (Hou et al., "Coordinate attention for efficient mobile network design", 2021). Two more attentions look
//! at the last map; where they differ the larger gate counts.

use affectlens_cpu::Activation;

use super::layer::{Classifier, Convolution, ConvolutionConfig, Padding, Place};
use super::walk::{Beside, CoordinateAttention, Walk};

/// Architecture name in weights files.
pub(super) const NAME: &str = "mt-ddamfn";
/// Length of the embedding.
pub(super) const WIDTH: usize = 512;
/// Side of the input, pixels.
pub(super) const SIDE: u32 = 112;

/// One row of the table: blocks of equal width.
struct Stage {
    /// Place in the published list of features.
    place: usize,
    outputs: usize,
    stride: usize,
    repeats: usize,
    /// Kernel sides and the channels that each of them sees.
    splits: &'static [(usize, usize)],
}

#[rustfmt::skip]
const STAGES: [Stage; 6] = [
    Stage { place: 2, outputs: 64, stride: 2, repeats: 1, splits: &[(3, 64), (5, 32), (7, 32)] },
    Stage { place: 3, outputs: 64, stride: 1, repeats: 9, splits: &[(3, 96), (5, 32)] },
    Stage { place: 4, outputs: 128, stride: 2, repeats: 1, splits: &[(3, 128), (5, 64), (7, 64)] },
    Stage { place: 5, outputs: 128, stride: 1, repeats: 16, splits: &[(3, 192), (5, 64)] },
    Stage { place: 6, outputs: 256, stride: 2, repeats: 1, splits: &[(3, 256), (5, 256), (7, 256), (9, 256)] },
    Stage { place: 7, outputs: 256, stride: 1, repeats: 6, splits: &[(3, 172), (5, 170), (7, 170)] },
];
const STEM_CHANNELS: usize = 64;
const LAST_CHANNELS: usize = 256;
/// Side of the last map, pixels.
const LAST_SIDE: usize = 7;
/// Attentions that look at the last map.
const HEADS: usize = 2;
/// Added to the variance of batch norms.
const EPSILON: f64 = 1e-5;

/// Walks the network; gives the embedding and, where the weights have a classifier, its outputs: logits, then valence and
/// arousal where there are ten.
pub(super) fn describe<W: Walk>(walk: &mut W, input: &W::Map) -> Result<Vec<W::Map>, W::Error> {
    let stem = ConvolutionConfig::dense(3, STEM_CHANNELS, 3, 2, Activation::Prelu);
    let stem = unit(
        &Place::new("conv_stem", "features.0"),
        stem.padded(Padding::Half),
    );
    let maps = walk.convolution(&stem, input)?;
    let depthwise = ConvolutionConfig::depthwise(STEM_CHANNELS, 3, 1, Activation::Prelu);
    let depthwise = unit(&Place::new("conv_dw", "features.1"), depthwise);
    let mut maps = walk.convolution(&depthwise, &maps)?;
    let mut inputs = STEM_CHANNELS;
    let mut count = 0;
    for stage in STAGES {
        for index in 0..stage.repeats {
            let mut published = format!("features.{}", stage.place);
            if stage.stride == 1 {
                published = format!("{published}.model.{index}");
            }
            let block = Place::new(format!("blocks.{count}"), published);
            maps = describe_block(walk, &block, inputs, &stage, maps)?;
            inputs = stage.outputs;
            count += 1;
        }
    }
    let separate = ConvolutionConfig::pointwise(LAST_CHANNELS, WIDTH, Activation::Prelu);
    let separate = unit(&Place::new("conv_sep", "features.8"), separate);
    let maps = walk.convolution(&separate, &maps)?;
    let mut gates = Vec::with_capacity(HEADS);
    for index in 0..HEADS {
        gates.push(walk.coordinate_attention(&head_attention(index), &maps)?);
    }
    let maps = walk.line_gate(&maps, &gates[0], gates.get(1));
    let head = ConvolutionConfig::depthwise(WIDTH, LAST_SIDE, 1, Activation::Identity);
    let head = unit(
        &Place::new("conv_head", "Linear"),
        head.padded(Padding::None),
    );
    let embedding = walk.convolution(&head, &maps)?;
    // The batch norm of the classes is made and not used.
    let classifier = Classifier {
        width: WIDTH,
        published: &["fc"],
        unused: &["bn"],
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
        outputs,
        stride,
        splits,
        ..
    } = stage;
    let hidden = splits.iter().map(|(_, channels)| channels).sum();
    let expand = ConvolutionConfig::pointwise(inputs, hidden, Activation::Prelu);
    let maps = walk.convolution(&unit(&block.within("conv_pw", "conv"), expand), &input)?;
    let mixed = block.within("conv_dw", "conv_dw");
    let splits = splits.iter().enumerate();
    let mixed: Vec<_> = splits
        .map(|(index, &(kernel, channels))| {
            let config =
                ConvolutionConfig::depthwise(channels, kernel, stride, Activation::Identity);
            mixed
                .convolution(&index.to_string(), config.padded(Padding::Half))
                .published(&format!("mixed_depthwise_conv.{index}"))
                .unbiased()
                .unused(&["bn", "prelu"])
        })
        .collect();
    let maps = walk.mixed_depthwise(&mixed, &maps)?;
    let gates = attention(&block.within("attention", "CA"), hidden);
    let gates = walk.coordinate_attention(&gates, &maps)?;
    let maps = walk.line_gate(&maps, &gates, None);
    let project = ConvolutionConfig::pointwise(hidden, outputs, Activation::Identity);
    walk.convolution_beside(
        &unit(&block.within("conv_pwl", "project"), project),
        &maps,
        Beside::shortcut((stride == 1).then_some(&input)),
    )
}

fn attention(place: &Place, channels: usize) -> CoordinateAttention {
    let squeezed = (channels / 32).max(8);
    let reduce = ConvolutionConfig::pointwise(channels, squeezed, Activation::Hardswish);
    let excite = ConvolutionConfig::pointwise(squeezed, channels, Activation::Sigmoid);
    CoordinateAttention {
        sums: None,
        reduce: place
            .convolution("reduce", reduce)
            .published("conv1")
            .batch_norm("bn1", EPSILON),
        rows: place.convolution("rows", excite).published("conv2"),
        columns: place.convolution("columns", excite).published("conv3"),
    }
}

/// An attention to weighted sums of the last map's lines.
fn head_attention(index: usize) -> CoordinateAttention {
    let head = Place::new(
        format!("heads.{index}"),
        format!("cat_head{index}.CoordAtt"),
    );
    let rows = head.line_sum("row_sums", [WIDTH, 1, 1, LAST_SIDE]);
    let columns = head.line_sum("column_sums", [WIDTH, 1, LAST_SIDE, 1]);
    let attention = attention(&head, WIDTH);
    CoordinateAttention {
        sums: Some([
            rows.published("Linear_h.conv", "Linear_h.bn", EPSILON),
            columns.published("Linear_w.conv", "Linear_w.bn", EPSILON),
        ]),
        reduce: attention.reduce.unused(&["Linear.conv", "Linear.bn"]),
        ..attention
    }
}

/// The publisher's unit of a convolution, batch norm and maybe PReLU.
fn unit(place: &Place, config: ConvolutionConfig) -> Convolution {
    let layer = place
        .convolution("", config)
        .published("conv")
        .unbiased()
        .batch_norm("bn", EPSILON);
    match config.activation {
        Activation::Prelu => layer.slopes("prelu"),
        _ => layer,
    }
}
