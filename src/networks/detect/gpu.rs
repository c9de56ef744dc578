//! Detection without leaving the GPU: letterbox, network, choice of faces, crops of those faces.
//!
//! The same faces as on the CPU, but what is cropped does not have to be read back first.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Bytes, Tensor};

use super::DetectError;
use super::anchors::{BOX_VALUES, KEYPOINTS, LOGIT_LIMIT, anchor_centres};
use super::blazeface::{ANCHOR_VALUES, DetectorRange, Layout, NORMALISATION};
use super::letterbox::Fit;
use super::suppression::SAME_FACE_OVERLAP;
use crate::crop::{FaceMargins, GpuFrame, Letterboxer, Resampler, letterbox_taps};
use crate::face::{BoundingBox, Detection};
use crate::frame::Frame;
use crate::kernel::{Element, Gpu, GpuBuffer, Network, Shader, ShaderBuilder};
use crate::weights::Normalisation;

/// Most faces of a frame; more than the detector can separate in its small square.
const MOST_FACES: usize = 48;
/// Numbers of a face: those of an anchor, but the score stands before the keypoints.
const FACE_VALUES: usize = ANCHOR_VALUES;
/// Numbers before the first face: how many there are, and how many scores were not finite.
const HEADER: usize = 2;
/// Invocations of the one group that chooses.
const GROUP: usize = 64;

/// How faces lie in the buffer between the two shaders.
const FACE_LAYOUT: [(&str, usize); 3] = [
    ("HEADER", HEADER),
    ("FACE_VALUES", FACE_VALUES),
    ("MOST_FACES", MOST_FACES),
];

/// Kernels around the detector's network.
#[derive(Debug)]
pub(super) struct GpuDetector {
    range: DetectorRange,
    gpu: Gpu,
    letterbox: Letterboxer,
    choice: Shader,
    /// Centres of the anchors, which the choice reads.
    centres: GpuBuffer,
    /// Filters for frames of the last size.
    taps: Mutex<Option<(Fit, GpuBuffer)>>,
}

/// Faces of a frame, still on the GPU.
pub(crate) struct GpuFaces {
    range: DetectorRange,
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
    pub(super) fn new(gpu: Gpu, range: DetectorRange, threshold: f32) -> Self {
        let centres = gpu.upload(Bytes::from_elems(anchor_centres(range).concat()));
        Self {
            range,
            centres,
            gpu,
            letterbox: Letterboxer::new(range.input_side(), &NORMALISATION),
            choice: choice(range, threshold),
            taps: Mutex::new(None),
        }
    }

    pub(super) fn find(&self, network: &Network, frame: &Frame) -> GpuFaces {
        let fit = Fit::new(frame, self.range.input_side());
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
        let reads = [&anchors, &self.centres];
        self.gpu.launch(&self.choice, &reads, &found, 1, &[]);
        GpuFaces {
            range: self.range,
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
        if let Some((size, taps)) = kept.as_ref()
            && *size == fit
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
    /// The values that [`Self::decode`] takes, `[1, n]`.
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
            reason = "counts of at most as many as there are anchors"
        )]
        let [count, not_finite] = [header[0] as usize, header[1] as usize];
        if not_finite > 0 {
            return Err(DetectError::NotFinite {
                count: not_finite,
                anchors: self.range.anchors(),
            });
        }
        let faces = faces.chunks_exact(FACE_VALUES).take(count);
        Ok(faces
            .map(|face| {
                let (place, rest) = face.split_at(BOX_VALUES);
                let (score, points) = (rest[0], &rest[1..]);
                let in_square = Detection {
                    bounding_box: BoundingBox {
                        x: place[0],
                        y: place[1],
                        width: place[2],
                        height: place[3],
                    },
                    score,
                    keypoints: std::array::from_fn(|point| {
                        [points[2 * point], points[2 * point + 1]]
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
        let region = |builder: ShaderBuilder| {
            builder
                .counts(&FACE_LAYOUT)
                .number("MARGIN", margin)
                .number("RISE", rise)
                .source(include_str!("face_region.wgsl"))
        };
        Self {
            resampler: Resampler::new(side, normalisation, region),
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

/// Decodes the anchors, blends those that see the same face, best score first: one group does it all.
fn choice(range: DetectorRange, threshold: f32) -> Shader {
    let Layout {
        box_step,
        score_start,
        score_step,
    } = range.layout();
    ShaderBuilder::new("faces", GROUP)
        .reads_scalars("anchors", Element::F32)
        .reads_scalars("centres", Element::F32)
        .writes_scalars("found", Element::F32)
        .counts(&FACE_LAYOUT)
        .counts(&[
            ("ANCHORS", range.anchors()),
            ("VALUES", ANCHOR_VALUES - 1),
            ("BOX_STEP", box_step),
            ("SCORE_START", score_start),
            ("SCORE_STEP", score_step),
            ("BOX_VALUES", BOX_VALUES),
            ("KEYPOINTS", KEYPOINTS),
        ])
        .number("THRESHOLD", threshold)
        .number("LIMIT", LOGIT_LIMIT)
        .number("OVERLAP", SAME_FACE_OVERLAP)
        .source(include_str!("faces.wgsl"))
        .finish()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::super::blazeface::INPUT_SIDE;
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
            range: DetectorRange::Short,
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
