//! Convolutions over time.

use super::Predict;
use super::layers::Matrix;
use super::parameters::Parameters;
use super::rows::Rows;
use crate::head::batch_norm;
use crate::head::temporal::CLASSES;
use crate::head::temporal::convolution::{HEAD, Pointwise};
use crate::head::temporal::tcn::{INPUT, OUTPUT, Sizes, convolution_key, norm_key};
use crate::weights::WeightsError;

/// Temporal convolutional network with residual dilated convolutions.
#[derive(Debug)]
pub(super) struct Tcn {
    input: Convolution,
    layers: Vec<Convolution>,
    output: Convolution,
}

/// Convolution with zero padding, so that the output is as long as the input.
#[derive(Debug)]
pub(super) struct Convolution {
    /// An odd number of them.
    taps: Vec<Matrix>,
    bias: Vec<f32>,
    dilation: usize,
}

impl Tcn {
    pub(super) fn load(source: &mut Parameters) -> Result<Self, WeightsError> {
        let sizes = Sizes::from_weights(source.weights)?;
        let Sizes {
            features, hidden, ..
        } = sizes;
        let layers = (0..sizes.layers).map(|number| {
            let shape = [hidden, hidden, sizes.kernel];
            let key = convolution_key(number);
            let convolution = Convolution::load(&key, shape, 1 << number, source)?;
            convolution.then_batch_norm(&norm_key(number), source)
        });
        let layers = layers.collect::<Result<_, _>>()?;
        Ok(Self {
            input: Convolution::load(INPUT, [hidden, features, 1], 1, source)?,
            layers,
            output: Convolution::load(OUTPUT, [CLASSES, hidden, 1], 1, source)?,
        })
    }
}

impl Predict for Tcn {
    fn features(&self) -> usize {
        self.input.features()
    }

    fn logits(&self, frames: Rows) -> Rows {
        let mut frames = self.input.forward(&frames);
        for layer in &self.layers {
            let mut residual = layer.forward(&frames);
            for value in &mut residual.values {
                *value = value.max(0.0);
            }
            frames.add(&residual);
        }
        self.output.forward(&frames)
    }
}

impl Convolution {
    /// Convolution with `KEY.weight` of shape `[outputs, inputs, kernel]`, the kernel odd, and `KEY.bias`.
    pub(super) fn load(
        key: &str,
        [outputs, inputs, kernel]: [usize; 3],
        dilation: usize,
        source: &mut Parameters,
    ) -> Result<Self, WeightsError> {
        let weight = source.take(format!("{key}.weight"), &[outputs, inputs, kernel])?;
        let tap = |number| -> Vec<f32> {
            weight
                .iter()
                .skip(number)
                .step_by(kernel)
                .copied()
                .collect()
        };
        let taps = (0..kernel).map(|number| Matrix::from_outputs([outputs, inputs], &tap(number)));
        Ok(Self {
            taps: taps.collect(),
            bias: source.take(format!("{key}.bias"), &[outputs])?.to_vec(),
            dilation,
        })
    }

    /// Convolution one frame wide that is the whole head.
    pub(super) fn load_alone(source: &mut Parameters) -> Result<Self, WeightsError> {
        let features = Pointwise::stored_features(source.weights)?;
        Self::load(HEAD, [CLASSES, features, 1], 1, source)
    }

    /// Folds a batch norm behind the convolution into it.
    fn then_batch_norm(mut self, key: &str, source: &mut Parameters) -> Result<Self, WeightsError> {
        let channels = self.bias.len();
        for name in batch_norm::NAMES {
            source.take(format!("{key}.{name}"), &[channels])?;
        }
        let [gamma, beta, means, variances] = batch_norm::values(source.weights, key, channels)?;
        let scales = gamma.iter().zip(variances);
        let scales: Vec<f32> = scales
            .map(|(gamma, variance)| gamma / (variance + batch_norm::EPSILON).sqrt())
            .collect();
        for tap in &mut self.taps {
            tap.scale_outputs(&scales);
        }
        for (bias, ((scale, beta), mean)) in
            self.bias.iter_mut().zip(scales.iter().zip(beta).zip(means))
        {
            *bias = (*bias - mean) * scale + beta;
        }
        Ok(self)
    }

    fn forward(&self, frames: &Rows) -> Rows {
        let count = frames.count();
        let mut sums = Rows::repeated(&self.bias, count);
        let centre = self.taps.len() / 2;
        for (number, tap) in self.taps.iter().enumerate() {
            // Beyond the window there are zeros, which add nothing.
            let shift = number.abs_diff(centre) * self.dilation;
            let Some(common) = count.checked_sub(shift) else {
                continue;
            };
            let [from, to] = match number < centre {
                true => [0, shift],
                false => [shift, 0],
            };
            tap.add_products(
                &frames.values[from * frames.width..][..common * frames.width],
                &mut sums.values[to * tap.outputs..][..common * tap.outputs],
            );
        }
        sums
    }
}

impl Predict for Convolution {
    fn features(&self) -> usize {
        self.taps[0].inputs
    }

    fn logits(&self, frames: Rows) -> Rows {
        self.forward(&frames)
    }
}
