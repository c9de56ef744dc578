//! The steps written down plainly, in f64.

use affectlens_cpu::{Activation, MapShape, ScoreBias, Span, Weighted, Window};

/// Numbers that look random and are the same each time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// Numbers between `-scale` and `scale`.
    pub(crate) fn take(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count)
            .map(|_| {
                self.0 = self
                    .0
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                ((self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
            })
            .collect()
    }
}

/// `[batch, height, width, channels]`
#[derive(Clone)]
pub(crate) struct Maps {
    pub(crate) batch: usize,
    /// `[height, width, channels]`
    pub(crate) shape: [usize; 3],
    pub(crate) values: Vec<f64>,
}

impl Maps {
    pub(crate) fn noise(numbers: &mut Numbers, batch: usize, shape: [usize; 3]) -> Self {
        let values = numbers.take(batch * shape.iter().product::<usize>(), 1.0);
        Self {
            batch,
            shape,
            values: values.into_iter().map(f64::from).collect(),
        }
    }

    /// Size of one picture's map.
    pub(crate) fn size(&self) -> MapShape {
        let [height, width, channels] = self.shape;
        MapShape {
            height,
            width,
            channels,
        }
    }

    pub(crate) fn to_f32(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }

    /// A pixel's channel; none outside of the picture.
    fn get(&self, picture: usize, y: isize, x: isize, channel: usize) -> Option<f64> {
        let [height, width, channels] = self.shape;
        let is_inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
        is_inside.then(|| {
            self.values[((picture * height + y as usize) * width + x as usize) * channels + channel]
        })
    }

    /// Every pixel times the gate of its channel.
    pub(crate) fn times(&self, gates: &Self) -> Self {
        self.each(self.shape, |picture, y, x, channel| {
            self.get(picture, y, x, channel).expect("inside")
                * gates.get(picture, 0, 0, channel).expect("inside")
        })
    }

    /// Both values of every pixel's channel.
    pub(crate) fn with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        let pairs = self.values.iter().zip(&other.values);
        Self {
            values: pairs.map(|(&x, &y)| combine(x, y)).collect(),
            ..self.clone()
        }
    }

    fn each(&self, shape: [usize; 3], value: impl Fn(usize, isize, isize, usize) -> f64) -> Self {
        let mut values = Vec::new();
        for picture in 0..self.batch {
            for y in 0..shape[0] as isize {
                for x in 0..shape[1] as isize {
                    values.extend((0..shape[2]).map(|channel| value(picture, y, x, channel)));
                }
            }
        }
        Self {
            batch: self.batch,
            shape,
            values,
        }
    }
}

/// The pixels of a window: tap, row, column.
fn taps(window: Window, y: isize, x: isize) -> impl Iterator<Item = (usize, isize, isize)> {
    let [top, left] = window.padding.map(|padding| padding as isize);
    (0..window.kernel * window.kernel).map(move |tap| {
        let (row, column) = (tap / window.kernel, tap % window.kernel);
        (
            tap,
            y * window.stride as isize - top + row as isize,
            x * window.stride as isize - left + column as isize,
        )
    })
}

fn erf(x: f64) -> f64 {
    // Simpson's rule; beyond 6 it is one.
    let x = x.clamp(-6.0, 6.0);
    let steps = 600;
    let width = x / f64::from(steps);
    let sum: f64 = (0..=steps)
        .map(|index| {
            let factor = match index {
                0 => 1.0,
                _ if index == steps => 1.0,
                _ if index % 2 == 1 => 4.0,
                _ => 2.0,
            };
            let t = width * f64::from(index);
            factor * (-t * t).exp()
        })
        .sum();
    sum * width / 3.0 * std::f64::consts::FRAC_2_SQRT_PI
}

fn activate(layer: &Weighted, channel: usize, x: f64) -> f64 {
    match layer.activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Prelu if x < 0.0 => x * f64::from(layer.slopes[channel]),
        Activation::Prelu => x,
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => x * (1.0 + erf(x / std::f64::consts::SQRT_2)) / 2.0,
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Hardswish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
    }
}

pub(crate) fn convolution(
    maps: &Maps,
    window: Window,
    layer: &Weighted,
    shortcut: Option<&Maps>,
) -> Maps {
    let (inputs, outputs) = (maps.shape[2], layer.bias.len());
    let [height, width] = window.output;
    maps.each([height, width, outputs], |picture, y, x, output| {
        let mut sum = f64::from(layer.bias[output]);
        for (tap, row, column) in taps(window, y, x) {
            for input in 0..inputs {
                let weight = layer.weight[(tap * inputs + input) * outputs + output];
                sum += maps.get(picture, row, column, input).unwrap_or(0.0) * f64::from(weight);
            }
        }
        if let Some(shortcut) = shortcut.filter(|shortcut| output < shortcut.shape[2]) {
            sum += shortcut.get(picture, y, x, output).expect("inside");
        }
        activate(layer, output, sum)
    })
}

/// A fully connected layer of each pixel.
pub(crate) fn dense(maps: &Maps, layer: &Weighted) -> Maps {
    convolution(maps, Window::symmetric(maps.size(), 1, 1, 0), layer, None)
}

/// `[taps, inputs of a group, channels]` as the weight of a dense convolution.
pub(crate) fn ungrouped(layer: &Weighted, group: usize) -> Weighted {
    let channels = layer.bias.len();
    let mut dense = Vec::new();
    for tap in layer.weight.chunks_exact(group * channels) {
        for input in 0..channels {
            dense.extend(
                (0..channels).map(|output| match input / group == output / group {
                    true => tap[input % group * channels + output],
                    false => 0.0,
                }),
            );
        }
    }
    Weighted {
        weight: dense,
        ..layer.clone()
    }
}

/// Weights that make [`lines`] means.
pub(crate) fn line_means([height, width, channels]: [usize; 3]) -> Vec<f32> {
    let of_rows = vec![1.0 / width as f32; width * channels];
    let of_columns = vec![1.0 / height as f32; height * channels];
    [of_rows, of_columns].concat()
}

/// A weighted sum of each row, then of each column, with a bias for either kind: `[height + width, 1, channels]`.
pub(crate) fn lines(maps: &Maps, weight: &[f32], bias: &[f32]) -> Maps {
    let [height, width, channels] = maps.shape;
    maps.each(
        [height + width, 1, channels],
        |picture, line, _, channel| {
            let column = line - height as isize;
            let (first, length) = if column < 0 {
                (0, width)
            } else {
                (width, height)
            };
            let kind = usize::from(column >= 0);
            let sum: f64 = (0..length)
                .map(|index| {
                    let [y, x] = match kind {
                        0 => [line, index as isize],
                        _ => [index as isize, column],
                    };
                    maps.get(picture, y, x, channel).expect("inside")
                        * f64::from(weight[(first + index) * channels + channel])
                })
                .sum();
            sum + f64::from(bias[kind * channels + channel])
        },
    )
}

/// Products of the gates of rows, from the first lines on, and the gates of columns behind them.
pub(crate) fn outer(shape: [usize; 3], rows: &Maps, columns: &Maps) -> Maps {
    rows.each(shape, |picture, y, x, channel| {
        let column = shape[0] as isize + x;
        rows.get(picture, y, 0, channel).expect("inside")
            * columns.get(picture, column, 0, channel).expect("inside")
    })
}

pub(crate) fn depthwise(maps: &Maps, window: Window, layer: &Weighted) -> Maps {
    let channels = maps.shape[2];
    let [height, width] = window.output;
    maps.each([height, width, channels], |picture, y, x, channel| {
        let sum: f64 = taps(window, y, x)
            .map(|(tap, row, column)| {
                maps.get(picture, row, column, channel).unwrap_or(0.0)
                    * f64::from(layer.weight[tap * channels + channel])
            })
            .sum();
        activate(layer, channel, sum + f64::from(layer.bias[channel]))
    })
}

pub(crate) fn max_pool(maps: &Maps, window: Window) -> Maps {
    let [height, width] = window.output;
    maps.each([height, width, maps.shape[2]], |picture, y, x, channel| {
        taps(window, y, x)
            .filter_map(|(_, row, column)| maps.get(picture, row, column, channel))
            .fold(f64::NEG_INFINITY, f64::max)
    })
}

/// Twice the size: each output looks at the four pixels around its centre, the nearest ones in place of those beyond the
/// edges.
pub(crate) fn enlarge(maps: &Maps) -> Maps {
    let [height, width, channels] = maps.shape;
    let pixel = |picture, y: f64, x: f64, channel| {
        let [y, x] = [(y, height), (x, width)].map(|(at, end)| at.clamp(0.0, end as f64 - 1.0));
        let value = maps.get(picture, y as isize, x as isize, channel);
        value.expect("inside")
    };
    maps.each(
        [2 * height, 2 * width, channels],
        |picture, y, x, channel| {
            let [y, x] = [y, x].map(|at| (at as f64 + 0.5) / 2.0 - 0.5);
            let (top, left) = (y.floor(), x.floor());
            let across = |row: f64| {
                let [first, second] =
                    [left, left + 1.0].map(|column| pixel(picture, row, column, channel));
                first + (second - first) * (x - left)
            };
            let (upper, lower) = (across(top), across(top + 1.0));
            upper + (lower - upper) * (y - top)
        },
    )
}

pub(crate) fn average(maps: &Maps) -> Maps {
    let [height, width, channels] = maps.shape;
    maps.each([1, 1, channels], |picture, _, _, channel| {
        let pixels = height * width;
        (0..pixels)
            .map(|pixel| maps.values[(picture * pixels + pixel) * channels + channel])
            .sum::<f64>()
            / pixels as f64
    })
}

pub(crate) fn layer_norm(maps: &Maps, scale: &[f32], bias: &[f32], epsilon: f64) -> Maps {
    let channels = maps.shape[2];
    maps.each(maps.shape, |picture, y, x, channel| {
        let value = |channel| maps.get(picture, y, x, channel).expect("inside");
        let mean = (0..channels).map(value).sum::<f64>() / channels as f64;
        let variance = (0..channels)
            .map(|channel| (value(channel) - mean).powi(2))
            .sum::<f64>()
            / channels as f64;
        let normal = (value(channel) - mean) / (variance + epsilon).sqrt();
        normal * f64::from(scale[channel]) + f64::from(bias[channel])
    })
}

/// A convolution along a row in groups; `padding` zeros before it, as many as needed behind it.
/// `[groups, kernel, inputs of a group, outputs of a group]`
pub(crate) fn along_row(
    maps: &Maps,
    [kernel, stride, padding, groups, length]: [usize; 5],
    layer: &Weighted,
) -> Maps {
    let outputs = layer.bias.len() / groups;
    let inputs = maps.shape[2] / groups;
    maps.each([1, length, layer.bias.len()], |picture, _, x, channel| {
        let (group, output) = (channel / outputs, channel % outputs);
        let mut sum = f64::from(layer.bias[channel]);
        for tap in 0..kernel {
            let column = x * stride as isize + tap as isize - padding as isize;
            for input in 0..inputs {
                let weight = ((group * kernel + tap) * inputs + input) * outputs + output;
                sum += maps
                    .get(picture, 0, column, group * inputs + input)
                    .unwrap_or(0.0)
                    * f64::from(layer.weight[weight]);
            }
        }
        activate(layer, channel, sum)
    })
}

/// Attention within each row with the whole of its scores.
pub(crate) fn attention(maps: &Maps, heads: usize, bias: Option<&ScoreBias>) -> Maps {
    let [height, width, channels] = maps.shape;
    let (pixels, length) = (width, channels / 3 / heads);
    let value = |row: usize, pixel: usize, part: usize, head: usize, channel: usize| {
        let place = (row * pixels + pixel) * channels;
        maps.values[place + (part * heads + head) * length + channel]
    };
    let added = |row: usize, head: usize, query: usize, key: usize| {
        let Some(bias) = bias else { return 0.0 };
        let half = bias.table.len() / heads / 2;
        let place = half + bias.codes[query] as usize - bias.codes[key] as usize;
        let regions = bias
            .regions
            .get(row % height * pixels..)
            .unwrap_or_default();
        let apart = match (regions.get(query), regions.get(key)) {
            (query, key) if query == key => 0.0,
            _ => -100.0,
        };
        f64::from(bias.table[place * heads + head]) + apart
    };
    let mut values = Vec::new();
    for row in 0..maps.batch * height {
        for pixel in 0..pixels {
            for head in 0..heads {
                let scores: Vec<f64> = (0..pixels)
                    .map(|key| {
                        let products = (0..length).map(|channel| {
                            value(row, pixel, 0, head, channel) * value(row, key, 1, head, channel)
                        });
                        products.sum::<f64>() / (length as f64).sqrt()
                            + added(row, head, pixel, key)
                    })
                    .collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|it| (it - largest).exp()).collect();
                let total: f64 = weights.iter().sum();
                values.extend((0..length).map(|channel| {
                    let products = weights
                        .iter()
                        .enumerate()
                        .map(|(key, weight)| weight * value(row, key, 2, head, channel));
                    products.sum::<f64>() / total
                }));
            }
        }
    }
    Maps {
        batch: maps.batch,
        shape: [height, width, channels / 3],
        values,
    }
}

/// Pixels in another order, with something added.
pub(crate) fn arranged(
    maps: &Maps,
    [height, width]: [usize; 2],
    places: &[Option<u32>],
    addend: &[f32],
) -> Maps {
    let [_, from_width, channels] = maps.shape;
    maps.each([height, width, channels], |picture, y, x, channel| {
        let pixel = y as usize * width + x as usize;
        let value = places[pixel].map_or(0.0, |place| {
            let (y, x) = (place as usize / from_width, place as usize % from_width);
            let value = maps.get(picture, y as isize, x as isize, channel);
            value.expect("inside")
        });
        let added = addend.get(pixel * channels + channel).copied();
        value + f64::from(added.unwrap_or_default())
    })
}

/// Bilinear between the centres of pixels.
fn resized(maps: &Maps, [height, width]: [usize; 2]) -> Maps {
    let [from_height, from_width, channels] = maps.shape;
    let between = |at: isize, from: usize, to: usize| {
        let place = (at as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let place = place.max(0.0);
        let before = place.floor();
        let after = (before as isize + 1).min(from as isize - 1);
        [
            (before as isize, 1.0 - (place - before)),
            (after, place - before),
        ]
    };
    maps.each([height, width, channels], |picture, y, x, channel| {
        let mut sum = 0.0;
        for (y, down) in between(y, from_height, height) {
            for (x, across) in between(x, from_width, width) {
                sum += down * across * maps.get(picture, y, x, channel).expect("inside");
            }
        }
        sum
    })
}

/// Rows of the pixels that have the same place in their patch.
pub(crate) fn unfolded(maps: &Maps, patch: usize) -> Maps {
    let [height, width, channels] = maps.shape;
    let [down, across] = [height, width].map(|side| side.div_ceil(patch));
    let whole = resized(maps, [down * patch, across * patch]);
    let shape = [patch * patch, down * across, channels];
    let (patch, across) = (patch as isize, across as isize);
    maps.each(shape, |picture, place, number, channel| {
        let y = number / across * patch + place / patch;
        let x = number % across * patch + place % patch;
        whole.get(picture, y, x, channel).expect("inside")
    })
}

/// The picture that [`unfolded`] takes apart.
pub(crate) fn folded(maps: &Maps, patch: usize, [height, width]: [usize; 2]) -> Maps {
    let [down, across] = [height, width].map(|side| side.div_ceil(patch));
    let shape = [down * patch, across * patch, maps.shape[2]];
    let (patch, across) = (patch as isize, across as isize);
    let whole = maps.each(shape, |picture, y, x, channel| {
        let place = y % patch * patch + x % patch;
        let number = y / patch * across + x / patch;
        maps.get(picture, place, number, channel).expect("inside")
    });
    resized(&whole, [height, width])
}

/// Channels as pixels of one row, and pixels as channels.
pub(crate) fn transposed(maps: &Maps) -> Maps {
    let [height, width, channels] = maps.shape;
    let columns = width as isize;
    maps.each(
        [1, channels, height * width],
        |picture, _, channel, pixel| {
            let pixel = pixel as isize;
            let value = maps.get(picture, pixel / columns, pixel % columns, channel as usize);
            value.expect("inside")
        },
    )
}

/// Values of the pixels that a window over some frames sees, with the number of their tap; none in the padding. Frames
/// stand below each other.
fn clip_taps(
    maps: &Maps,
    span: Span,
    window: Window,
    [picture, row, x, channel]: [usize; 4],
) -> impl Iterator<Item = (usize, f64)> {
    let height = maps.shape[0] / span.frames;
    let (frame, y) = (row / window.output[0], row % window.output[0]);
    let of_frame = window.kernel * window.kernel;
    let pixels = (0..span.kernel).flat_map(move |tap| {
        let frame = (frame * span.stride + tap) as isize - span.padding as isize;
        taps(window, y as isize, x as isize)
            .filter(move |(_, y, _)| {
                (0..span.frames as isize).contains(&frame) && (0..height as isize).contains(y)
            })
            .map(move |(pixel, y, x)| (tap * of_frame + pixel, frame * height as isize + y, x))
    });
    pixels.filter_map(move |(tap, y, x)| Some((tap, maps.get(picture, y, x, channel)?)))
}

/// A convolution in three dimensions.
pub(crate) fn clip_convolution(
    maps: &Maps,
    span: Span,
    window: Window,
    layer: &Weighted,
    shortcut: Option<&Maps>,
) -> Maps {
    let (inputs, outputs) = (maps.shape[2], layer.bias.len());
    let [height, width] = window.output;
    let shape = [span.output * height, width, outputs];
    maps.each(shape, |picture, y, x, output| {
        let mut sum = f64::from(layer.bias[output]);
        for input in 0..inputs {
            let place = [picture, y as usize, x as usize, input];
            for (tap, value) in clip_taps(maps, span, window, place) {
                let weight = layer.weight[(tap * inputs + input) * outputs + output];
                sum += value * f64::from(weight);
            }
        }
        if let Some(shortcut) = shortcut {
            sum += shortcut.get(picture, y, x, output).expect("inside");
        }
        activate(layer, output, sum)
    })
}

pub(crate) fn clip_max_pool(maps: &Maps, span: Span, window: Window) -> Maps {
    let [height, width] = window.output;
    let shape = [span.output * height, width, maps.shape[2]];
    maps.each(shape, |picture, y, x, channel| {
        let place = [picture, y as usize, x as usize, channel];
        let values = clip_taps(maps, span, window, place).map(|(_, value)| value);
        values.fold(f64::NEG_INFINITY, f64::max)
    })
}

/// The mean of each frame.
pub(crate) fn frame_average(maps: &Maps, frames: usize) -> Maps {
    let [height, width, channels] = maps.shape;
    let pixels = height / frames * width;
    maps.each([frames, 1, channels], |picture, frame, _, channel| {
        let first = (picture * frames + frame as usize) * pixels;
        let values = (first..first + pixels).map(|pixel| maps.values[pixel * channels + channel]);
        values.sum::<f64>() / pixels as f64
    })
}

/// As many frames as wanted, linear between their centres.
pub(crate) fn interpolated_frames(maps: &Maps, [from, to]: [usize; 2]) -> Maps {
    let [height, width, channels] = maps.shape;
    let rows = height / from;
    maps.each([to * rows, width, channels], |picture, y, x, channel| {
        let (frame, row) = (y as usize / rows, y as usize % rows);
        let place = (frame as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let place = place.clamp(0.0, (from - 1) as f64);
        let at = |frame: usize| {
            let y = (frame.min(from - 1) * rows + row) as isize;
            maps.get(picture, y, x, channel).expect("inside")
        };
        let before = place.floor() as usize;
        let share = place.fract();
        at(before) * (1.0 - share) + at(before + 1) * share
    })
}

/// The channels of maps after each other.
pub(crate) fn joined(maps: &[&Maps]) -> Maps {
    let [height, width, _] = maps[0].shape;
    let channels = maps.iter().map(|maps| maps.shape[2]).sum();
    let mut values = Vec::new();
    for pixel in 0..maps[0].batch * height * width {
        for maps in maps {
            let channels = maps.shape[2];
            values.extend_from_slice(&maps.values[pixel * channels..][..channels]);
        }
    }
    Maps {
        batch: maps[0].batch,
        shape: [height, width, channels],
        values,
    }
}
