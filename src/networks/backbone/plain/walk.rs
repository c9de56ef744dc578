//! A forward pass: the walk over a description whose maps are tensors.

use std::convert::Infallible;
use std::slice::Iter;

use affectlens_formats::architecture::{
    Activation, Arrangement, Beside, ChannelNorm, Classifier, ClipConvolution, ClipPool,
    Convolution, CoordinateAttention, MaxPool, SelfAttention, Shortcut, Walk,
};
use burn::tensor::activation::{relu, softmax};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::PlainClassifier;
use super::layer::{PlainConvolution, PlainLayer};
use crate::kernel::linear_shares;

/// The layers that are still to come.
pub(super) struct Forward<'a> {
    layers: Iter<'a, PlainLayer>,
    classifier: Option<&'a PlainClassifier>,
}

impl<'a> Forward<'a> {
    pub(super) fn new(layers: &'a [PlainLayer], classifier: Option<&'a PlainClassifier>) -> Self {
        Self {
            layers: layers.iter(),
            classifier,
        }
    }

    fn next(&mut self) -> &'a PlainConvolution {
        match self.layers.next() {
            Some(PlainLayer::Convolution(layer)) => layer,
            _ => unreachable!("layers are those of the description"),
        }
    }
}

impl Walk for Forward<'_> {
    type Map = Tensor<4>;
    type Error = Infallible;

    fn convolution_beside(
        &mut self,
        _layer: &Convolution,
        input: &Tensor<4>,
        beside: Beside<'_, Tensor<4>>,
    ) -> Result<Tensor<4>, Infallible> {
        let layer = self.next();
        let input = match beside.gate {
            Some(gate) => input.clone() * gate.clone(),
            None => input.clone(),
        };
        let shortcut = beside.shortcut.map(|it| widened(it, layer.outputs()));
        Ok(layer.forward(input, shortcut))
    }

    fn mixed_depthwise(
        &mut self,
        layers: &[Convolution],
        input: &Tensor<4>,
    ) -> Result<Tensor<4>, Infallible> {
        let mut start = 0;
        let mixed = layers.iter().map(|_| {
            let layer = self.next();
            let channels = layer.outputs();
            let part = input.clone().narrow(1, start, channels);
            start += channels;
            layer.forward(part, None)
        });
        Ok(Tensor::cat(mixed.collect(), 1))
    }

    fn separable(
        &mut self,
        _depthwise: &Convolution,
        _pointwise: &Convolution,
        input: &Tensor<4>,
        shortcut: Shortcut<'_, Tensor<4>>,
    ) -> Result<Tensor<4>, Infallible> {
        let (depthwise, pointwise) = (self.next(), self.next());
        let maps = depthwise.forward(input.clone(), None);
        Ok(pointwise.forward(maps, Some(widened(shortcut, pointwise.outputs()))))
    }

    fn stacked(
        &mut self,
        layers: &[Convolution],
        groups: usize,
        input: &Tensor<4>,
    ) -> Result<Tensor<4>, Infallible> {
        let parts = layers.iter().map(|_| {
            let maps = self.next().forward(input.clone(), None);
            let [batch, channels, height, width] = maps.dims();
            maps.reshape([batch, groups, channels / groups, height, width])
        });
        let stacked: Tensor<5> = Tensor::cat(parts.collect(), 2);
        Ok(stacked.flatten(1, 2))
    }

    fn squeeze_excite(
        &mut self,
        _reduce: &Convolution,
        _excite: &Convolution,
        input: &Tensor<4>,
    ) -> Result<Tensor<4>, Infallible> {
        let (reduce, excite) = (self.next(), self.next());
        Ok(excite.forward(reduce.forward(mean(input), None), None))
    }

    /// `[batch, channels, height, width]` of gates.
    fn coordinate_attention(
        &mut self,
        layers: &CoordinateAttention,
        input: &Tensor<4>,
    ) -> Result<Tensor<4>, Infallible> {
        let mut lines = |axis| match layers.sums {
            None => input.clone().mean_dim(axis),
            Some(_) => match self.layers.next() {
                Some(PlainLayer::LineSum(sum)) => sum.forward(input.clone(), axis),
                _ => unreachable!("layers are those of the description"),
            },
        };
        let (in_rows, in_columns) = (lines(3), lines(2));
        let (reduce, rows, columns) = (self.next(), self.next(), self.next());
        let gates =
            |lines, excite: &PlainConvolution| excite.forward(reduce.forward(lines, None), None);
        Ok(gates(in_rows, rows) * gates(in_columns, columns))
    }

    fn line_gate(
        &mut self,
        input: &Tensor<4>,
        gates: &Tensor<4>,
        others: Option<&Tensor<4>>,
    ) -> Tensor<4> {
        let gates = match others {
            Some(others) => gates.clone().max_pair(others.clone()),
            None => gates.clone(),
        };
        input.clone() * gates
    }

    fn layer_norm(
        &mut self,
        _norm: &ChannelNorm,
        input: &Tensor<4>,
    ) -> Result<Tensor<4>, Infallible> {
        match self.layers.next() {
            Some(PlainLayer::Norm(norm)) => Ok(norm.forward(input.clone())),
            _ => unreachable!("layers are those of the description"),
        }
    }

    fn max_pool(&mut self, pool: MaxPool, input: &Tensor<4>) -> Tensor<4> {
        let MaxPool {
            kernel,
            stride,
            padding,
        } = pool;
        let options = MaxPoolOptions::new([kernel; 2])
            .with_stride([stride; 2])
            .with_padding([padding; 2]);
        max_pool2d(input.clone(), options)
    }

    fn unpacked_separable(
        &mut self,
        _depthwise: &Convolution,
        _pointwise: &Convolution,
        input: &Tensor<4>,
    ) -> Result<Tensor<4>, Infallible> {
        let (depthwise, pointwise) = (self.next(), self.next());
        let maps = depthwise.forward(unpacked(input.clone()), None);
        Ok(pointwise.forward(maps, None))
    }

    fn enlarge(
        &mut self,
        input: &Tensor<4>,
        activation: Activation,
        addend: &Tensor<4>,
    ) -> Tensor<4> {
        let enlarged = twice(twice(input.clone(), 2), 3);
        let enlarged = match activation {
            Activation::Relu => relu(enlarged),
            Activation::Relu6 => enlarged.clamp(0.0, 6.0),
            Activation::Identity => enlarged,
            other => unreachable!("{other:?} after an enlargement"),
        };
        enlarged + addend.clone()
    }

    fn add(&mut self, first: &Tensor<4>, second: &Tensor<4>) -> Tensor<4> {
        first.clone() + second.clone()
    }

    fn average(&mut self, input: &Tensor<4>) -> Tensor<4> {
        mean(input)
    }

    fn convolution_of_two(
        &mut self,
        _layer: &Convolution,
        first: &Tensor<4>,
        second: &Tensor<4>,
    ) -> Result<Tensor<4>, Infallible> {
        let maps = Tensor::cat(vec![first.clone(), second.clone()], 1);
        Ok(self.next().forward(maps, None))
    }

    fn unfold(&mut self, input: &Tensor<4>, patch: usize) -> Tensor<4> {
        let [batch, channels, height, width] = input.dims();
        let [down, across] = [height, width].map(|side| side.div_ceil(patch));
        let whole = resized(input.clone(), [down * patch, across * patch]);
        let parts: Tensor<6> = whole.reshape([batch, channels, down, patch, across, patch]);
        let shape = [batch, channels, patch * patch, down * across];
        parts.permute([0, 1, 3, 5, 2, 4]).reshape(shape)
    }

    fn fold(&mut self, input: &Tensor<4>, patch: usize, picture: &Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = picture.dims();
        let [down, across] = [height, width].map(|side| side.div_ceil(patch));
        let parts: Tensor<6> = input
            .clone()
            .reshape([batch, channels, patch, patch, down, across]);
        let shape = [batch, channels, down * patch, across * patch];
        let whole = parts.permute([0, 1, 4, 2, 5, 3]).reshape(shape);
        resized(whole, [height, width])
    }

    fn attention(
        &mut self,
        layers: &SelfAttention,
        input: &Tensor<4>,
        addend: &Tensor<4>,
    ) -> Result<Tensor<4>, Infallible> {
        let all = layers.all.iter();
        let all = all.map(|_| self.next().forward(input.clone(), None));
        let all = Tensor::cat(all.collect(), 1);
        let output = self.next();
        let [batch, channels, rows, pixels] = input.dims();
        let heads = layers.heads;
        let length = channels / heads;
        let all: Tensor<6> = all.reshape([batch, 3, heads, length, rows, pixels]);
        let all = all.permute([1, 0, 4, 2, 5, 3]);
        let part = |index: usize| -> Tensor<3> {
            let part = all.clone().narrow(0, index, 1);
            part.reshape([batch * rows * heads, pixels, length])
        };
        let mut scores = part(0).matmul(part(1).swap_dims(1, 2)) / (length as f32).sqrt();
        if let Some(bias) = &layers.bias {
            let Some(PlainLayer::Table(table)) = self.layers.next() else {
                unreachable!("layers are those of the description")
            };
            let of_rows: Tensor<4> = scores.reshape([batch, rows, heads, pixels * pixels]);
            let added = table.forward(bias);
            let [rows_or_one, ..] = added.dims();
            let added = added.reshape([1, rows_or_one, heads, pixels * pixels]);
            scores = (of_rows + added).reshape([batch * rows * heads, pixels, pixels]);
        }
        let attended = softmax(scores, 2).matmul(part(2));
        let attended: Tensor<5> = attended.reshape([batch, rows, heads, pixels, length]);
        let attended = attended
            .permute([0, 2, 4, 1, 3])
            .reshape([batch, channels, rows, pixels]);
        Ok(output.forward(attended, Some(addend.clone())))
    }

    fn arrange(&mut self, arrangement: &Arrangement, input: &Tensor<4>) -> Tensor<4> {
        let Arrangement {
            height,
            width,
            ref places,
            ref addend,
        } = *arrangement;
        let [batch, channels, ..] = input.dims();
        let device = input.device();
        // Zeros follow the pixels.
        let pixels: Tensor<3> = input.clone().flatten(2, 3);
        let count = pixels.dims()[2];
        let pixels = pixels.pad([(0, 0), (0, 0), (0, 1)], 0.0);
        let numbers = places
            .iter()
            .map(|place| place.map_or(count as i64, i64::from));
        let numbers = TensorData::new(numbers.collect::<Vec<_>>(), [places.len()]);
        let pixels = pixels.select(2, Tensor::<1, Int>::from_data(numbers, &device));
        let pixels = match addend.is_empty() {
            true => pixels,
            false => {
                let addend = TensorData::new(addend.clone(), [1, places.len(), channels]);
                pixels + Tensor::<3>::from_data(addend, &device).swap_dims(1, 2)
            }
        };
        pixels.reshape([batch, channels, height, width])
    }

    fn clip_convolution(
        &mut self,
        _layer: &ClipConvolution,
        input: &Tensor<4>,
        shortcut: Option<&Tensor<4>>,
    ) -> Result<Tensor<4>, Infallible> {
        Ok(self.next().forward(input.clone(), shortcut.cloned()))
    }

    /// The largest of each frame, and of those along time.
    fn clip_max_pool(&mut self, pool: ClipPool, input: &Tensor<4>) -> Tensor<4> {
        let ClipPool {
            frames,
            kernel: [kernel, side],
            stride: [stride, step],
            padding: [before, around],
        } = pool;
        let [batch, channels, height, width] = input.dims();
        let options = MaxPoolOptions::new([side; 2])
            .with_stride([step; 2])
            .with_padding([around; 2]);
        let pictures = [batch, channels * frames, height / frames, width];
        let pooled = max_pool2d(input.clone().reshape(pictures), options);
        let [.., height, width] = pooled.dims();
        let options = MaxPoolOptions::new([kernel, 1])
            .with_stride([stride, 1])
            .with_padding([before, 0]);
        let lines = pooled.reshape([batch, channels, frames, height * width]);
        let pooled = max_pool2d(lines, options);
        let frames = pooled.dims()[2];
        pooled.reshape([batch, channels, frames * height, width])
    }

    fn frame_average(&mut self, frames: usize, input: &Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = input.dims();
        let pixels = height / frames * width;
        let lines = input.clone().reshape([batch, channels, frames, pixels]);
        lines.mean_dim(3)
    }

    fn interpolate_frames(&mut self, [frames, wanted]: [usize; 2], input: &Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = input.dims();
        let height = height / frames;
        let clip = input.clone();
        let clip = clip.reshape([batch, channels, frames, height * width]);
        let shares = shares(frames, wanted, &clip.device()).swap_dims(2, 3);
        let shape = [batch, channels, wanted * height, width];
        shares.matmul(clip).reshape(shape)
    }

    fn join(&mut self, inputs: &[Tensor<4>]) -> Tensor<4> {
        Tensor::cat(inputs.to_vec(), 1)
    }

    fn concatenate(&mut self, first: &Tensor<4>, second: &Tensor<4>) -> Tensor<4> {
        Tensor::cat(vec![first.clone(), second.clone()], 1)
    }

    fn classifier(
        &mut self,
        _classifier: &Classifier,
        embedding: &Tensor<4>,
    ) -> Result<Option<Tensor<4>>, Infallible> {
        let classifier = self.classifier;
        Ok(classifier.map(|classifier| classifier.forward(embedding.clone())))
    }
}

/// A map twice as wide and high, whose 2x2 pixels are the four quarters of a pixel's channels.
fn unpacked(maps: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = maps.dims();
    let quarters: Tensor<6> = maps.reshape([batch, 2, 2, channels / 4, height, width]);
    quarters
        .permute([0, 3, 4, 1, 5, 2])
        .reshape([batch, channels / 4, 2 * height, 2 * width])
}

/// Twice as many pixels along an axis, bilinear: each pixel gives one output towards the pixel before it and one towards
/// the pixel after it; at the edges that is the pixel itself.
fn twice(maps: Tensor<4>, axis: usize) -> Tensor<4> {
    let sides = maps.dims();
    let length = sides[axis];
    let part = |start, count| maps.clone().narrow(axis, start, count);
    let before = Tensor::cat(vec![part(0, 1), part(0, length - 1)], axis);
    let after = Tensor::cat(vec![part(1, length - 1), part(length - 1, 1)], axis);
    let towards = |neighbours: Tensor<4>| {
        let output: Tensor<5> = (maps.clone() * 0.75 + neighbours * 0.25).unsqueeze_dim(axis + 1);
        output
    };
    let mut sides = sides;
    sides[axis] *= 2;
    Tensor::cat(vec![towards(before), towards(after)], axis + 1).reshape(sides)
}

/// Bilinear between the centres of pixels.
fn resized(maps: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [_, _, from_height, from_width] = maps.dims();
    if [from_height, from_width] == [height, width] {
        return maps;
    }
    let device = maps.device();
    let down = shares(from_height, height, &device).swap_dims(2, 3);
    down.matmul(maps.matmul(shares(from_width, width, &device)))
}

/// Shares of the inputs in each output, `[1, 1, inputs, outputs]`.
fn shares(inputs: usize, outputs: usize, device: &Device) -> Tensor<4> {
    let shares = TensorData::new(linear_shares(inputs, outputs), [1, 1, outputs, inputs]);
    Tensor::<4>::from_data(shares, device).swap_dims(2, 3)
}

/// Means over pixels, `[batch, channels, 1, 1]`.
fn mean(maps: &Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = maps.dims();
    maps.clone()
        .reshape([batch, channels, height * width])
        .mean_dim(2)
        .reshape([batch, channels, 1, 1])
}

/// What is added: pooled where it is too large, with zeros for the channels that it does not have.
fn widened(shortcut: Shortcut<'_, Tensor<4>>, channels: usize) -> Tensor<4> {
    let map = shortcut.map.clone();
    let map = if shortcut.pooled {
        max_pool2d(map, MaxPoolOptions::new([2; 2]).with_stride([2; 2]))
    } else {
        map
    };
    match channels - map.dims()[1] {
        0 => map,
        added => map.pad([(0, 0), (0, added), (0, 0), (0, 0)], 0.0),
    }
}
