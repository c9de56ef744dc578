//! BlazeFace, short range: the face detector for faces within about two metres of the camera.
//!
//! Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019, in the form
//! that MediaPipe publishes: 16 single blocks (depthwise 3x3, pointwise, shortcut) and two heads.

use burn::module::{Module, Param};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

use crate::kernel::{Activation, Map, Plan, Planner, Shortcut, Weighted, Window};
use crate::weights::{ExpectedConvolution, Normalisation, PublishedWeights, Weights, WeightsError};

/// Name of the architecture in a weights file.
pub const ARCHITECTURE: &str = "blazeface-short-range";

/// Side of the square input, pixels.
pub const INPUT_SIDE: u32 = 128;

/// Pixels to `[-1, 1]`.
pub const NORMALISATION: Normalisation = Normalisation {
    mean: [127.5; 3],
    std: [127.5; 3],
};

/// Numbers that the network gives for each anchor: 4 of the box, 2 for each of 6 keypoints, 1 score.
pub const ANCHOR_VALUES: usize = BOX_VALUES + 1;
const BOX_VALUES: usize = 16;

const STEM_CHANNELS: usize = 24;

/// The blocks: channels in, channels out, stride.
const BLOCKS: [(usize, usize, usize); 16] = [
    (24, 24, 1),
    (24, 28, 1),
    (28, 32, 2),
    (32, 36, 1),
    (36, 42, 1),
    (42, 48, 2),
    (48, 56, 1),
    (56, 64, 1),
    (64, 72, 1),
    (72, 80, 1),
    (80, 88, 1),
    (88, 96, 2),
    (96, 96, 1),
    (96, 96, 1),
    (96, 96, 1),
    (96, 96, 1),
];

/// The heads: blocks before it, channels there, cells along each side, anchors in each cell.
pub(super) const HEADS: [(usize, usize, usize, usize); 2] = [(11, 88, 16, 2), (16, 96, 8, 6)];

/// Anchors of both heads.
pub const ANCHORS: usize =
    HEADS[0].2 * HEADS[0].2 * HEADS[0].3 + HEADS[1].2 * HEADS[1].2 * HEADS[1].3;

/// The network.
#[derive(Module, Debug)]
pub struct BlazeFace {
    stem: Conv2d,
    fine_blocks: Vec<Block>,
    fine_head: Conv2d,
    coarse_blocks: Vec<Block>,
    coarse_head: Conv2d,
}

/// Depthwise and pointwise convolution beside a shortcut.
#[derive(Module, Debug)]
struct Block {
    depthwise: Conv2d,
    pointwise: Conv2d,
    pool: Option<MaxPool2d>,
}

impl BlazeFace {
    /// Takes the parameters by their canonical names.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        weights.expect_architecture(ARCHITECTURE)?;
        refuse_unknown(weights)?;
        let mut blocks = BLOCKS
            .iter()
            .enumerate()
            .map(|(index, &row)| Block::load(weights, index, row, device))
            .collect::<Result<Vec<_>, _>>()?;
        let coarse_blocks = blocks.split_off(HEADS[0].0);
        Ok(Self {
            stem: convolution(
                (
                    weights
                        .values("stem.weight", &[STEM_CHANNELS, 3, 5, 5])?
                        .to_vec(),
                    [STEM_CHANNELS, 3, 5, 5],
                ),
                Some(weights.values("stem.bias", &[STEM_CHANNELS])?.to_vec()),
                2,
                1,
                device,
            ),
            fine_blocks: blocks,
            fine_head: load_head(weights, 0, device)?,
            coarse_blocks,
            coarse_head: load_head(weights, 1, device)?,
        })
    }

    /// The network as a plan; its output, `896 * 17` values, is that of [`forward`](Self::forward).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn plan(weights: &Weights) -> Result<Plan, WeightsError> {
        weights.expect_architecture(ARCHITECTURE)?;
        refuse_unknown(weights)?;
        let side = INPUT_SIDE as usize;
        let mut planner = Plan::of_input(side, side, 3);
        let input = planner.input();
        let window = Window::same(planner.shape(input), 5, 2);
        let stem = Weighted::from_outputs_first(
            weights.values("stem.weight", &[STEM_CHANNELS, 3, 5, 5])?,
            weights.values("stem.bias", &[STEM_CHANNELS])?,
            5,
            Activation::Relu,
        );
        let mut maps = planner.convolution(input, window, stem);
        let mut outputs = Vec::new();
        for (index, &row) in BLOCKS.iter().enumerate() {
            if index == HEADS[0].0 {
                outputs.push(plan_head(weights, 0, &mut planner, maps)?);
            }
            maps = Block::plan(weights, index, row, &mut planner, maps)?;
        }
        outputs.push(plan_head(weights, 1, &mut planner, maps)?);
        Ok(planner.finish(&outputs))
    }

    /// Gives box, keypoints and score for each anchor.
    ///
    /// # Shapes
    ///
    /// - pictures: `[batch, 3, 128, 128]`, RGB, normalised by [`NORMALISATION`]
    /// - output: `[batch, 896, 17]`: centre x, centre y, width, height and six keypoints x, y, all in input
    ///   pixels and but for the size relative to the anchor; last the score's logit. Anchors run over the 16x16
    ///   cells row by row, two in each, then over the 8x8 cells, six in each.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<3> {
        let x = relu(self.stem.forward(pictures));
        let fine = self.fine_blocks.iter().fold(x, |x, block| block.forward(x));
        let coarse = self
            .coarse_blocks
            .iter()
            .fold(fine.clone(), |x, block| block.forward(x));
        let fine = anchors_last(self.fine_head.forward(fine));
        let coarse = anchors_last(self.coarse_head.forward(coarse));
        Tensor::cat(vec![fine, coarse], 1)
    }
}

impl Block {
    fn load(
        weights: &Weights,
        index: usize,
        (channels_in, channels_out, stride): (usize, usize, usize),
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let BlockParameters {
            depthwise,
            pointwise,
            bias,
        } = BlockParameters::read(weights, index, (channels_in, channels_out))?;
        Ok(Self {
            depthwise: convolution(
                (depthwise.to_vec(), [channels_in, 1, 3, 3]),
                None,
                stride,
                channels_in,
                device,
            ),
            pointwise: convolution(
                (pointwise.to_vec(), [channels_out, channels_in, 1, 1]),
                Some(bias),
                1,
                1,
                device,
            ),
            pool: (stride > 1).then(|| MaxPool2dConfig::new([stride, stride]).init()),
        })
    }

    fn plan(
        weights: &Weights,
        index: usize,
        (channels_in, channels_out, stride): (usize, usize, usize),
        planner: &mut Planner,
        x: Map,
    ) -> Result<Map, WeightsError> {
        let BlockParameters {
            depthwise,
            pointwise,
            bias,
        } = BlockParameters::read(weights, index, (channels_in, channels_out))?;
        let identity = Activation::Identity;
        let depthwise =
            Weighted::from_outputs_first(depthwise, &vec![0.0; channels_in], 3, identity);
        let pointwise = Weighted::from_outputs_first(pointwise, &bias, 1, Activation::Relu);
        let window = Window::same(planner.shape(x), 3, stride);
        let maps = planner.depthwise(x, window, depthwise);
        let shortcut = Shortcut {
            map: x,
            pooled: stride > 1,
        };
        Ok(planner.gated_pointwise(maps, pointwise, None, Some(shortcut)))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let branch = self.pointwise.forward(self.depthwise.forward(x.clone()));
        let shortcut = match &self.pool {
            Some(pool) => pool.forward(x),
            None => x,
        };
        let added = branch.dims()[1] - shortcut.dims()[1];
        let shortcut = if added > 0 {
            shortcut.pad([(0, 0), (0, added), (0, 0), (0, 0)], 0.0)
        } else {
            shortcut
        };
        relu(branch + shortcut)
    }
}

/// Parameters of a [`Block`].
struct BlockParameters<'a> {
    depthwise: &'a [f32],
    pointwise: &'a [f32],
    bias: Vec<f32>,
}

impl<'a> BlockParameters<'a> {
    fn read(
        weights: &'a Weights,
        index: usize,
        (channels_in, channels_out): (usize, usize),
    ) -> Result<Self, WeightsError> {
        let name = |part: &str| format!("blocks.{index}.{part}");
        let depthwise = weights.values(&name("depthwise.weight"), &[channels_in, 1, 3, 3])?;
        let depthwise_bias = weights.values(&name("depthwise.bias"), &[channels_in])?;
        let pointwise = weights.values(
            &name("pointwise.weight"),
            &[channels_out, channels_in, 1, 1],
        )?;
        let pointwise_bias = weights.values(&name("pointwise.bias"), &[channels_out])?;
        // Nothing stands between the two convolutions, so the first bias goes through the second weight into the
        // second bias: one pass over the picture less.
        let bias = pointwise
            .chunks_exact(channels_in)
            .zip(pointwise_bias)
            .map(|(row, bias)| {
                bias + row
                    .iter()
                    .zip(depthwise_bias)
                    .map(|(weight, bias)| weight * bias)
                    .sum::<f32>()
            })
            .collect();
        Ok(Self {
            depthwise,
            pointwise,
            bias,
        })
    }
}

fn plan_head(
    weights: &Weights,
    index: usize,
    planner: &mut Planner,
    maps: Map,
) -> Result<Map, WeightsError> {
    let (weight, bias) = head_parameters(weights, index)?;
    let weighted = Weighted::from_outputs_first(&weight, &bias, 1, Activation::Identity);
    Ok(planner.pointwise(maps, weighted))
}

/// Scores and boxes from one convolution, the values of an anchor side by side.
fn load_head(weights: &Weights, index: usize, device: &Device) -> Result<Conv2d, WeightsError> {
    let (_, channels, _, anchors) = HEADS[index];
    let (weight, bias) = head_parameters(weights, index)?;
    let shape = [anchors * ANCHOR_VALUES, channels, 1, 1];
    Ok(convolution((weight, shape), Some(bias), 1, 1, device))
}

fn head_parameters(weights: &Weights, index: usize) -> Result<(Vec<f32>, Vec<f32>), WeightsError> {
    let (_, channels, _, anchors) = HEADS[index];
    let name = |part: &str| format!("heads.{index}.{part}");
    let box_weight = weights.values(
        &name("boxes.weight"),
        &[anchors * BOX_VALUES, channels, 1, 1],
    )?;
    let box_bias = weights.values(&name("boxes.bias"), &[anchors * BOX_VALUES])?;
    let score_weight = weights.values(&name("scores.weight"), &[anchors, channels, 1, 1])?;
    let score_bias = weights.values(&name("scores.bias"), &[anchors])?;
    let weight = interleave(box_weight, score_weight, BOX_VALUES * channels, channels);
    let bias = interleave(box_bias, score_bias, BOX_VALUES, 1);
    Ok((weight, bias))
}

/// `first_length` values of `first`, `second_length` of `second`, and so on in turn.
fn interleave(
    first: &[f32],
    second: &[f32],
    first_length: usize,
    second_length: usize,
) -> Vec<f32> {
    first
        .chunks_exact(first_length)
        .zip(second.chunks_exact(second_length))
        .flat_map(|(first, second)| first.iter().chain(second))
        .copied()
        .collect()
}

/// `[batch, anchors * values, height, width]` to `[batch, height * width * anchors, values]`.
fn anchors_last(x: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = x.dims();
    let anchors = height * width * channels / ANCHOR_VALUES;
    x.permute([0, 2, 3, 1])
        .reshape([batch, anchors, ANCHOR_VALUES])
}

/// A convolution with TensorFlow's `SAME` padding: at stride 2 more below and to the right.
fn convolution(
    (weight, shape): (Vec<f32>, [usize; 4]),
    bias: Option<Vec<f32>>,
    stride: usize,
    groups: usize,
    device: &Device,
) -> Conv2d {
    Conv2d {
        weight: Param::from_tensor(Tensor::from_data(TensorData::new(weight, shape), device)),
        bias: bias.map(|bias| {
            Param::from_tensor(Tensor::from_data(TensorData::new(bias, [shape[0]]), device))
        }),
        stride: [stride, stride],
        kernel_size: [shape[2], shape[3]],
        dilation: [1, 1],
        groups,
        padding: PaddingConfig2d::Same,
    }
}

/// Every convolution in the order of the published graph.
fn published_order() -> Vec<ExpectedConvolution> {
    let row = |name: String, weight, groups, stride| ExpectedConvolution {
        name,
        weight,
        groups,
        stride,
    };
    let mut rows = vec![row("stem".into(), [STEM_CHANNELS, 3, 5, 5], 1, 2)];
    for (index, (channels_in, channels_out, stride)) in BLOCKS.into_iter().enumerate() {
        rows.push(row(
            format!("blocks.{index}.depthwise"),
            [channels_in, 1, 3, 3],
            channels_in,
            stride,
        ));
        rows.push(row(
            format!("blocks.{index}.pointwise"),
            [channels_out, channels_in, 1, 1],
            1,
            1,
        ));
    }
    for (part, values) in [("scores", 1), ("boxes", BOX_VALUES)] {
        for (index, (_, channels, _, anchors)) in HEADS.into_iter().enumerate() {
            rows.push(row(
                format!("heads.{index}.{part}"),
                [anchors * values, channels, 1, 1],
                1,
                1,
            ));
        }
    }
    rows
}

fn refuse_unknown(weights: &Weights) -> Result<(), WeightsError> {
    let known = published_order();
    let is_known = |name: &str| {
        name.rsplit_once('.').is_some_and(|(stem, part)| {
            matches!(part, "weight" | "bias") && known.iter().any(|expected| expected.name == stem)
        })
    };
    match weights.iter().find(|(name, _)| !is_known(name)) {
        Some((name, _)) => Err(WeightsError::Unexpected {
            name: name.to_owned(),
            architecture: ARCHITECTURE.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Gives MediaPipe's `face_detector.tflite` its canonical names.
///
/// Licence, source and digest are taken over from the published table.
///
/// # Errors
///
/// As [`PublishedWeights::name_convolutions`].
pub fn canonical_weights(published: &PublishedWeights) -> Result<Weights, WeightsError> {
    let mut weights = published.name_convolutions(ARCHITECTURE, published_order())?;
    weights.metadata.input_side = Some(INPUT_SIDE);
    weights.metadata.normalisation = Some(NORMALISATION);
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{GraphConvolution, WeightTensor};

    /// Small numbers without a pattern that a wrong order would keep.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        let number = |index: usize| ((index * 7919 + seed * 104_729) % 1009) as f32;
        (0..count)
            .map(|index| (number(index) - 504.0) / 5000.0)
            .collect()
    }

    fn convolutions() -> Vec<GraphConvolution> {
        let published = |(seed, expected): (usize, ExpectedConvolution)| GraphConvolution {
            name: format!("conv2d_{seed}"),
            weight: WeightTensor {
                shape: expected.weight.to_vec(),
                values: values(expected.weight.iter().product(), seed),
            },
            bias: Some(WeightTensor {
                shape: vec![expected.weight[0]],
                values: values(expected.weight[0], seed + 50),
            }),
            groups: expected.groups,
            strides: [expected.stride; 2],
        };
        published_order()
            .into_iter()
            .enumerate()
            .map(published)
            .collect()
    }

    fn convert(convolutions: Vec<GraphConvolution>) -> Result<Weights, WeightsError> {
        canonical_weights(&PublishedWeights::Graph {
            named: Weights::default(),
            convolutions,
            operations: Vec::new(),
            classifier: None,
        })
    }

    fn picture(device: &Device) -> Tensor<4> {
        Tensor::from_data(
            TensorData::new(values(3 * 128 * 128, 3), [1, 3, 128, 128]),
            device,
        )
    }

    #[test]
    fn published_graph_loads_and_gives_896_anchors() {
        let device = Device::flex();
        let weights = convert(convolutions()).expect("the published graph");
        assert_eq!(weights.len(), 74);
        let network = BlazeFace::load(&weights, &device).expect("canonical weights");
        assert_eq!(network.forward(picture(&device)).dims(), [1, 896, 17]);
    }

    #[test]
    fn folded_network_gives_what_the_separate_convolutions_give() {
        let device = Device::flex();
        let weights = convert(convolutions()).expect("the published graph");
        let plain = |name: &str, groups: usize, stride: usize, x: Tensor<4>| {
            let tensor = |part: &str| {
                weights
                    .get(&format!("{name}.{part}"))
                    .expect("canonical name")
                    .clone()
            };
            let (weight, bias) = (tensor("weight"), tensor("bias"));
            let shape = [
                weight.shape[0],
                weight.shape[1],
                weight.shape[2],
                weight.shape[3],
            ];
            convolution(
                (weight.values, shape),
                Some(bias.values),
                stride,
                groups,
                &device,
            )
            .forward(x)
        };
        let mut x = relu(plain("stem", 1, 2, picture(&device)));
        let mut expected = Vec::new();
        for (index, (channels_in, channels_out, stride)) in BLOCKS.into_iter().enumerate() {
            let name = format!("blocks.{index}");
            let branch = plain(&format!("{name}.depthwise"), channels_in, stride, x.clone());
            let branch = plain(&format!("{name}.pointwise"), 1, 1, branch);
            let shortcut = if stride == 2 {
                MaxPool2dConfig::new([2, 2]).init().forward(x)
            } else {
                x
            };
            let [batch, _, height, width] = shortcut.dims();
            let zeros = Tensor::zeros([batch, channels_out - channels_in, height, width], &device);
            let shortcut = if channels_out > channels_in {
                Tensor::cat(vec![shortcut, zeros], 1)
            } else {
                shortcut
            };
            x = relu(branch + shortcut);
            if let Some(head) = HEADS.iter().position(|&(blocks, ..)| blocks == index + 1) {
                let flat = |part: &str, values: usize| {
                    let y = plain(&format!("heads.{head}.{part}"), 1, 1, x.clone())
                        .permute([0, 2, 3, 1]);
                    let count = y.dims().iter().product::<usize>() / values;
                    y.reshape([1, count, values])
                };
                expected.push(Tensor::cat(vec![flat("boxes", 16), flat("scores", 1)], 2));
            }
        }
        let expected: Vec<f32> = Tensor::cat(expected, 1)
            .into_data()
            .try_into_vec()
            .expect("f32");
        let network = BlazeFace::load(&weights, &device).expect("canonical weights");
        let got: Vec<f32> = network
            .forward(picture(&device))
            .into_data()
            .try_into_vec()
            .expect("f32");
        let scale = expected
            .iter()
            .fold(0.0_f32, |scale, value| scale.max(value.abs()));
        let worst = got
            .iter()
            .zip(&expected)
            .map(|(got, expected)| (got - expected).abs())
            .fold(0.0, f32::max);
        assert!(scale > 0.0 && worst <= 1e-4 * scale, "{worst} of {scale}");
    }

    #[test]
    fn graph_of_another_network_is_refused() {
        let mut short = convolutions();
        short.pop();
        let error = convert(short).expect_err("one convolution too few");
        let expected =
            "tflite file is malformed: graph has 36 convolutions, blazeface-short-range has 37";
        assert_eq!(error.to_string(), expected);

        let mut misshapen = convolutions();
        misshapen[2].weight.shape = vec![24, 12, 1, 2];
        let error = convert(misshapen).expect_err("another shape");
        let expected = "weight `blocks.0.pointwise (conv2d_2)` has shape [24, 12, 1, 2], expected [24, 24, 1, 1]";
        assert_eq!(error.to_string(), expected);

        let mut slow = convolutions();
        slow[0].strides = [1, 1];
        let error = convert(slow).expect_err("another stride");
        assert!(
            error
                .to_string()
                .contains("strides [1, 1], expected 1 and [2, 2]"),
            "{error}"
        );

        let mut unbiased = convolutions();
        unbiased[36].bias = None;
        let error = convert(unbiased).expect_err("no bias");
        assert_eq!(error.to_string(), "weight `heads.1.boxes.bias` is missing");
    }

    #[test]
    fn unknown_and_missing_parameters_are_refused() {
        let device = Device::flex();
        let mut weights = convert(convolutions()).expect("the published graph");
        weights
            .insert("blocks.16.depthwise.weight", vec![1], vec![0.0])
            .expect("one value");
        let error = BlazeFace::load(&weights, &device).expect_err("a block too many");
        let expected =
            "weight `blocks.16.depthwise.weight` does not belong to blazeface-short-range";
        assert_eq!(error.to_string(), expected);
        weights.remove("blocks.16.depthwise.weight");
        weights.remove("heads.1.scores.bias");
        let error = BlazeFace::load(&weights, &device).expect_err("a bias too few");
        assert!(
            error
                .to_string()
                .starts_with("weight `heads.1.scores.bias` is missing"),
            "{error}"
        );
        weights.metadata.architecture = "faceres".to_owned();
        assert!(matches!(
            BlazeFace::load(&weights, &device),
            Err(WeightsError::Architecture { .. })
        ));
    }
}
