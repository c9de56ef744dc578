//! Detection without leaving the GPU: letterbox, network, choice of faces, crops of those faces.
//!
//! The same faces as on the CPU, but what is cropped does not have to be read back first.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;

use super::DetectError;
use super::anchors::LOGIT_LIMIT;
use super::blazeface::{ANCHOR_VALUES, ANCHORS, INPUT_SIDE, NORMALISATION};
use super::letterbox::Fit;
use super::suppression::SAME_FACE_OVERLAP;
use crate::crop::{FaceMargins, GpuFrame, Letterboxer, Resampler, letterbox_taps};
use crate::face::{BoundingBox, Detection};
use crate::frame::Frame;
use crate::kernel::{Element, Gpu, GpuBuffer, Network, Shader, ShaderBuilder};
use crate::weights::Normalisation;

/// Faces that a frame can have; more than the detector tells apart in its small square.
const MOST_FACES: usize = 48;
/// Numbers of a face: box, score, six keypoints.
const FACE_VALUES: usize = 17;
/// Numbers before the first face: how many there are, and how many scores were none.
const HEADER: usize = 2;
/// Invocations of the one group that chooses.
const GROUP: usize = 64;

/// Kernels around the detector's network.
#[derive(Debug)]
pub(super) struct GpuDetector {
    gpu: Gpu,
    letterbox: Letterboxer,
    choice: Shader,
    /// Filters for frames of the last size.
    taps: Mutex<Option<(Fit, GpuBuffer)>>,
}

/// What was found in a frame, still on the GPU.
pub(crate) struct GpuFaces {
    gpu: Gpu,
    frame: GpuFrame,
    fit: Fit,
    found: GpuBuffer,
}

/// Cuts the found faces out.
#[derive(Debug)]
pub(crate) struct FaceCropper {
    resampler: Resampler,
}

impl GpuDetector {
    pub(super) fn new(gpu: Gpu, threshold: f32) -> Self {
        Self {
            gpu,
            letterbox: Letterboxer::new(INPUT_SIDE, &NORMALISATION),
            choice: choice(threshold),
            taps: Mutex::new(None),
        }
    }

    pub(super) fn find(&self, network: &Network, frame: &Frame) -> GpuFaces {
        let fit = Fit::new(frame, INPUT_SIDE);
        let frame = GpuFrame::upload(frame, &self.gpu);
        let [width, height, left, top] = fit.numbers();
        let square = self.letterbox.run(
            &self.gpu,
            &frame,
            &self.taps(&frame, fit),
            [width, height],
            [left, top],
        );
        let anchors = self.gpu.buffer(network.forward(square));
        let found = self
            .gpu
            .empty((HEADER + MOST_FACES * FACE_VALUES) * size_of::<f32>());
        self.gpu.launch(&self.choice, &[&anchors], &found, 1, &[]);
        GpuFaces {
            gpu: self.gpu.clone(),
            frame,
            fit,
            found,
        }
    }
}

impl GpuDetector {
    fn taps(&self, frame: &GpuFrame, fit: Fit) -> GpuBuffer {
        let mut kept = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, taps)) = kept.as_ref()
            && *of == fit
        {
            return taps.clone();
        }
        let [width, height, ..] = fit.numbers();
        let taps = letterbox_taps([frame.width, frame.height], [width, height]);
        let taps = self.gpu.upload(taps);
        *kept = Some((fit, taps.clone()));
        taps
    }
}

impl GpuFaces {
    /// What [`Self::decode`] wants to see, `[1, n]`.
    pub(crate) fn values(&self) -> Tensor<2> {
        let found = self.found.clone();
        self.gpu
            .tensor(found, [1, HEADER + MOST_FACES * FACE_VALUES])
    }

    /// The faces, best score first, in frame pixels.
    pub(crate) fn decode(&self, values: &[f32]) -> Result<Vec<Detection>, DetectError> {
        let (header, faces) = values.split_at(HEADER);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts of at most 896"
        )]
        let [count, not_finite] = [header[0] as usize, header[1] as usize];
        if not_finite > 0 {
            return Err(DetectError::NotFinite {
                count: not_finite,
                anchors: ANCHORS,
            });
        }
        let faces = faces.chunks_exact(FACE_VALUES).take(count);
        Ok(faces
            .map(|face| {
                let in_square = Detection {
                    bounding_box: BoundingBox {
                        x: face[0],
                        y: face[1],
                        width: face[2],
                        height: face[3],
                    },
                    score: face[4],
                    keypoints: std::array::from_fn(|point| {
                        [face[5 + 2 * point], face[6 + 2 * point]]
                    }),
                };
                self.fit.in_frame(in_square)
            })
            .collect())
    }
}

impl FaceCropper {
    /// For networks with an input of `side` pixels.
    pub(crate) fn new(side: u32, normalisation: &Normalisation, margins: FaceMargins) -> Self {
        let FaceMargins { margin, rise } = margins;
        let region = FACE_REGION
            .replace("$HEADER", &HEADER.to_string())
            .replace("$FACE_VALUES", &FACE_VALUES.to_string())
            .replace("$MOST_FACES", &MOST_FACES.to_string())
            .replace("$MARGIN", &format!("{margin:?}"))
            .replace("$RISE", &format!("{rise:?}"));
        Self {
            resampler: Resampler::new(side, normalisation, &region),
        }
    }

    /// The faces from `first` on; where there are fewer than `count` the last crops are black.
    pub(crate) fn crop(&self, faces: &GpuFaces, first: usize, count: usize) -> Tensor<4> {
        let mut numbers = faces.fit.numbers().to_vec();
        numbers.push(first);
        self.resampler
            .run(&faces.gpu, &faces.frame, &faces.found, count, &numbers)
    }
}

/// A face's box in the frame, grown by the margins, its edges cut to whole pixels.
const FACE_REGION: &str = "
fn whole(edge: f32, limit: u32) -> u32 { return min(u32(max(edge, 0.0)), limit); }
fn region(picture: u32) -> Region {
    let face = launch.first + picture;
    let goal = vec4<u32>(0u, 0u, SIDE, SIDE);
    if (face >= u32(place[0]) || face >= $MOST_FACESu) { return Region(vec4<u32>(), goal); }
    let at = $HEADERu + face * $FACE_VALUESu;
    let scale = vec2<f32>(f32(launch.frame_width), f32(launch.frame_height)) / vec2<f32>(f32(launch.fit_width), f32(launch.fit_height));
    let offset = vec2<f32>(f32(launch.fit_left), f32(launch.fit_top));
    let first = (vec2<f32>(place[at], place[at + 1u]) - offset) * scale;
    let end = (vec2<f32>(place[at], place[at + 1u]) + vec2<f32>(place[at + 2u], place[at + 3u]) - offset) * scale;
    let size = end - first;
    let margin = size * $MARGIN;
    let start = first - margin - vec2<f32>(0.0, size.y * $RISE);
    let grown = size + 2.0 * margin;
    let corner = vec2<u32>(whole(start.x, launch.frame_width), whole(start.y, launch.frame_height));
    let opposite = vec2<u32>(whole(start.x + grown.x, launch.frame_width), whole(start.y + grown.y, launch.frame_height));
    return Region(vec4<u32>(corner, max(opposite, corner) - corner), goal);
}";

/// Decodes the anchors, blends those that see the same face, best score first: one group does it all.
fn choice(threshold: f32) -> Shader {
    ShaderBuilder::new("faces", GROUP)
        .reads_scalars("anchors", Element::F32)
        .writes_scalars("found", Element::F32)
        .constants(&[
            ("ANCHORS", ANCHORS),
            ("VALUES", ANCHOR_VALUES),
            ("FACE_VALUES", FACE_VALUES),
            ("HEADER", HEADER),
            ("MOST_FACES", MOST_FACES),
            ("GROUP", GROUP),
            ("SIDE", INPUT_SIDE as usize),
        ])
        .text(&format!(
            "const THRESHOLD = {threshold:?};\nconst LIMIT = {LOGIT_LIMIT:?};\nconst OVERLAP = {SAME_FACE_OVERLAP:?};\n{CHOICE}"
        ))
        .finish()
}

const CHOICE: &str = "
var<workgroup> scores: array<f32, ANCHORS>;
var<workgroup> odd: atomic<u32>;
fn is_odd(value: f32) -> bool { return (bitcast<u32>(value) & 0x7f800000u) == 0x7f800000u; }
// Centres of the anchors: two in each of 16x16 cells, then six in each of 8x8.
fn centre(anchor: u32) -> vec2<f32> {
    if (anchor < 512u) {
        let cell = anchor / 2u;
        return (vec2<f32>(f32(cell % 16u), f32(cell / 16u)) + 0.5) * (f32(SIDE) / 16.0);
    }
    let cell = (anchor - 512u) / 6u;
    return (vec2<f32>(f32(cell % 8u), f32(cell / 8u)) + 0.5) * (f32(SIDE) / 8.0);
}
// Left, top, width, height.
fn box_of(anchor: u32) -> vec4<f32> {
    let at = anchor * VALUES;
    let size = vec2<f32>(anchors[at + 2u], anchors[at + 3u]);
    return vec4<f32>(vec2<f32>(anchors[at], anchors[at + 1u]) + centre(anchor) - size / 2.0, size);
}
fn overlap(a: vec4<f32>, b: vec4<f32>) -> f32 {
    let both = max(min(a.xy + a.zw, b.xy + b.zw) - max(a.xy, b.xy), vec2<f32>());
    let intersection = both.x * both.y;
    let united = max(a.z, 0.0) * max(a.w, 0.0) + max(b.z, 0.0) * max(b.w, 0.0) - intersection;
    return select(0.0, intersection / united, united > 0.0);
}
fn main(group: u32, local: u32) {
    // Burn's device does not clear workgroup memory.
    if (local == 0u) { atomicStore(&odd, 0u); }
    workgroupBarrier();
    for (var anchor = local; anchor < ANCHORS; anchor += GROUP) {
        let at = anchor * VALUES;
        let logit = anchors[at + VALUES - 1u];
        var score = 1.0 / (1.0 + exp(-clamp(logit, -LIMIT, LIMIT)));
        if (is_odd(logit)) { atomicAdd(&odd, 1u); score = -1.0; }
        for (var i = 0u; i < VALUES - 1u; i++) { if (is_odd(anchors[at + i])) { score = -1.0; } }
        // Zero for those that count no longer.
        scores[anchor] = select(0.0, score, score >= THRESHOLD);
    }
    workgroupBarrier();
    if (local != 0u) { return; }
    var count = 0u;
    loop {
        var best = ANCHORS;
        var best_score = 0.0;
        for (var anchor = 0u; anchor < ANCHORS; anchor++) {
            if (scores[anchor] > best_score) { best = anchor; best_score = scores[anchor]; }
        }
        if (best == ANCHORS || count == MOST_FACES) { break; }
        let chosen = box_of(best);
        var place = vec4<f32>();
        var points: array<vec2<f32>, 6>;
        var total = 0.0;
        var members = 0u;
        for (var anchor = 0u; anchor < ANCHORS; anchor++) {
            let score = scores[anchor];
            if (score <= 0.0) { continue; }
            let other = box_of(anchor);
            if (anchor != best && overlap(chosen, other) <= OVERLAP) { continue; }
            place += score * other;
            let middle = centre(anchor);
            for (var i = 0u; i < 6u; i++) {
                let at = anchor * VALUES + 4u + 2u * i;
                points[i] += score * (vec2<f32>(anchors[at], anchors[at + 1u]) + middle);
            }
            total += score;
            members++;
            scores[anchor] = 0.0;
        }
        let at = HEADER + count * FACE_VALUES;
        place = select(place / total, chosen, members == 1u);
        for (var i = 0u; i < 4u; i++) { found[at + i] = place[i]; }
        found[at + 4u] = best_score;
        for (var i = 0u; i < 6u; i++) {
            found[at + 5u + 2u * i] = points[i].x / total;
            found[at + 6u + 2u * i] = points[i].y / total;
        }
        count++;
    }
    found[0] = f32(count);
    found[1] = f32(atomicLoad(&odd));
}";

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::crop::{crop_face, normalise};
    use crate::detect::letterbox::letterbox;
    use crate::device::{self, DeviceChoice};

    fn gpu() -> (Gpu, Device) {
        let opened = pollster::block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan adapter");
        let gpu = Gpu::of(&opened.device).expect("Burn's wgpu device");
        (gpu, opened.device)
    }

    fn noise(width: u32, height: u32) -> Frame {
        let mut state = 9_u32;
        let pixels = (0..width * height * 3).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        Frame::from_rgb(width, height, pixels.collect()).expect("as many bytes as pixels")
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        let data = pollster::block_on(tensor.into_data_async()).expect("read back");
        data.try_into_vec().expect("f32")
    }

    #[test]
    #[ignore = "needs a Vulkan adapter: run cargo xtask test"]
    fn letterbox_gives_the_pixels_of_the_cpu() {
        let (gpu, _) = gpu();
        let letterboxer = Letterboxer::new(INPUT_SIDE, &NORMALISATION);
        for (width, height) in [
            (640, 480),
            (333, 1000),
            (128, 128),
            (50, 31),
            (7, 300),
            (1, 1),
        ] {
            let frame = noise(width, height);
            let fit = Fit::new(&frame, INPUT_SIDE);
            let [fitted_width, fitted_height, left, top] = fit.numbers();
            let frame_size = [width as usize, height as usize];
            let taps = gpu.upload(letterbox_taps(frame_size, [fitted_width, fitted_height]));
            let got = values(letterboxer.run(
                &gpu,
                &GpuFrame::upload(&frame, &gpu),
                &taps,
                [fitted_width, fitted_height],
                [left, top],
            ));
            let expected = normalise(&letterbox(&frame, INPUT_SIDE).picture, &NORMALISATION);
            let apart = got
                .iter()
                .zip(&expected)
                .map(|(got, expected)| (got - expected).abs());
            let apart = apart.fold(0.0, f32::max);
            assert!(apart < 1e-5, "{width}x{height}: {apart}");
        }
    }

    #[test]
    #[ignore = "needs a Vulkan adapter: run cargo xtask test"]
    fn crops_are_those_of_the_cpu_within_a_level() {
        let (gpu, device) = gpu();
        let frame = noise(320, 200);
        let fit = Fit::new(&frame, INPUT_SIDE);
        let mut found = vec![0.0; HEADER + MOST_FACES * FACE_VALUES];
        // In the square: inside of the frame, over its edge, larger than the network's input in the frame.
        let boxes = [
            [40.0, 50.0, 30.3, 33.1],
            [100.2, 20.0, 60.0, 50.0],
            [2.0, 30.0, 110.0, 60.0],
        ];
        found[0] = 3.0;
        for (index, face) in boxes.iter().enumerate() {
            found[HEADER + index * FACE_VALUES..][..4].copy_from_slice(face);
        }
        let faces = GpuFaces {
            gpu: gpu.clone(),
            frame: GpuFrame::upload(&frame, &gpu),
            fit,
            found: gpu.buffer(Tensor::<1>::from_floats(found.as_slice(), &device)),
        };
        let margins = FaceMargins {
            margin: 0.1,
            rise: 0.05,
        };
        let pixels = Normalisation {
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        // One more than there are: black.
        let got = values(FaceCropper::new(64, &pixels, margins).crop(&faces, 0, 4));
        let (crops, rest) = got.split_at(3 * 64 * 64 * 3);
        for (face, got) in boxes.iter().zip(crops.chunks_exact(64 * 64 * 3)) {
            let [x, y, width, height] = *face;
            let face = fit.in_frame(Detection {
                bounding_box: BoundingBox {
                    x,
                    y,
                    width,
                    height,
                },
                score: 1.0,
                keypoints: [[0.0; 2]; 6],
            });
            let region = margins.region(&face.bounding_box);
            let expected = crop_face(&frame, &region, 64).expect("inside of the frame");
            let expected = normalise(&expected, &pixels);
            let apart = got
                .iter()
                .zip(&expected)
                .map(|(got, expected)| (got - expected).abs());
            let apart = apart.fold(0.0, f32::max);
            assert!(apart <= 1.0, "{face:?}: {apart} levels");
        }
        assert!(rest.iter().all(|&value| value == 0.0));
    }
}
