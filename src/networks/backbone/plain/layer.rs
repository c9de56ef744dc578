//! Layers with weights in Burn's own operations.

use affectlens_formats::architecture::{
    self, ChannelNorm, ClipConvolution, ClipConvolutionConfig, Convolution, ConvolutionConfig,
    LineSum, PositionBias, PositionTable, Published,
};
use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::BatchNormConfig;
use burn::tensor::activation::{gelu, relu, sigmoid, silu};
use burn::tensor::module::{batch_norm_train, conv2d, conv3d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Distribution, Int, Tensor, TensorData};

use super::Loader;
use crate::backbone::folded::{clip_window, window};
use crate::kernel::{Activation, MapShape, ScoreBias};
use crate::weights::WeightsError;

/// A layer with weights.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most layers are convolutions, and their tensors are far larger"
)]
pub(super) enum PlainLayer {
    Convolution(PlainConvolution),
    Norm(PlainNorm),
    LineSum(PlainLineSum),
    Table(PlainTable),
}

/// `activation(convolve(x, weight) + bias)`; in training with batch norm or a layer scale before the activation.
#[derive(Module, Debug)]
pub(super) struct PlainConvolution {
    /// Over a clip `[outputs, inputs, frames of the kernel, pixels of the kernel]`.
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
    batch_norm: Option<BatchNorm>,
    scale: Option<Param<Tensor<1>>>,
    slopes: Option<Param<Tensor<1>>>,
    #[module(skip)]
    kernel: Kernel,
    /// Probability that training leaves the layer out of a sample.
    #[module(skip)]
    stochastic_depth: f32,
}

/// What a convolution goes over.
#[derive(Clone, Copy, Debug)]
enum Kernel {
    Picture(ConvolutionConfig),
    /// The frames of a clip, which stand below each other.
    Clip(ClipConvolutionConfig),
}

impl Kernel {
    /// Shape of the weight in a file, and in memory.
    fn shapes(self) -> (Vec<usize>, [usize; 4]) {
        match self {
            Self::Picture(config) => {
                let shape = config.weight_shape();
                (shape.to_vec(), shape)
            }
            Self::Clip(config) => {
                let shape = config.weight_shape();
                let [outputs, inputs, frames, height, width] = shape;
                (shape.to_vec(), [outputs, inputs, frames, height * width])
            }
        }
    }

    fn activation(self) -> Activation {
        match self {
            Self::Picture(config) => config.activation,
            Self::Clip(config) => config.activation,
        }
    }
}

impl PlainConvolution {
    /// Takes `name.weight`, `name.bias` and for PReLU `name.slopes` of canonical weights.
    pub(super) fn load(layer: &Convolution, from: &mut Loader<'_>) -> Result<Self, WeightsError> {
        let kernel = Kernel::Picture(layer.config);
        Ok(Self {
            stochastic_depth: layer.stochastic_depth,
            ..Self::read(&layer.name, &layer.published, kernel, from)?
        })
    }

    /// The same of a convolution over a clip.
    pub(super) fn load_clip(
        layer: &ClipConvolution,
        from: &mut Loader<'_>,
    ) -> Result<Self, WeightsError> {
        Self::read(
            &layer.name,
            &layer.published,
            Kernel::Clip(layer.config),
            from,
        )
    }

    fn read(
        name: &str,
        published: &Published,
        kernel: Kernel,
        from: &mut Loader<'_>,
    ) -> Result<Self, WeightsError> {
        if from.is_trained {
            return Self::unfolded(published, kernel, from);
        }
        let (stored, shape) = kernel.shapes();
        let slopes = match kernel.activation() {
            Activation::Prelu => Some(from.take(&format!("{name}.slopes"), [shape[0]])?),
            _ => None,
        };
        Ok(Self {
            weight: from.take_reshaped(&format!("{name}.weight"), &stored, shape)?,
            bias: Some(from.take(&format!("{name}.bias"), [shape[0]])?),
            batch_norm: None,
            scale: None,
            slopes,
            kernel,
            stochastic_depth: 0.0,
        })
    }

    /// Takes what a state dict has for it.
    fn unfolded(
        names: &Published,
        kernel: Kernel,
        from: &mut Loader<'_>,
    ) -> Result<Self, WeightsError> {
        let (stored, shape) = kernel.shapes();
        let outputs = [shape[0]];
        let weight = from.take_reshaped(&format!("{}.weight", names.layer), &stored, shape)?;
        let bias = names.bias_name().map(|name| from.take(&name, outputs));
        let bias = bias.transpose()?;
        let norm = names.batch_norm.as_ref();
        let norm = norm.map(|norm| BatchNorm::load(norm, outputs[0], from));
        let batch_norm = norm.transpose()?;
        let scale = names.scale.as_ref().map(|name| from.take(name, outputs));
        let scale = scale.transpose()?;
        let slopes = names
            .slopes
            .as_ref()
            .map(|name| from.take(&format!("{name}.weight"), outputs));
        Ok(Self {
            weight,
            bias,
            batch_norm,
            scale,
            slopes: slopes.transpose()?,
            kernel,
            stochastic_depth: 0.0,
        })
    }

    /// A folded layer with a batch norm that changes nothing yet: its statistics are those of what the weight makes of
    /// `maps`, its scale and shift undo them and add the bias. Gives what follows the layer, too.
    ///
    /// # Shapes
    ///
    /// - weight: `[outputs, inputs of one output, kernel, kernel]`, bias: `[outputs]`
    /// - maps: `[batch, inputs, height, width]`
    pub(super) fn restored(
        config: ConvolutionConfig,
        weight: Tensor<4>,
        bias: Tensor<1>,
        momentum: f64,
        maps: Tensor<4>,
    ) -> (Self, Tensor<4>) {
        let mut layer = Self {
            weight: Param::from_tensor(weight),
            bias: None,
            batch_norm: None,
            scale: None,
            slopes: None,
            kernel: Kernel::Picture(config),
            stochastic_depth: 0.0,
        };
        let maps = layer.convolve(maps);
        let batch_norm = BatchNorm::undoing(maps.clone(), bias.clone(), momentum);
        layer.batch_norm = Some(batch_norm);
        let channels = bias.dims()[0];
        let maps = layer.activate(maps + bias.reshape([1, channels, 1, 1]));
        (layer, maps)
    }

    /// Weight and bias with the batch norm folded into them, by its running statistics.
    pub(super) fn folded(&self) -> (Tensor<4>, Tensor<1>) {
        let weight = self.weight.val();
        let [outputs, ..] = weight.dims();
        match &self.batch_norm {
            None => {
                let bias = self.bias.as_ref().map(Param::val);
                let zeros = || Tensor::zeros([outputs], &weight.device());
                (weight.clone(), bias.unwrap_or_else(zeros))
            }
            Some(BatchNorm { inner }) => {
                let variance = inner.running_var.value_sync();
                let scale = inner.gamma.val() / (variance + inner.epsilon).sqrt();
                let shift = inner.running_mean.value_sync() * scale.clone();
                let weight = weight * scale.reshape([outputs, 1, 1, 1]);
                (weight, inner.beta.val() - shift)
            }
        }
    }

    /// Output channels.
    pub(super) fn outputs(&self) -> usize {
        self.weight.dims()[0]
    }

    /// Convolves feature maps and adds a shortcut, where there is one, before the activation.
    ///
    /// # Shapes
    ///
    /// - maps: `[batch, inputs, height, width]`
    /// - shortcut and output: `[batch, outputs, height, width]`, as large as the padding says
    pub(super) fn forward(&self, maps: Tensor<4>, shortcut: Option<Tensor<4>>) -> Tensor<4> {
        let maps = self.convolve(maps);
        self.activate(match shortcut {
            Some(shortcut) => left_out(maps, self.stochastic_depth) + shortcut,
            None => maps,
        })
    }

    fn convolve(&self, maps: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(Param::val);
        let mut maps = match self.kernel {
            Kernel::Picture(config) => over_pictures(maps, self.weight.val(), bias, &config),
            Kernel::Clip(config) => over_clips(maps, self.weight.val(), bias, &config),
        };
        if let Some(batch_norm) = &self.batch_norm {
            maps = batch_norm.forward(maps);
        }
        if let Some(scale) = &self.scale {
            maps = maps * channels_of(scale);
        }
        maps
    }

    fn activate(&self, maps: Tensor<4>) -> Tensor<4> {
        match self.kernel.activation() {
            Activation::Identity => maps,
            Activation::Silu => silu(maps),
            Activation::Relu => relu(maps),
            Activation::Relu6 => maps.clamp(0.0, 6.0),
            Activation::Gelu => gelu(maps),
            Activation::Sigmoid => sigmoid(maps),
            Activation::Hardswish => maps.clone() * (maps + 3.0).clamp(0.0, 6.0) / 6.0,
            Activation::Prelu => {
                let slopes = self.slopes.as_ref().expect("PReLU has slopes");
                relu(maps.clone()) + maps.clamp_max(0.0) * channels_of(slopes)
            }
        }
    }
}

/// Zeros for some of the samples on a device with gradients, and the others that much larger.
fn left_out(maps: Tensor<4>, probability: f32) -> Tensor<4> {
    if probability == 0.0 || !maps.device().is_autodiff() {
        return maps;
    }
    let kept = 1.0 - f64::from(probability);
    let shape = [maps.dims()[0], 1, 1, 1];
    let samples = Tensor::random(shape, Distribution::Bernoulli(kept), &maps.device());
    maps * (samples / kept)
}

fn over_pictures(
    maps: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    config: &ConvolutionConfig,
) -> Tensor<4> {
    let [_, channels, height, width] = maps.dims();
    let ConvolutionConfig { kernel, stride, .. } = *config;
    let shape = MapShape {
        height,
        width,
        channels,
    };
    let window = window(config, shape);
    let padding = |axis: usize, side: usize| {
        let reach = (window.output[axis] - 1) * stride + kernel;
        let before = window.padding[axis];
        (before, reach.saturating_sub(side + before))
    };
    let padding = [padding(0, height), padding(1, width)];
    let options = ConvOptions::new_with_padding([stride; 2], padding, [1; 2], config.groups());
    conv2d(maps, weight, bias, options)
}

/// `[batch, inputs, frames * height, width]` to `[batch, outputs, frames * height, width]`
fn over_clips(
    maps: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    config: &ClipConvolutionConfig,
) -> Tensor<4> {
    let [batch, channels, height, width] = maps.dims();
    let shape = MapShape {
        height,
        width,
        channels,
    };
    let (span, window) = clip_window(config, shape);
    let frame = span.frame_of(shape);
    let clip: Tensor<5> = maps.reshape([batch, channels, span.frames, frame.height, width]);
    let weight: Tensor<5> = weight.reshape(config.weight_shape());
    let stride = [span.stride, window.stride, window.stride];
    let [above, left] = window.padding;
    let padding = [span.padding, above, left].map(|pixels| (pixels, pixels));
    let options = ConvOptions::new_with_padding(stride, padding, [1; 3], 1);
    let clip = conv3d(clip, weight, bias, options);
    let [batch, outputs, frames, height, width] = clip.dims();
    clip.reshape([batch, outputs, frames * height, width])
}

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias`, mean and variance over channels.
#[derive(Module, Debug)]
pub(super) struct PlainNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f32,
}

impl PlainNorm {
    pub(super) fn load(norm: &ChannelNorm, from: &mut Loader<'_>) -> Result<Self, WeightsError> {
        let ChannelNorm {
            name,
            channels,
            epsilon,
        } = norm;
        Ok(Self {
            weight: from.take(&format!("{name}.weight"), [*channels])?,
            bias: from.take(&format!("{name}.bias"), [*channels])?,
            epsilon: *epsilon,
        })
    }

    /// `[batch, channels, height, width]` to the same.
    pub(super) fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let centred = maps.clone() - maps.mean_dim(1);
        let variance = centred.clone().square().mean_dim(1);
        centred / (variance + self.epsilon).sqrt() * channels_of(&self.weight)
            + channels_of(&self.bias)
    }
}

/// Weighted sums over the rows or over the columns of a map.
#[derive(Module, Debug)]
pub(super) struct PlainLineSum {
    /// `[channels, 1, 1, width]` or `[channels, 1, height, 1]`
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

impl PlainLineSum {
    pub(super) fn load(sum: &LineSum, from: &mut Loader<'_>) -> Result<Self, WeightsError> {
        let LineSum {
            name, weight_shape, ..
        } = sum;
        Ok(Self {
            weight: from.take(&format!("{name}.weight"), *weight_shape)?,
            bias: from.take(&format!("{name}.bias"), [weight_shape[0]])?,
        })
    }

    /// `[batch, channels, height, width]` to `[batch, channels, height, 1]` over axis 3, `[batch, channels, 1, width]`
    /// over axis 2.
    pub(super) fn forward(&self, maps: Tensor<4>, axis: usize) -> Tensor<4> {
        (maps * self.weight.val().swap_dims(0, 1)).sum_dim(axis) + channels_of(&self.bias)
    }
}

/// What attention adds to its scores by how the pixels of a row lie to each other.
#[derive(Module, Debug)]
pub(super) struct PlainTable {
    /// `[places, heads]`
    values: Param<Tensor<2>>,
}

impl PlainTable {
    pub(super) fn load(table: &PositionTable, from: &mut Loader<'_>) -> Result<Self, WeightsError> {
        let shape = [table.places, table.heads];
        Ok(Self {
            values: from.take(&table.name, shape)?,
        })
    }

    /// What is added to the scores of each row, `[rows or 1, heads, queries, keys]`.
    pub(super) fn forward(&self, bias: &PositionBias) -> Tensor<4> {
        let device = self.values.val().device();
        let [places, heads] = self.values.dims();
        let pixels = bias.codes.len();
        let pairs = |of: &[u32], between: &dyn Fn(u32, u32) -> i64| -> Vec<i64> {
            let keys = |query: u32| of.iter().map(move |key| between(query, *key));
            of.iter().flat_map(|query| keys(*query)).collect()
        };
        let half = (places / 2) as i64;
        let chosen = pairs(&bias.codes, &|query, key| {
            i64::from(query) - i64::from(key) + half
        });
        let chosen = TensorData::new(chosen, [pixels * pixels]);
        let chosen = Tensor::<1, Int>::from_data(chosen, &device);
        let added = self.values.val().select(0, chosen).transpose();
        let added: Tensor<4> = added.reshape([1, heads, pixels, pixels]);
        if bias.regions.is_empty() {
            return added;
        }
        let apart: Vec<f32> = bias
            .regions
            .chunks_exact(pixels)
            .flat_map(|row| pairs(row, &|query, key| i64::from(query != key)))
            .map(|is_apart| is_apart as f32 * ScoreBias::APART)
            .collect();
        let rows = bias.regions.len() / pixels;
        let apart = TensorData::new(apart, [rows, 1, pixels, pixels]);
        added + Tensor::<4>::from_data(apart, &device)
    }
}

/// Batch norm with what PyTorch's remembers.
#[derive(Module, Debug)]
pub(super) struct BatchNorm {
    inner: burn::nn::BatchNorm,
}

impl BatchNorm {
    /// Takes `name.weight`, `.bias`, `.running_mean` and `.running_var`.
    fn load(
        norm: &architecture::BatchNorm,
        channels: usize,
        from: &mut Loader<'_>,
    ) -> Result<Self, WeightsError> {
        let name = &norm.name;
        let mut inner = BatchNormConfig::new(channels)
            .with_epsilon(norm.epsilon)
            .with_momentum(norm.momentum)
            .init(from.device);
        inner.gamma = from.take(&format!("{name}.weight"), [channels])?;
        inner.beta = from.take(&format!("{name}.bias"), [channels])?;
        let mut statistic = |part: &str| {
            let name = format!("{name}.{part}");
            let id = ParamId::new();
            let tensor = from.tensor(&name, [channels])?;
            from.ids.push((name, id));
            Ok::<_, WeightsError>(RunningState::with_id(id, tensor))
        };
        inner.running_mean = statistic("running_mean")?;
        inner.running_var = statistic("running_var")?;
        Ok(Self { inner })
    }

    /// Remembers the statistics of `[batch, channels, height, width]`; scale and shift undo what they do, but for `bias`,
    /// `[channels]`, which is added.
    fn undoing(maps: Tensor<4>, bias: Tensor<1>, momentum: f64) -> Self {
        let [batch, channels, height, width] = maps.dims();
        let values: Tensor<2> = maps
            .swap_dims(0, 1)
            .reshape([channels, batch * height * width]);
        let mean: Tensor<1> = values.clone().mean_dim(1).squeeze_dim(1);
        let variance: Tensor<1> = values.var(1).squeeze_dim(1);
        let mut inner = BatchNormConfig::new(channels)
            .with_momentum(momentum)
            .init(&mean.device());
        inner.gamma = Param::from_tensor((variance.clone() + inner.epsilon).sqrt());
        inner.beta = Param::from_tensor(bias + mean.clone());
        inner.running_mean = RunningState::new(mean);
        inner.running_var = RunningState::new(variance);
        Self { inner }
    }

    /// `[batch, channels, height, width]` to the same: by the batch's statistics on a device with gradients, by the
    /// running ones elsewhere.
    fn forward(&self, maps: Tensor<4>) -> Tensor<4> {
        let BatchNorm { inner } = self;
        if !(maps.device().is_autodiff() && inner.training.is_enabled()) {
            return inner.forward(maps);
        }
        let [batch, _, height, width] = maps.dims();
        let batch_norm = batch_norm_train(maps, inner.gamma.val(), inner.beta.val(), inner.epsilon);
        // Burn remembers the variance over n, PyTorch the one over n - 1.
        let count = (batch * height * width) as f64;
        let variance = batch_norm.variance * (count / (count - 1.0).max(1.0));
        for (running, value) in [
            (&inner.running_mean, batch_norm.mean),
            (&inner.running_var, variance),
        ] {
            let before = running.value_sync() * (1.0 - inner.momentum);
            running.update((before + value.detach() * inner.momentum).detach());
        }
        batch_norm.output
    }
}

/// One number a channel as `[1, channels, 1, 1]`.
fn channels_of(values: &Param<Tensor<1>>) -> Tensor<4> {
    let [channels] = values.dims();
    values.val().reshape([1, channels, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Every sample has all of a layer or nothing of it, and on average as much as without.
    #[test]
    fn training_leaves_a_layer_out_of_some_samples() {
        let samples = 2000;
        let device = Device::flex().autodiff();
        let maps = |device: &Device| Tensor::<4>::ones([samples, 2, 1, 3], device);
        let values = |maps: Tensor<4>| -> Vec<f32> { maps.into_data().iter().collect() };
        let kept = values(left_out(maps(&device), 0.25));
        let whole = kept.chunks_exact(6).filter(|sample| {
            assert!(sample.iter().all(|value| *value == sample[0]), "{sample:?}");
            sample[0] != 0.0
        });
        let whole: Vec<f32> = whole.map(|sample| sample[0]).collect();
        assert!(whole.iter().all(|value| (value - 4.0 / 3.0).abs() < 1e-6));
        // Five standard deviations.
        let share = whole.len() as f32 / samples as f32;
        assert!((share - 0.75).abs() < 0.05, "{share}");
        assert!(
            values(left_out(maps(&device), 0.0))
                .iter()
                .all(|it| *it == 1.0)
        );
        let elsewhere = Device::flex();
        assert!(
            values(left_out(maps(&elsewhere), 0.25))
                .iter()
                .all(|it| *it == 1.0)
        );
    }
}
