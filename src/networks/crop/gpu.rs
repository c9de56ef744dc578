//! The same crop and resize on the GPU: from a frame straight to a network's input.
//!
//! Weights and rounding are those of the CPU form. Faces are where a kernel found them, so their filters are made in
//! the kernel, in f32; the whole frame's filters come from the host, in the CPU's own 16 bits: the detector must see the
//! same picture, or a box whose edge lies at a pixel's border is cut elsewhere.

use burn::tensor::{Bytes, Tensor};

use crate::frame::Frame;
use crate::kernel::{Element, Gpu, GpuBuffer, Shader, ShaderBuilder};
use crate::weights::Normalisation;

/// Invocations per group.
const GROUP: usize = 64;

/// Sizes of the frame and of its picture in the detector's square, and where that picture lies.
const NUMBERS: [&str; 6] = [
    "frame_width",
    "frame_height",
    "fit_width",
    "fit_height",
    "fit_left",
    "fit_top",
];

/// A frame on the GPU.
pub(crate) struct GpuFrame {
    pixels: GpuBuffer,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl GpuFrame {
    /// Copies a frame's pixels to the GPU.
    pub(crate) fn upload(frame: &Frame, gpu: &Gpu) -> Self {
        let mut bytes = frame.pixels().to_vec();
        // A pixel is read as two words; the last one must not reach over the end.
        bytes.resize(bytes.len().next_multiple_of(4) + 4, 0);
        Self {
            pixels: gpu.upload(Bytes::from_bytes_vec(bytes)),
            width: frame.width() as usize,
            height: frame.height() as usize,
        }
    }
}

/// Brings whole frames into a square, with exactly the pixels of the CPU form.
#[derive(Debug)]
pub(crate) struct Letterboxer {
    shader: Shader,
    side: usize,
}

impl Letterboxer {
    /// For squares of `side` pixels.
    pub(crate) fn new(side: u32, normalisation: &Normalisation) -> Self {
        let shader = ShaderBuilder::new("letterbox", GROUP)
            .numbers(&NUMBERS)
            .reads_scalars("frame", Element::U32)
            .reads_scalars("taps", Element::U32)
            .writes_scalars("output", Element::F32)
            .count("SIDE", side as usize)
            .colour("MEAN", normalisation.mean)
            .colour("STD", normalisation.std)
            .source(include_str!("pixel.wgsl"))
            .source(include_str!("letterbox.wgsl"))
            .finish();
        Self {
            shader,
            side: side as usize,
        }
    }

    /// `[1, side, side, 3]`, normalised. The frame goes to `size` pixels at `offset`; `taps` are those of
    /// [`letterbox_taps`].
    pub(crate) fn run(
        &self,
        gpu: &Gpu,
        frame: &GpuFrame,
        taps: &GpuBuffer,
        size: [usize; 2],
        offset: [usize; 2],
    ) -> Tensor<4> {
        let pixels = self.side * self.side;
        let output = gpu.empty(pixels * 3 * size_of::<f32>());
        let numbers = [[frame.width, frame.height], size, offset].concat();
        gpu.launch(
            &self.shader,
            &[&frame.pixels, taps],
            &output,
            pixels,
            &numbers,
        );
        gpu.tensor(output, [1, self.side, self.side, 3])
    }
}

/// Filters of both axes for [`Letterboxer::run`]: for columns and then rows, the place of the axis' first filter, its
/// filters' length in words and the bits behind their point; then the filters: first pixel, count, weights.
pub(crate) fn letterbox_taps(from: [usize; 2], to: [usize; 2]) -> Bytes {
    let mut words = vec![0; 6];
    for axis in 0..2 {
        let (filters, precision) = filters(from[axis], to[axis]);
        let longest = filters.iter().map(|filter| filter.weights.len()).max();
        let length = 2 + longest.unwrap_or_default();
        words[3 * axis] = word(words.len());
        words[3 * axis + 1] = word(length);
        words[3 * axis + 2] = precision;
        for filter in filters {
            let end = words.len() + length;
            words.extend([word(filter.first), word(filter.weights.len())]);
            words.extend(filter.weights);
            words.resize(end, 0);
        }
    }
    Bytes::from_elems(words)
}

/// Pixels of an axis that make up one pixel of a resized picture.
struct Filter {
    first: usize,
    /// In units of `2^-precision`.
    weights: Vec<u32>,
}

/// The triangle filters that the CPU's resizer uses: weights of a sum of one, rounded to 16 bits.
fn filters(length: usize, wanted: usize) -> (Vec<Filter>, u32) {
    let scale = length as f64 / wanted as f64;
    let radius = scale.max(1.0);
    let exact: Vec<(usize, Vec<f64>)> = (0..wanted)
        .map(|at| {
            let centre = (at as f64 + 0.5) * scale;
            let weight = |pixel: usize| {
                let apart = (pixel as f64 - (centre - 0.5)) * (1.0 / radius);
                (1.0 - apart.abs()).max(0.0)
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "pixels of a picture"
            )]
            let (first, end) = (
                (centre - radius).floor().max(0.0) as usize,
                (centre + radius).ceil().min(length as f64) as usize,
            );
            // A weight of zero at the ends counts for nothing.
            let first = (first..end)
                .find(|&pixel| weight(pixel) > 0.0)
                .unwrap_or(first);
            let weights: Vec<f64> = (first..end).map(weight).collect();
            let total: f64 = weights.iter().sum();
            (
                first,
                weights.into_iter().map(|weight| weight / total).collect(),
            )
        })
        .collect();
    let largest = exact
        .iter()
        .flat_map(|(_, weights)| weights)
        .copied()
        .fold(0.0, f64::max);
    // As many bits as leave the largest weight below 2^15.
    let precision = (0..21)
        .find(|&bits| (largest * f64::from(1_u32 << (bits + 1))).round() >= f64::from(1 << 15))
        .unwrap_or(21);
    let unit = f64::from(1_u32 << precision);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 2^15"
    )]
    let filters = exact
        .into_iter()
        .map(|(first, weights)| Filter {
            first,
            weights: weights
                .into_iter()
                .map(|weight| (weight * unit).round() as u32)
                .collect(),
        })
        .collect();
    (filters, precision)
}

fn word(number: usize) -> u32 {
    u32::try_from(number).expect("pictures are smaller than 2^32 pixels")
}

/// Cuts regions out of a frame and squashes each into a square; a value may be a level off the CPU's.
#[derive(Debug)]
pub(crate) struct Resampler {
    shader: Shader,
    side: usize,
}

impl Resampler {
    /// For squares of `side` pixels.
    ///
    /// `region` adds the WGSL of `fn region(picture: u32) -> Region`, where `struct Region { source: vec4<u32>, goal:
    /// vec4<u32> }` holds left, top, width and height in the frame and in the square. It may use the numbers of
    /// [`NUMBERS`], `launch.first` and the buffer `place`. An empty region gives a black square, like all that lies
    /// beside the goal.
    pub(crate) fn new(
        side: u32,
        normalisation: &Normalisation,
        region: impl FnOnce(ShaderBuilder) -> ShaderBuilder,
    ) -> Self {
        let builder = ShaderBuilder::new("resample", GROUP)
            .numbers(&NUMBERS)
            .numbers(&["first"])
            .reads_scalars("frame", Element::U32)
            .reads_scalars("place", Element::F32)
            .writes_scalars("output", Element::F32)
            .count("SIDE", side as usize)
            .colour("MEAN", normalisation.mean)
            .colour("STD", normalisation.std);
        let shader = region(builder)
            .source(include_str!("pixel.wgsl"))
            .source(include_str!("resample.wgsl"))
            .finish();
        Self {
            shader,
            side: side as usize,
        }
    }

    /// `[count, side, side, 3]`, normalised. `numbers` are the fields of `launch` after the size of the frame.
    pub(crate) fn run(
        &self,
        gpu: &Gpu,
        frame: &GpuFrame,
        place: &GpuBuffer,
        count: usize,
        numbers: &[usize],
    ) -> Tensor<4> {
        let pixels = count * self.side * self.side;
        let output = gpu.empty(pixels * 3 * size_of::<f32>());
        let reads = [&frame.pixels, place];
        let numbers = [&[frame.width, frame.height], numbers].concat();
        gpu.launch(&self.shader, &reads, &output, pixels, &numbers);
        gpu.tensor(output, [count, self.side, self.side, 3])
    }
}
