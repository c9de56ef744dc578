//! The same crop and resize on the GPU: from a frame straight to a network's input.
//!
//! Weights and rounding are those of the CPU form. Faces are where a kernel found them, so their filters are made in
//! the kernel, in f32; the whole frame's filters come from the host, in the CPU's own 16 bits: the detector must see the
//! same picture, or a box whose edge lies at a pixel's border is cut elsewhere.

use burn::tensor::{Bytes, Tensor};

use crate::frame::Frame;
use crate::kernel::{Element, Gpu, GpuBuffer, Shader, ShaderBuilder};
use crate::weights::Normalisation;

/// Invocations a group.
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
            .constants(&[("SIDE", side as usize), ("GROUP", GROUP)])
            .text(&constants(normalisation))
            .text(PIXEL)
            .text(LETTERBOX)
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
    /// `region` is WGSL: `fn region(picture: u32) -> Region`, where `struct Region { source: vec4<u32>, goal:
    /// vec4<u32> }` holds left, top, width and height in the frame and in the square. It may use the
    /// numbers of [`NUMBERS`], `launch.first` and the buffer `place`. An empty region gives a
    /// black square, like all that lies beside the goal.
    pub(crate) fn new(side: u32, normalisation: &Normalisation, region: &str) -> Self {
        let shader = ShaderBuilder::new("resample", GROUP)
            .numbers(&NUMBERS)
            .numbers(&["first"])
            .reads_scalars("frame", Element::U32)
            .reads_scalars("place", Element::F32)
            .writes_scalars("output", Element::F32)
            .constants(&[("SIDE", side as usize), ("GROUP", GROUP)])
            .text("struct Region { source: vec4<u32>, goal: vec4<u32> }")
            .text(region)
            .text(&constants(normalisation))
            .text(PIXEL)
            .text(RESAMPLE)
            .finish();
        Self {
            shader,
            side: side as usize,
        }
    }

    /// `[count, side, side, 3]`, normalised. `numbers` are the fields of `launch` from `z` on.
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

fn constants(normalisation: &Normalisation) -> String {
    let list = |values: [f32; 3]| {
        let values = values.map(|value| format!("{value:?}"));
        format!("vec3<f32>({})", values.join(", "))
    };
    format!(
        "const MEAN = {};\nconst STD = {};",
        list(normalisation.mean),
        list(normalisation.std)
    )
}

/// A pixel of the frame, three bytes somewhere in its words, and the end of a kernel.
const PIXEL: &str = "
fn pixel(x: u32, y: u32) -> vec3<u32> {
    let byte = (y * launch.frame_width + x) * 3u;
    let shift = byte % 4u * 8u;
    var bits = frame[byte / 4u] >> shift;
    // Shifting by all 32 bits is not defined.
    if (shift > 8u) { bits |= frame[byte / 4u + 1u] << (32u - shift); }
    return vec3<u32>(bits & 255u, (bits >> 8u) & 255u, (bits >> 16u) & 255u);
}
fn give(at: u32, colour: vec3<f32>) {
    let value = (colour - MEAN) / STD;
    output[at * 3u] = value.x;
    output[at * 3u + 1u] = value.y;
    output[at * 3u + 2u] = value.z;
}";

/// Rows first, in whole numbers, rounded to 8 bits after each pass.
const LETTERBOX: &str = "
fn to_byte(sum: vec3<u32>, digits: u32) -> vec3<u32> {
    return min((sum + (1u << (digits - 1u))) >> vec3<u32>(digits), vec3<u32>(255u));
}
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    if (at >= SIDE * SIDE) { return; }
    // Left of and above the frame the difference wraps around and is large.
    let inside = vec2<u32>(at % SIDE, at / SIDE) - vec2<u32>(launch.fit_left, launch.fit_top);
    if (any(inside >= vec2<u32>(launch.fit_width, launch.fit_height))) { give(at, vec3<f32>()); return; }
    let column = taps[0] + inside.x * taps[1];
    let row = taps[3] + inside.y * taps[4];
    var colour = vec3<u32>();
    for (var y = 0u; y < taps[row + 1u]; y++) {
        var sum = vec3<u32>();
        for (var x = 0u; x < taps[column + 1u]; x++) {
            sum += taps[column + 2u + x] * pixel(taps[column] + x, taps[row] + y);
        }
        colour += taps[row + 2u + y] * to_byte(sum, taps[2]);
    }
    give(at, vec3<f32>(to_byte(colour, taps[5])));
}";

/// A triangle filter that widens when the picture shrinks, along the rows first; rounded to 8 bits after each pass.
const RESAMPLE: &str = "
struct Taps { first: u32, end: u32, centre: f32, width: f32, total: f32 }
fn weight(taps: Taps, at: u32) -> f32 {
    return max(0.0, 1.0 - abs((f32(at) + 0.5 - taps.centre) / taps.width));
}
// Pixels of an axis of `length` that make up pixel `at` of `wanted`.
fn taps_of(at: u32, length: u32, wanted: u32) -> Taps {
    let scale = f32(length) / f32(wanted);
    var taps: Taps;
    taps.width = max(scale, 1.0);
    taps.centre = (f32(at) + 0.5) * scale;
    taps.first = u32(max(taps.centre - taps.width + 0.5, 0.0));
    taps.end = min(u32(taps.centre + taps.width + 0.5), length);
    taps.total = 0.0;
    for (var i = taps.first; i < taps.end; i++) { taps.total += weight(taps, i); }
    return taps;
}
fn to_byte(value: vec3<f32>) -> vec3<f32> {
    return clamp(floor(value + 0.5), vec3<f32>(), vec3<f32>(255.0));
}
fn main(group: u32, local: u32) {
    let at = group * GROUP + local;
    let picture = at / (SIDE * SIDE);
    let square = vec2<u32>(at % SIDE, at / SIDE % SIDE);
    if (at * 3u >= arrayLength(&output)) { return; }
    let found = region(picture);
    let inside = square - found.goal.xy;
    var colour = vec3<f32>();
    // Left of and above the goal the difference wraps around and is large.
    if (all(inside < found.goal.zw) && all(found.source.zw > vec2<u32>())) {
        let columns = taps_of(inside.x, found.source.z, found.goal.z);
        let rows = taps_of(inside.y, found.source.w, found.goal.w);
        for (var y = rows.first; y < rows.end; y++) {
            var row = vec3<f32>();
            for (var x = columns.first; x < columns.end; x++) {
                row += weight(columns, x) * vec3<f32>(pixel(found.source.x + x, found.source.y + y));
            }
            colour += weight(rows, y) * to_byte(row / columns.total);
        }
        colour = to_byte(colour / rows.total);
    }
    give(at, colour);
}";
