//! The same crop and resize on the GPU: from a frame straight to a network's input.
//!
//! Weights and rounding are those of the CPU form, so that both give the same 8-bit pixels but for ties in the last
//! bit of a sum.

use burn::tensor::{Bytes, Tensor};

use crate::frame::Frame;
use crate::kernel::{Element, Gpu, GpuBuffer, Shader, ShaderBuilder};
use crate::weights::Normalisation;

/// Invocations a group.
const GROUP: usize = 64;

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

/// Cuts regions out of a frame and squashes each into a square.
#[derive(Debug)]
pub(crate) struct Resampler {
    shader: Shader,
    side: usize,
}

impl Resampler {
    /// For squares of `side` pixels.
    ///
    /// `region` is WGSL: `fn region(picture: u32) -> Region`, where `struct Region { source: vec4<u32>, goal:
    /// vec4<u32> }` holds left, top, width and height in the frame and in the square. It may use `launch.z`,
    /// `launch.w` and `launch.more.xyz`, and the buffer `place` if `has_place` says so. An empty region gives a
    /// black square, like all that lies beside the goal.
    pub(crate) fn new(
        side: u32,
        normalisation: &Normalisation,
        region: &str,
        has_place: bool,
    ) -> Self {
        let mut builder =
            ShaderBuilder::new("resample", GROUP).reads_scalars("frame", Element::U32);
        if has_place {
            builder = builder.reads_scalars("place", Element::F32);
        }
        let list = |values: [f32; 3]| {
            let values = values.map(|value| format!("{value:?}"));
            format!("vec3<f32>({})", values.join(", "))
        };
        let shader = builder
            .writes_scalars("output", Element::F32)
            .constants(&[("SIDE", side as usize), ("GROUP", GROUP)])
            .text("struct Region { source: vec4<u32>, goal: vec4<u32> }")
            .text(region)
            .text(&format!(
                "const MEAN = {};\nconst STD = {};\n{RESAMPLE}",
                list(normalisation.mean),
                list(normalisation.std),
            ))
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
        place: Option<&GpuBuffer>,
        count: usize,
        numbers: &[usize],
    ) -> Tensor<4> {
        let pixels = count * self.side * self.side;
        let output = gpu.empty(pixels * 3 * size_of::<f32>());
        let mut reads = vec![&frame.pixels];
        reads.extend(place);
        let numbers = [&[frame.width, frame.height], numbers].concat();
        gpu.launch(&self.shader, &reads, &output, pixels, &numbers);
        gpu.tensor(output, [count, self.side, self.side, 3])
    }
}

/// A triangle filter that widens when the picture shrinks, along the rows first; rounded to 8 bits after each pass.
const RESAMPLE: &str = "
fn pixel(x: u32, y: u32) -> vec3<f32> {
    let byte = (y * launch.x + x) * 3u;
    let shift = byte % 4u * 8u;
    var bits = frame[byte / 4u] >> shift;
    // Shifting by all 32 bits is not defined.
    if (shift > 8u) { bits |= frame[byte / 4u + 1u] << (32u - shift); }
    return vec3<f32>(f32(bits & 255u), f32((bits >> 8u) & 255u), f32((bits >> 16u) & 255u));
}
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
                row += weight(columns, x) * pixel(found.source.x + x, found.source.y + y);
            }
            colour += weight(rows, y) * to_byte(row / columns.total);
        }
        colour = to_byte(colour / rows.total);
    }
    let value = (colour - MEAN) / STD;
    output[at * 3u] = value.x;
    output[at * 3u + 1u] = value.y;
    output[at * 3u + 2u] = value.z;
}";
