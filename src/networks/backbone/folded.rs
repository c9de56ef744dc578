//! The folded form: a network's description as a plan with the parameters of canonical weights.

use std::borrow::Cow;

use affectlens_formats::architecture::{
    Architecture, Arrangement, Beside, ChannelNorm, Classifier, ClipConvolution,
    ClipConvolutionConfig, ClipPool, Convolution, ConvolutionConfig, CoordinateAttention, Coupling,
    MaxPool, Padding, PositionBias, SelfAttention, Shortcut, Walk,
};

use super::parameters::Parameters;
use crate::kernel::{
    self, Activation, LineSums, Map, MapShape, Planner, ScoreBias, Span, Weighted, Window,
};
use crate::weights::{Weights, WeightsError};

/// Adds a network to a plan whose map `input` is as large as the network's input; gives its outputs.
///
/// # Errors
///
/// [`WeightsError`] for a missing, misshapen or unexpected parameter.
pub(crate) fn plan_network<'a>(
    architecture: Architecture,
    weights: impl Into<Cow<'a, Weights>>,
    planner: &mut Planner,
    input: Map,
) -> Result<Vec<Map>, WeightsError> {
    let mut folded = Folded {
        parameters: Parameters::new(weights),
        planner,
    };
    let outputs = architecture.describe(&mut folded, input)?;
    folded.parameters.finish(architecture.name())?;
    Ok(outputs)
}

/// Where the kernel of a convolution looks.
pub(super) fn window(config: &ConvolutionConfig, maps: MapShape) -> Window {
    let ConvolutionConfig { kernel, stride, .. } = *config;
    match config.padding {
        Padding::Same => Window::same(maps, kernel, stride),
        Padding::Half => Window::symmetric(maps, kernel, stride, kernel / 2),
        Padding::None => Window::symmetric(maps, kernel, stride, 0),
    }
}

/// Where the kernel of a convolution over a clip looks: frames, and pixels of each of them.
pub(super) fn clip_window(config: &ClipConvolutionConfig, maps: MapShape) -> (Span, Window) {
    let ClipConvolutionConfig {
        frames,
        kernel: [kernel, side],
        stride: [stride, step],
        ..
    } = *config;
    let [before, around] = config.padding();
    let span = Span::symmetric(frames, kernel, stride, before);
    let window = Window::symmetric(span.frame_of(maps), side, step, around);
    (span, window)
}

struct Folded<'a, 'b> {
    parameters: Parameters<'a>,
    planner: &'b mut Planner,
}

impl<'a> Folded<'a, '_> {
    /// Weight and bias in the order of canonical files.
    fn weight_and_bias(
        &mut self,
        name: &str,
        shape: &[usize],
    ) -> Result<[Cow<'a, [f32]>; 2], WeightsError> {
        let weight = self.parameters.values(&format!("{name}.weight"), shape)?;
        let bias = self
            .parameters
            .values(&format!("{name}.bias"), &shape[..1])?;
        Ok([weight, bias])
    }

    fn score_bias(&mut self, bias: &PositionBias) -> Result<ScoreBias, WeightsError> {
        let table = &bias.table;
        let shape = [table.places, table.heads];
        Ok(ScoreBias {
            table: self.parameters.values(&table.name, &shape)?.into_owned(),
            codes: bias.codes.clone(),
            regions: bias.regions.clone(),
        })
    }

    fn weighted(&mut self, layer: &Convolution) -> Result<Weighted, WeightsError> {
        let Convolution { name, config, .. } = layer;
        let shape = config.weight_shape();
        let [weight, bias] = self.weight_and_bias(name, &shape)?;
        let slopes = match config.activation {
            Activation::Prelu => self
                .parameters
                .values(&format!("{name}.slopes"), &shape[..1])?,
            _ => Cow::default(),
        };
        Ok(Weighted {
            slopes: slopes.into_owned(),
            ..Weighted::from_outputs_first(&weight, &bias, config.kernel, config.activation)
        })
    }

    /// A dense convolution with its parameters.
    fn dense(
        &mut self,
        config: &ConvolutionConfig,
        weighted: Weighted,
        input: Map,
        beside: Beside<'_, Map>,
    ) -> Map {
        let Beside { gate, shortcut } = beside;
        if (config.kernel, config.stride) == (1, 1) {
            let shortcut = shortcut.map(planned);
            let gate = gate.copied();
            return self
                .planner
                .gated_pointwise(input, weighted, gate, shortcut);
        }
        let window = window(config, self.planner.shape(input));
        let shortcut = shortcut.map(|shortcut| *shortcut.map);
        self.planner
            .residual_convolution(input, window, weighted, shortcut)
    }
}

/// Runs of `length` numbers with zeros after each, so that it is `filled` long.
fn fill_up(values: &[f32], length: usize, filled: usize) -> Vec<f32> {
    let runs = values.chunks_exact(length);
    let mut all = Vec::with_capacity(runs.len() * filled);
    for run in runs {
        all.extend_from_slice(run);
        all.resize(all.len() + filled - length, 0.0);
    }
    all
}

/// The bias of a depthwise convolution, brought through the weight `[outputs, channels]` of the pointwise one after it.
fn carried_bias(weight: &[f32], first: &[f32], second: &[f32]) -> Vec<f32> {
    let rows = weight.chunks_exact(first.len()).zip(second);
    rows.map(|(row, bias)| {
        let products = row.iter().zip(first);
        bias + products.map(|(weight, bias)| weight * bias).sum::<f32>()
    })
    .collect()
}

fn planned(shortcut: Shortcut<'_, Map>) -> kernel::Shortcut {
    kernel::Shortcut {
        map: *shortcut.map,
        pooled: shortcut.pooled,
    }
}

impl Walk for Folded<'_, '_> {
    type Map = Map;
    type Error = WeightsError;

    fn convolution_beside(
        &mut self,
        layer: &Convolution,
        input: &Map,
        beside: Beside<'_, Map>,
    ) -> Result<Map, WeightsError> {
        let weighted = self.weighted(layer)?;
        let config = &layer.config;
        let window = window(config, self.planner.shape(*input));
        Ok(match config.coupling {
            Coupling::Dense { .. } => self.dense(config, weighted, *input, beside),
            Coupling::Depthwise { .. } => self.planner.depthwise(*input, window, weighted),
            Coupling::Pairwise { .. } => self.planner.pairwise(*input, window, weighted),
        })
    }

    /// The convolutions as one: smaller kernels stand in the middle of the largest, with zeros around.
    fn mixed_depthwise(
        &mut self,
        layers: &[Convolution],
        input: &Map,
    ) -> Result<Map, WeightsError> {
        let kernels = layers.iter().map(|layer| layer.config.kernel);
        let side = kernels.max().unwrap_or_default();
        let mut weight = Vec::new();
        let mut bias = Vec::new();
        for Convolution { name, config, .. } in layers {
            let kernel = config.kernel;
            let before = (side - kernel) / 2;
            let [taps, layer_bias] = self.weight_and_bias(name, &config.weight_shape())?;
            for taps in taps.chunks_exact(kernel * kernel) {
                let mut padded = vec![0.0; side * side];
                for (row, taps) in taps.chunks_exact(kernel).enumerate() {
                    padded[(before + row) * side + before..][..kernel].copy_from_slice(taps);
                }
                weight.extend(padded);
            }
            bias.extend_from_slice(&layer_bias);
        }
        let config = layers[0].config;
        let window = Window::symmetric(self.planner.shape(*input), side, config.stride, side / 2);
        let weighted = Weighted::from_outputs_first(&weight, &bias, side, config.activation);
        Ok(self.planner.depthwise(*input, window, weighted))
    }

    /// The first bias goes through the second weight into the second bias: one pass over the picture less.
    fn separable(
        &mut self,
        depthwise: &Convolution,
        pointwise: &Convolution,
        input: &Map,
        shortcut: Shortcut<'_, Map>,
    ) -> Result<Map, WeightsError> {
        let shapes = [depthwise, pointwise].map(|layer| layer.config.weight_shape());
        let [taps, first_bias] = self.weight_and_bias(&depthwise.name, &shapes[0])?;
        let [weight, second_bias] = self.weight_and_bias(&pointwise.name, &shapes[1])?;
        let bias = carried_bias(&weight, &first_bias, &second_bias);
        let config = depthwise.config;
        let window = window(&config, self.planner.shape(*input));
        let zeros = vec![0.0; first_bias.len()];
        let first = Weighted::from_outputs_first(&taps, &zeros, config.kernel, config.activation);
        let second = Weighted::from_outputs_first(&weight, &bias, 1, pointwise.config.activation);
        let maps = self.planner.depthwise(*input, window, first);
        let shortcut = Some(planned(shortcut));
        Ok(self.planner.gated_pointwise(maps, second, None, shortcut))
    }

    /// One convolution with all outputs.
    fn stacked(
        &mut self,
        layers: &[Convolution],
        groups: usize,
        input: &Map,
    ) -> Result<Map, WeightsError> {
        let mut parts = Vec::with_capacity(layers.len());
        for Convolution { name, config, .. } in layers {
            parts.push(self.weight_and_bias(name, &config.weight_shape())?);
        }
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for group in 0..groups {
            for [layer_weight, layer_bias] in &parts {
                for (all, part) in [(&mut weight, layer_weight), (&mut bias, layer_bias)] {
                    let length = part.len() / groups;
                    all.extend_from_slice(&part[group * length..][..length]);
                }
            }
        }
        let config = layers[0].config;
        let weighted =
            Weighted::from_outputs_first(&weight, &bias, config.kernel, config.activation);
        Ok(self.dense(&config, weighted, *input, Beside::default()))
    }

    fn squeeze_excite(
        &mut self,
        reduce: &Convolution,
        excite: &Convolution,
        input: &Map,
    ) -> Result<Map, WeightsError> {
        let reduce = self.weighted(reduce)?;
        let excite = self.weighted(excite)?;
        Ok(self.planner.squeeze_excite(*input, reduce, excite))
    }

    fn coordinate_attention(
        &mut self,
        layers: &CoordinateAttention,
        input: &Map,
    ) -> Result<Map, WeightsError> {
        let mut sums = None;
        for line in layers.sums.iter().flatten() {
            let [weight, bias] = self.weight_and_bias(&line.name, &line.weight_shape)?;
            let sums = sums.get_or_insert_with(|| LineSums {
                weight: Vec::new(),
                bias: Vec::new(),
            });
            let [.., height, width] = line.weight_shape;
            let side = height * width;
            for place in 0..side {
                sums.weight.extend(weight.iter().skip(place).step_by(side));
            }
            sums.bias.extend_from_slice(&bias);
        }
        let reduce = self.weighted(&layers.reduce)?;
        let rows = self.weighted(&layers.rows)?;
        let columns = self.weighted(&layers.columns)?;
        Ok(self
            .planner
            .coordinate_attention(*input, sums, reduce, rows, columns))
    }

    fn line_gate(&mut self, input: &Map, gates: &Map, others: Option<&Map>) -> Map {
        self.planner.line_gate(*input, *gates, others.copied())
    }

    fn layer_norm(&mut self, norm: &ChannelNorm, input: &Map) -> Result<Map, WeightsError> {
        let [weight, bias] = self.weight_and_bias(&norm.name, &[norm.channels])?;
        let (weight, bias) = (weight.into_owned(), bias.into_owned());
        Ok(self.planner.layer_norm(*input, weight, bias, norm.epsilon))
    }

    fn max_pool(&mut self, pool: MaxPool, input: &Map) -> Map {
        let MaxPool {
            kernel,
            stride,
            padding,
        } = pool;
        let window = Window::symmetric(self.planner.shape(*input), kernel, stride, padding);
        self.planner.max_pool(*input, window)
    }

    /// One dense convolution: the rows and columns that the 3x3 taps see are in two pixels of the packed map along each
    /// axis, the second quarter of the one before and both of the pixel itself. More products, and one pass less.
    fn unpacked_separable(
        &mut self,
        depthwise: &Convolution,
        pointwise: &Convolution,
        input: &Map,
    ) -> Result<Map, WeightsError> {
        let shapes = [depthwise, pointwise].map(|layer| layer.config.weight_shape());
        let [taps, first_bias] = self.weight_and_bias(&depthwise.name, &shapes[0])?;
        let [weight, second_bias] = self.weight_and_bias(&pointwise.name, &shapes[1])?;
        let channels = first_bias.len();
        let bias = carried_bias(&weight, &first_bias, &second_bias);
        let mut dense = vec![0.0; weight.len() * 4 * 4];
        let outputs = dense.chunks_exact_mut(4 * 4 * channels);
        for (written, row) in outputs.zip(weight.chunks_exact(channels)) {
            for tap in 0..9 {
                // Pixel of the packed map and quarter in it that a tap sees.
                let [(row_seen, down), (column_seen, across)] =
                    [tap / 3, tap % 3].map(|it| [(0, 1), (1, 0), (1, 1)][it]);
                let start = 4 * (2 * down + across) * channels + 2 * row_seen + column_seen;
                let values = row.iter().zip(taps.iter().skip(tap).step_by(9));
                let places = written[start..].iter_mut().step_by(4);
                for (place, (factor, value)) in places.zip(values) {
                    *place = factor * value;
                }
            }
        }
        let MapShape { height, width, .. } = self.planner.shape(*input);
        let window = Window {
            kernel: 2,
            stride: 1,
            padding: [1, 1],
            output: [height, width],
        };
        let weighted = Weighted::from_outputs_first(&dense, &bias, 2, pointwise.config.activation);
        Ok(self
            .planner
            .residual_convolution(*input, window, weighted, None))
    }

    fn enlarge(&mut self, input: &Map, activation: Activation, addend: &Map) -> Map {
        self.planner.enlarge(*input, activation, *addend)
    }

    /// A product with one on the diagonal: the only network that needs it spends a hundredth of its time here, and a step
    /// of its own would have to be written for every device.
    fn add(&mut self, first: &Map, second: &Map) -> Map {
        let channels = self.planner.shape(*first).channels;
        let mut weight = vec![0.0; channels * channels];
        weight
            .iter_mut()
            .step_by(channels + 1)
            .for_each(|it| *it = 1.0);
        let bias = vec![0.0; channels];
        let same = Weighted::from_outputs_first(&weight, &bias, 1, Activation::Identity);
        let shortcut = kernel::Shortcut {
            map: *second,
            pooled: false,
        };
        self.planner
            .gated_pointwise(*first, same, None, Some(shortcut))
    }

    fn average(&mut self, input: &Map) -> Map {
        self.planner.average(*input)
    }

    /// A convolution of each map, one added to the other.
    #[cfg(not(target_family = "wasm"))]
    fn convolution_of_two(
        &mut self,
        layer: &Convolution,
        first: &Map,
        second: &Map,
    ) -> Result<Map, WeightsError> {
        let Convolution { name, config, .. } = layer;
        let [weight, bias] = self.weight_and_bias(name, &config.weight_shape())?;
        let shape = self.planner.shape(*first);
        let taps = config.kernel * config.kernel;
        let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
        for weights in weight.chunks_exact(weight.len() / bias.len()) {
            let (start, end) = weights.split_at(shape.channels * taps);
            of_first.extend_from_slice(start);
            of_second.extend_from_slice(end);
        }
        let zeros = vec![0.0; bias.len()];
        let kernel = config.kernel;
        let of_first =
            Weighted::from_outputs_first(&of_first, &zeros, kernel, Activation::Identity);
        let of_second = Weighted::from_outputs_first(&of_second, &bias, kernel, config.activation);
        let window = window(config, shape);
        let sum = self.planner.convolution(*first, window, of_first);
        Ok(self
            .planner
            .residual_convolution(*second, window, of_second, Some(sum)))
    }

    #[cfg(not(target_family = "wasm"))]
    fn unfold(&mut self, input: &Map, patch: usize) -> Map {
        self.planner.unfold(*input, patch)
    }

    #[cfg(not(target_family = "wasm"))]
    fn fold(&mut self, input: &Map, patch: usize, picture: &Map) -> Map {
        let MapShape { height, width, .. } = self.planner.shape(*picture);
        self.planner.fold(*input, patch, [height, width])
    }

    fn arrange(&mut self, arrangement: &Arrangement, input: &Map) -> Map {
        let Arrangement {
            height,
            width,
            places,
            addend,
        } = arrangement.clone();
        self.planner
            .arrange(*input, [height, width], places, addend)
    }

    /// Heads whose channels do not come in fours are filled up with zeros: kernels of a GPU read four at a time. Queries are
    /// the larger for it, since scores are divided by the root of how many channels there are.
    fn attention(
        &mut self,
        layers: &SelfAttention,
        input: &Map,
        addend: &Map,
    ) -> Result<Map, WeightsError> {
        let SelfAttention {
            all,
            output,
            heads,
            bias: score_bias,
        } = layers;
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for Convolution { name, config, .. } in all {
            let [of_weight, of_bias] = self.weight_and_bias(name, &config.weight_shape())?;
            weight.extend_from_slice(&of_weight);
            bias.extend_from_slice(&of_bias);
        }
        let shape = output.config.weight_shape();
        let [output_weight, output_bias] = self.weight_and_bias(&output.name, &shape)?;
        let [_, width, ..] = shape;
        let length = width / heads;
        let filled = length.next_multiple_of(4);
        let factor = (filled as f32 / length as f32).sqrt();
        let fill = |values: &[f32], numbers: usize| {
            let mut values = values.to_vec();
            for value in &mut values[..width * numbers] {
                *value *= factor;
            }
            fill_up(&values, length * numbers, filled * numbers)
        };
        let all = Weighted::from_outputs_first(
            &fill(&weight, width),
            &fill(&bias, 1),
            1,
            Activation::Identity,
        );
        let output = Weighted::from_outputs_first(
            &fill_up(&output_weight, length, filled),
            &output_bias,
            1,
            output.config.activation,
        );
        let score_bias = score_bias.as_ref().map(|bias| self.score_bias(bias));
        let score_bias = score_bias.transpose()?;
        let all = self.planner.pointwise(*input, all);
        let attended = self.planner.biased_attention(all, *heads, score_bias);
        let addend = kernel::Shortcut {
            map: *addend,
            pooled: false,
        };
        Ok(self
            .planner
            .gated_pointwise(attended, output, None, Some(addend)))
    }

    /// One of single pixels is the same for pictures.
    fn clip_convolution(
        &mut self,
        layer: &ClipConvolution,
        input: &Map,
        shortcut: Option<&Map>,
    ) -> Result<Map, WeightsError> {
        let ClipConvolution { name, config, .. } = layer;
        let [weight, bias] = self.weight_and_bias(name, &config.weight_shape())?;
        let [frames, side] = config.kernel;
        let weighted = Weighted::from_taps(&weight, &bias, frames * side * side, config.activation);
        if (config.kernel, config.stride) == ([1, 1], [1, 1]) {
            let pooled = false;
            let shortcut = shortcut.map(|map| kernel::Shortcut { map: *map, pooled });
            return Ok(self
                .planner
                .gated_pointwise(*input, weighted, None, shortcut));
        }
        let (span, window) = clip_window(config, self.planner.shape(*input));
        let shortcut = shortcut.copied();
        Ok(self
            .planner
            .clip_convolution(*input, span, window, weighted, shortcut))
    }

    fn clip_max_pool(&mut self, pool: ClipPool, input: &Map) -> Map {
        let ClipPool {
            frames,
            kernel: [kernel, side],
            stride: [stride, step],
            padding: [before, around],
        } = pool;
        let span = Span::symmetric(frames, kernel, stride, before);
        let frame = span.frame_of(self.planner.shape(*input));
        let window = Window::symmetric(frame, side, step, around);
        self.planner.clip_max_pool(*input, span, window)
    }

    fn frame_average(&mut self, frames: usize, input: &Map) -> Map {
        self.planner.frame_average(*input, frames)
    }

    fn interpolate_frames(&mut self, frames: [usize; 2], input: &Map) -> Map {
        self.planner.interpolate_frames(*input, frames)
    }

    fn join(&mut self, inputs: &[Map]) -> Map {
        self.planner.join(inputs)
    }

    fn concatenate(&mut self, first: &Map, second: &Map) -> Map {
        self.planner.concatenate(*first, *second)
    }

    fn classifier(
        &mut self,
        classifier: &Classifier,
        embedding: &Map,
    ) -> Result<Option<Map>, WeightsError> {
        let Some(outputs) = self.parameters.rows(Classifier::WEIGHT)? else {
            return Ok(None);
        };
        let shape = [outputs, classifier.width];
        let weight = self.parameters.values(Classifier::WEIGHT, &shape)?;
        let bias = self.parameters.values(Classifier::BIAS, &shape[..1])?;
        let layer = Weighted::from_outputs_first(&weight, &bias, 1, Activation::Identity);
        Ok(Some(self.planner.pointwise(*embedding, layer)))
    }
}
