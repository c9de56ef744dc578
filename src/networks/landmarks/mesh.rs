//! MediaPipe's face mesh with irises (`face_landmarks_detector.tflite`): a face to 478 points.
//!
//! Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", 2019, in the form that
//! MediaPipe publishes with its face landmarker: one trunk of bottleneck blocks with PReLU (1x1 to half the channels,
//! depthwise 3x3, 1x1 back, shortcut), from 128 pixels of side to 2, and a head a kind of output. The published third
//! output, a tongue that is out, is left away.

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{PRelu, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use crate::backbone::Parameters;
use crate::face::Landmarks;
use crate::kernel::{Activation, Map, Plan, Planner, Shortcut, Weighted, Window};
use crate::weights::{ExpectedConvolution, Normalisation, PublishedWeights, Weights, WeightsError};

/// Name of the architecture in a weights file.
pub const MESH_ARCHITECTURE: &str = "face-mesh";

/// Side of the square input, pixels.
pub const MESH_INPUT_SIDE: u32 = 256;

/// Pixels to `[0, 1]`.
pub const MESH_NORMALISATION: Normalisation = Normalisation {
    mean: [0.0; 3],
    std: [255.0; 3],
};

/// Numbers that the network gives for a face: x, y, z of each landmark in input pixels, then the logit of presence.
pub const MESH_VALUES: usize = POINT_VALUES + 1;
const POINT_VALUES: usize = Landmarks::COUNT * 3;

const STEM_CHANNELS: usize = 16;

/// The stages: channels inside the blocks, channels between them, blocks, stride of the first block.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (8, 16, 4, 1),
    (16, 32, 5, 2),
    (32, 64, 5, 2),
    (64, 128, 5, 2),
    (64, 128, 5, 2),
    (64, 128, 5, 2),
    (64, 128, 5, 2),
];

/// Side of the trunk's output and of the heads' kernels, pixels.
const LAST_SIDE: usize = 2;
const LAST_CHANNELS: usize = STAGES[6].1;
/// The heads: name, outputs, in the order in which they are put together.
const HEADS: [(&str, usize); 2] = [("landmarks", POINT_VALUES), ("presence", 1)];

/// The network.
#[derive(Module, Debug)]
pub struct FaceMeshNet {
    stem: Conv2d,
    stem_activation: PRelu,
    blocks: Vec<Block>,
    heads: Vec<Conv2d>,
}

/// A bottleneck beside a shortcut.
#[derive(Module, Debug)]
struct Block {
    reduce: Conv2d,
    reduce_activation: PRelu,
    depthwise: Conv2d,
    expand: Conv2d,
    activation: PRelu,
    pool: Option<MaxPool2d>,
}

/// Shapes of a block's convolutions.
#[derive(Clone, Debug)]
struct BlockTable {
    /// `[inside, before, stride, stride]`: the kernel of the first convolution is as large as its stride.
    reduce: ExpectedConvolution,
    /// `[inside, 1, 3, 3]`
    depthwise: ExpectedConvolution,
    /// `[after, inside, 1, 1]`
    expand: ExpectedConvolution,
}

fn stem() -> ExpectedConvolution {
    row("stem", [STEM_CHANNELS, 3, 3, 3], 1, 2)
}

fn blocks() -> Vec<BlockTable> {
    let mut rows = Vec::new();
    let mut before = STEM_CHANNELS;
    for (inside, after, blocks, first_stride) in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            let name = |part: &str| format!("blocks.{}.{part}", rows.len());
            rows.push(BlockTable {
                reduce: row(&name("reduce"), [inside, before, stride, stride], 1, stride),
                depthwise: row(&name("depthwise"), [inside, 1, 3, 3], inside, 1),
                expand: row(&name("expand"), [after, inside, 1, 1], 1, 1),
            });
            before = after;
        }
    }
    rows
}

fn head(name: &str, outputs: usize) -> ExpectedConvolution {
    row(name, [outputs, LAST_CHANNELS, LAST_SIDE, LAST_SIDE], 1, 1)
}

fn row(name: &str, weight: [usize; 4], groups: usize, stride: usize) -> ExpectedConvolution {
    ExpectedConvolution {
        name: name.to_owned(),
        weight,
        groups,
        stride,
    }
}

impl FaceMeshNet {
    /// Takes the parameters by their canonical names.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] for weights of another architecture, a missing, misshapen or unknown parameter.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self, WeightsError> {
        weights.expect_architecture(MESH_ARCHITECTURE)?;
        let mut parameters = Parameters::new(weights);
        let mut load = Loader {
            parameters: &mut parameters,
            device,
        };
        let network = Self {
            stem: load.convolution(&stem())?,
            stem_activation: load.activation(&stem())?,
            blocks: blocks()
                .iter()
                .map(|table| load.block(table))
                .collect::<Result<_, _>>()?,
            heads: HEADS
                .iter()
                .map(|&(name, outputs)| load.convolution(&head(name, outputs)))
                .collect::<Result<_, _>>()?,
        };
        parameters.finish(MESH_ARCHITECTURE)?;
        Ok(network)
    }

    /// The network as a plan; its output, `1435` values, is that of [`forward`](Self::forward).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn plan(weights: &Weights) -> Result<Plan, WeightsError> {
        weights.expect_architecture(MESH_ARCHITECTURE)?;
        let mut parameters = Parameters::new(weights);
        let side = MESH_INPUT_SIDE as usize;
        let mut planner = Plan::of_input(side, side, 3);
        let input = planner.input();
        let window = Window::same(planner.shape(input), 3, 2);
        let stem = activated(&stem(), &mut parameters)?;
        let mut maps = planner.convolution(input, window, stem);
        for table in blocks() {
            maps = plan_block(&table, &mut parameters, &mut planner, maps)?;
        }
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for (name, outputs) in HEADS {
            let shape = head(name, outputs).weight;
            weight.extend(parameters.values(&format!("{name}.weight"), &shape)?);
            bias.extend(parameters.values(&format!("{name}.bias"), &shape[..1])?);
        }
        parameters.finish(MESH_ARCHITECTURE)?;
        let heads = Weighted::from_outputs_first(&weight, &bias, LAST_SIDE, Activation::Identity);
        let window = Window::symmetric(planner.shape(maps), LAST_SIDE, 1, 0);
        let output = planner.convolution(maps, window, heads);
        Ok(planner.finish(&[output]))
    }

    /// Gives the landmarks of upright faces.
    ///
    /// # Shapes
    ///
    /// - faces: `[batch, 3, 256, 256]`, RGB, normalised by [`MESH_NORMALISATION`]
    /// - output: `[batch, 1435]`: x, y, z of each landmark in input pixels, then the logit of presence
    pub fn forward(&self, faces: Tensor<4>) -> Tensor<2> {
        let x = self.stem_activation.forward(self.stem.forward(faces));
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let heads = self
            .heads
            .iter()
            .map(|head| head.forward(x.clone()).flatten(1, 3));
        Tensor::cat(heads.collect(), 1)
    }
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inside = self
            .reduce_activation
            .forward(self.reduce.forward(x.clone()));
        let branch = self.expand.forward(self.depthwise.forward(inside));
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
        self.activation.forward(branch + shortcut)
    }
}

/// Loads the plain form.
struct Loader<'a, 'b> {
    parameters: &'a mut Parameters<'b>,
    device: &'a Device,
}

impl Loader<'_, '_> {
    /// A convolution with TensorFlow's `SAME` padding; a head, whose kernel covers its input, is given its side as
    /// stride to the same effect.
    fn convolution(&mut self, row: &ExpectedConvolution) -> Result<Conv2d, WeightsError> {
        let ExpectedConvolution {
            name,
            weight,
            groups,
            stride,
        } = row;
        let kernel = [weight[2], weight[3]];
        let stride = if kernel == [LAST_SIDE; 2] {
            LAST_SIDE
        } else {
            *stride
        };
        Ok(Conv2d {
            weight: self.take(&format!("{name}.weight"), *weight)?,
            bias: Some(self.take(&format!("{name}.bias"), [weight[0]])?),
            stride: [stride; 2],
            kernel_size: kernel,
            dilation: [1, 1],
            groups: *groups,
            padding: PaddingConfig2d::Same,
        })
    }

    fn activation(&mut self, row: &ExpectedConvolution) -> Result<PRelu, WeightsError> {
        Ok(PRelu {
            alpha: self.take(&slopes(&row.name), [row.weight[0]])?,
            alpha_value: 0.0,
        })
    }

    fn block(&mut self, table: &BlockTable) -> Result<Block, WeightsError> {
        let stride = table.reduce.stride;
        Ok(Block {
            reduce: self.convolution(&table.reduce)?,
            reduce_activation: self.activation(&table.reduce)?,
            depthwise: self.convolution(&table.depthwise)?,
            expand: self.convolution(&table.expand)?,
            activation: self.activation(&table.expand)?,
            pool: (stride > 1).then(|| {
                MaxPool2dConfig::new([stride; 2])
                    .with_strides([stride; 2])
                    .init()
            }),
        })
    }

    fn take<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, WeightsError> {
        self.parameters.take(name, shape, self.device)
    }
}

fn plan_block(
    table: &BlockTable,
    parameters: &mut Parameters<'_>,
    planner: &mut Planner,
    maps: Map,
) -> Result<Map, WeightsError> {
    let stride = table.reduce.stride;
    let reduce = activated(&table.reduce, parameters)?;
    let inside = if stride > 1 {
        let window = Window::same(planner.shape(maps), stride, stride);
        planner.convolution(maps, window, reduce)
    } else {
        planner.pointwise(maps, reduce)
    };
    let window = Window::same(planner.shape(inside), 3, 1);
    let inside = planner.depthwise(inside, window, weighted(&table.depthwise, parameters)?);
    let shortcut = Shortcut {
        map: maps,
        pooled: stride > 1,
    };
    let expand = activated(&table.expand, parameters)?;
    Ok(planner.gated_pointwise(inside, expand, None, Some(shortcut)))
}

fn weighted(
    row: &ExpectedConvolution,
    parameters: &mut Parameters<'_>,
) -> Result<Weighted, WeightsError> {
    let ExpectedConvolution { name, weight, .. } = row;
    Ok(Weighted::from_outputs_first(
        parameters.values(&format!("{name}.weight"), weight)?,
        parameters.values(&format!("{name}.bias"), &weight[..1])?,
        weight[2],
        Activation::Identity,
    ))
}

/// With PReLU.
fn activated(
    row: &ExpectedConvolution,
    parameters: &mut Parameters<'_>,
) -> Result<Weighted, WeightsError> {
    Ok(Weighted {
        activation: Activation::Prelu,
        slopes: parameters
            .values(&slopes(&row.name), &row.weight[..1])?
            .to_vec(),
        ..weighted(row, parameters)?
    })
}

fn slopes(name: &str) -> String {
    format!("{name}.slopes")
}

/// Name of the published head that is left away.
const TONGUE: &str = "tongue";

/// Every convolution in the order of the published graph.
fn published_order() -> Vec<ExpectedConvolution> {
    let blocks = blocks()
        .into_iter()
        .flat_map(|table| [table.reduce, table.depthwise, table.expand]);
    let heads = [(TONGUE, 1), HEADS[1], HEADS[0]];
    [stem()]
        .into_iter()
        .chain(blocks)
        .chain(heads.map(|(name, outputs)| head(name, outputs)))
        .collect()
}

/// Part of a PReLU's published name before its number; the numbers rise along the graph.
const PUBLISHED_SLOPES: &str = "p_re_lu_";

/// Gives MediaPipe's `face_landmarks_detector.tflite` its canonical names.
///
/// # Errors
///
/// As [`PublishedWeights::name_convolutions`]; [`WeightsError::Malformed`] and [`WeightsError::Shape`] where the
/// slopes of the activations are not as many.
pub fn mesh_weights(published: &PublishedWeights) -> Result<Weights, WeightsError> {
    let mut weights = published.name_convolutions(MESH_ARCHITECTURE, published_order())?;
    for part in ["weight", "bias"] {
        weights.remove(&format!("{TONGUE}.{part}"));
    }
    let mut found: Vec<_> = published
        .named()
        .iter()
        .filter_map(|(name, tensor)| Some((number_of(name)?, name, tensor)))
        .collect();
    found.sort_by_key(|(number, ..)| *number);
    let activated: Vec<_> = [stem()]
        .into_iter()
        .chain(
            blocks()
                .into_iter()
                .flat_map(|table| [table.reduce, table.expand]),
        )
        .collect();
    if found.len() != activated.len() {
        return Err(WeightsError::Malformed {
            format: "tflite",
            reason: format!(
                "graph has slopes for {} activations, {MESH_ARCHITECTURE} has {}",
                found.len(),
                activated.len()
            ),
        });
    }
    for ((_, published_as, tensor), row) in found.into_iter().zip(activated) {
        let name = slopes(&row.name);
        if tensor.values.len() != row.weight[0] {
            return Err(WeightsError::Shape {
                name: format!("{name} ({published_as})"),
                expected: row.weight[..1].to_vec(),
                got: tensor.shape.clone(),
            });
        }
        weights.insert(name, vec![tensor.values.len()], tensor.values.clone())?;
    }
    weights.metadata.input_side = Some(MESH_INPUT_SIDE);
    weights.metadata.normalisation = Some(MESH_NORMALISATION);
    Ok(weights)
}

/// Which PReLU of the graph a constant belongs to.
fn number_of(name: &str) -> Option<u32> {
    let (_, rest) = name.split_once(PUBLISHED_SLOPES)?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::OpenedDevice;
    use crate::kernel::{Network, read_back};
    use crate::weights::{GraphConvolution, Metadata, WeightTensor};
    use burn::tensor::TensorData;

    /// Small numbers without a pattern that a wrong order would keep, the smaller the more are added up.
    fn values(count: usize, fan_in: usize, seed: usize) -> Vec<f32> {
        let number = |index: usize| ((index * 7919 + seed * 104_729) % 1009) as f32 - 504.0;
        let scale = 1.0 / (504.0 * (fan_in as f32).sqrt());
        (0..count).map(|index| number(index) * scale).collect()
    }

    fn published() -> PublishedWeights {
        let mut named = Weights::new(Metadata::default());
        let convolutions = published_order()
            .into_iter()
            .enumerate()
            .map(|(seed, row)| {
                let count: usize = row.weight.iter().product();
                GraphConvolution {
                    name: format!("conv2d_{seed}"),
                    weight: WeightTensor {
                        shape: row.weight.to_vec(),
                        values: values(count, count / row.weight[0], seed),
                    },
                    bias: Some(WeightTensor {
                        shape: vec![row.weight[0]],
                        values: values(row.weight[0], 4, seed + 50),
                    }),
                    groups: row.groups,
                    strides: [row.stride; 2],
                }
            })
            .collect();
        let activated = blocks()
            .into_iter()
            .flat_map(|table| [table.reduce, table.expand]);
        // From 95 on, so that the order of the names is not that of the numbers.
        for (index, row) in [stem()].into_iter().chain(activated).enumerate() {
            let channels = row.weight[0];
            let name = format!("model/p_re_lu_{}/mul_dequantize", 95 + index);
            named
                .insert(name, vec![1, 1, channels], values(channels, 1, index))
                .expect("as many values");
        }
        PublishedWeights::Graph {
            operations: Vec::new(),
            named,
            convolutions,
            classifier: None,
        }
    }

    #[test]
    fn plan_gives_what_the_plain_network_gives() {
        let device = Device::flex();
        let weights = mesh_weights(&published()).expect("the published graph");
        let side = MESH_INPUT_SIDE as usize;
        let face = TensorData::new(values(side * side * 3, 1, 3), [1, side, side, 3]);
        let face = Tensor::<4>::from_data(face, &device);
        let network = FaceMeshNet::load(&weights, &device).expect("canonical weights");
        let plain = network.forward(face.clone().permute([0, 3, 1, 2]));
        assert_eq!(plain.dims(), [1, MESH_VALUES]);
        let plan = FaceMeshNet::plan(&weights).expect("canonical weights");
        let folded = Network::new(&plan, &OpenedDevice::cpu()).forward(face);
        let values = pollster::block_on(read_back(vec![plain, folded])).expect("on the CPU");
        let scale = values[0]
            .iter()
            .fold(0.0_f32, |scale, value| scale.max(value.abs()));
        let worst = values[0]
            .iter()
            .zip(&values[1])
            .map(|(plain, folded)| (plain - folded).abs())
            .fold(0.0, f32::max);
        assert!(scale > 0.0 && worst <= 1e-4 * scale, "{worst} of {scale}");
    }

    #[test]
    fn graph_of_another_network_is_refused() {
        let mut published = published();
        let PublishedWeights::Graph { named, .. } = &mut published else {
            panic!("a graph")
        };
        let slopes = named
            .remove("model/p_re_lu_100/mul_dequantize")
            .expect("there");
        let error = mesh_weights(&published).expect_err("an activation too few");
        assert_eq!(
            error.to_string(),
            "tflite file is malformed: graph has slopes for 68 activations, face-mesh has 69"
        );
        let PublishedWeights::Graph { named, .. } = &mut published else {
            panic!("a graph")
        };
        let short = slopes.values[1..].to_vec();
        named
            .insert("model/p_re_lu_100/mul_dequantize", vec![short.len()], short)
            .expect("as many values");
        let error = mesh_weights(&published)
            .expect_err("a slope too few")
            .to_string();
        assert!(
            error.starts_with("weight `blocks.2.reduce.slopes (model"),
            "{error}"
        );
    }

    #[test]
    fn unknown_and_missing_parameters_are_refused() {
        let mut weights = mesh_weights(&published()).expect("the published graph");
        weights
            .insert("tongue.bias", vec![1], vec![0.0])
            .expect("one value");
        let error = FaceMeshNet::plan(&weights).expect_err("a weight too many");
        assert_eq!(
            error.to_string(),
            "weight `tongue.bias` does not belong to face-mesh"
        );
        weights.remove("tongue.bias");
        weights.remove("blocks.33.expand.slopes");
        let error = FaceMeshNet::plan(&weights)
            .expect_err("a weight too few")
            .to_string();
        assert!(
            error.starts_with("weight `blocks.33.expand.slopes` is missing"),
            "{error}"
        );
    }
}
