//! The same pipeline natively and in a browser, on the CPU and on the GPU, with seeded weights.
#![expect(clippy::cast_possible_truncation, reason = "noise is made into pixels")]

use affectlens::{
    audio::{Wav2Vec2, Wav2Vec2Config},
    backbone::Backbone,
    detect::FaceDetector,
    device::{self, DeviceChoice, DeviceError, OpenedDevice},
    faces::{ClassifierWeights, FaceWeights},
    frame::Frame,
    kernel::read_back,
    label::AFFECTNET_7,
    lens::{Lens, LensWeights},
    network::Network,
    report::ExpressionReport,
    task::{Task, Tasks},
    weights::{Metadata, Weights, WeightsError},
};
use burn::tensor::Tensor;
use burn_cubecl::{
    CubeBackend,
    cubecl::{
        CubeKernel, PrecompiledSource,
        ir::{ElemType, UIntKind, attributes::BufferIOAttr, metadata::Info},
        prelude::*,
        server::KernelArguments,
    },
};

#[cfg(target_family = "wasm")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const TASKS: Tasks = Tasks::new(&[Task::Expression, Task::ValenceArousal]);

/// Sums in another order through 28 layers, then softmax.
const TOLERANCE: f32 = 2e-3;

/// Uniform in `[-1, 1)`, the same everywhere.
fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

fn insert_seeded(weights: &mut Weights, name: &str, shape: &[usize]) {
    let seed = name.bytes().fold(7_u32, |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    let mut noise = noise(seed);
    let fan_in = shape.iter().skip(1).product::<usize>() as f32;
    let scale = if name.ends_with("bias") {
        0.1
    } else {
        (6.0 / fan_in).sqrt()
    };
    let values = (0..shape.iter().product())
        .map(|_| scale * noise())
        .collect();
    weights
        .insert(name, shape.to_vec(), values)
        .expect("as many values as the shape says");
}

/// Lets a network say which parameters it misses until it has them all.
fn seeded<T>(
    architecture: &str,
    load: impl Fn(&Weights, &OpenedDevice) -> Result<T, WeightsError>,
) -> Weights {
    let mut weights = Weights::new(Metadata {
        architecture: architecture.to_owned(),
        ..Metadata::default()
    });
    loop {
        match load(&weights, &OpenedDevice::cpu()) {
            Ok(_) => return weights,
            Err(WeightsError::Missing { name, .. }) => {
                weights.insert(name, vec![], vec![0.0]).expect("a scalar")
            }
            Err(WeightsError::Shape { name, expected, .. }) => {
                insert_seeded(&mut weights, &name, &expected)
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn classifier(seed_name: &str) -> Weights {
    let mut weights = Weights::new(Metadata {
        architecture: "mlp".to_owned(),
        classes: AFFECTNET_7.to_vec(),
        ..Metadata::default()
    });
    insert_seeded(&mut weights, seed_name, &[16, 1024]);
    let first = weights.remove(seed_name).expect("just inserted");
    weights
        .insert("net.0.weight", first.shape, first.values)
        .expect("as before");
    for (name, shape) in [
        ("net.0.bias", &[16][..]),
        ("net.2.weight", &[7, 16]),
        ("net.2.bias", &[7]),
    ] {
        insert_seeded(&mut weights, name, shape);
    }
    weights
}

fn weights() -> LensWeights {
    let faces = FaceWeights {
        detector: seeded("blazeface-short-range", |weights, device| {
            FaceDetector::load(weights, device)
        }),
        full_range_detector: None,
        classifier: ClassifierWeights {
            backbone: seeded("faceres", |weights, device| Backbone::load(weights, device)),
            pretrained: Some(classifier("pretrained")),
            head: Some(classifier("head")),
            valence_arousal_head: None,
            action_units_head: None,
        },
        mesh: None,
        blendshapes: None,
    };
    LensWeights {
        faces: Some(faces),
        violence: None,
        people: None,
    }
}

fn picture(width: u32, height: u32) -> Frame {
    let mut noise = noise(42);
    let pixels = (0..width * height * 3)
        .map(|_| (127.5 + 127.0 * noise()) as u8)
        .collect();
    Frame::from_rgb(width, height, pixels).expect("as many bytes as pixels")
}

async fn classify(choice: DeviceChoice) -> ExpressionReport {
    let device = device::open(choice).await.expect("the device opens");
    let lens = Lens::load(weights(), TASKS, &device)
        .await
        .expect("seeded weights fit");
    lens.analyze_face(&picture(150, 190))
        .await
        .expect("the face is classified")
}

fn assert_close(report: &ExpressionReport, expected: &[f32]) {
    let got: Vec<_> = report
        .probabilities
        .iter()
        .map(|(_, probability)| *probability)
        .collect();
    let far = got
        .iter()
        .zip(expected)
        .any(|(got, expected)| (got - expected).abs() > TOLERANCE);
    assert!(
        !far && got.len() == expected.len(),
        "got {got:?}, expected {expected:?}"
    );
}

/// What the CPU gives natively.
const RECORDED: [f32; 7] = [
    0.14178774, 0.20108175, 0.08894943, 0.26253703, 0.19286165, 0.06307298, 0.0497094,
];

async fn the_cpu_gives_the_recorded_probabilities() {
    assert_close(&classify(DeviceChoice::Cpu).await, &RECORDED);
}

async fn the_gpu_gives_the_recorded_probabilities() {
    assert_close(&classify(DeviceChoice::Gpu).await, &RECORDED);
}

async fn frames_are_counted_and_a_stream_can_start_again() {
    let device = device::open(DeviceChoice::Cpu)
        .await
        .expect("there is always a CPU");
    let mut lens = Lens::load(weights(), TASKS, &device)
        .await
        .expect("seeded weights fit");
    let frame = picture(64, 48);
    for number in 0..2 {
        let report = lens
            .analyze(&frame, 40.0 * number as f64)
            .await
            .expect("a report");
        assert_eq!(
            (report.frame, report.time_ms),
            (number, 40.0 * number as f64)
        );
    }
    lens.reset();
    assert_eq!(lens.analyze(&frame, 0.0).await.expect("a report").frame, 0);
}

async fn a_network_by_itself_gives_each_picture_its_own_outputs() {
    let device = device::open(DeviceChoice::Cpu)
        .await
        .expect("there is always a CPU");
    let weights = seeded("blazeface-short-range", |weights, device| {
        FaceDetector::load(weights, device)
    });
    let mut network = Network::load(weights, device).expect("seeded weights fit");
    let values = 896 * 17;
    assert_eq!(network.facts().outputs[0].shape, [896, 17]);
    let mut noise = noise(7);
    let [one, other] = [(); 2].map(|()| (0..3 * 128 * 128).map(|_| noise()).collect::<Vec<_>>());
    let mut run = async |input: &[&[f32]]| {
        let output = network.run(&input.concat(), input.len()).await;
        output.expect("as many values as pictures have")
    };
    let both = run(&[&one, &other]).await;
    assert_eq!(both.len(), 2 * values);
    let singles = [run(&[&one]).await, run(&[&other]).await].concat();
    let largest = both
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let is_close = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE * largest;
    assert!(both.iter().zip(&singles).all(is_close));
    assert_ne!(both[..values], both[values..]);
    let refusal = network
        .run(&one, 2)
        .await
        .expect_err("one picture is not two");
    let message = "input has 49152 values, expected 2 x 3 x 128 x 128";
    assert_eq!(refusal.to_string(), message);
}

/// The first, a middle and the last numbers of the vectors, as the CPU gives them natively.
const RECORDED_SOUND: [f32; 6] = [
    -0.1480317, 2.8077762, 0.36481133, 2.6230416, 1.2932622, -1.1202537,
];

/// Vectors of half a second of noise from a small wav2vec 2.0.
async fn embed_sound(choice: DeviceChoice) {
    const SAMPLES: usize = 8_000;
    let config = Wav2Vec2Config::TEST;
    let mut weights = Weights::new(Metadata {
        architecture: config.name.to_owned(),
        ..Metadata::default()
    });
    for parameter in config.parameters() {
        insert_seeded(&mut weights, &parameter.name, &parameter.shape);
    }
    let device = device::open(choice).await.expect("the device opens");
    let network = Wav2Vec2::load_for(weights, SAMPLES, &device);
    let mut network = network.expect("seeded weights fit");
    let mut noise = noise(11);
    let samples: Vec<f32> = (0..SAMPLES).map(|_| noise()).collect();
    let vectors = network.embed(&samples).await.expect("of that length");
    assert_eq!(vectors.len(), 24 * config.width);
    let middle = vectors.len() / 2;
    let last = vectors.len() - 1;
    let got = [0, 1, middle, middle + 1, last - 1, last].map(|place| vectors[place]);
    let is_close = |(a, b): (f32, f32)| (a - b).abs() <= 1e-3;
    let all_close = got.into_iter().zip(RECORDED_SOUND).all(is_close);
    assert!(all_close, "{got:?}, expected {RECORDED_SOUND:?}");
}

async fn sound_is_embedded_on_the_cpu_as_recorded() {
    embed_sound(DeviceChoice::Cpu).await;
}

async fn sound_is_embedded_on_the_gpu_as_recorded() {
    embed_sound(DeviceChoice::Gpu).await;
}

/// A kernel that no compiler takes.
#[derive(Debug)]
struct Nonsense;

impl KernelMetadata for Nonsense {
    fn id(&self) -> KernelId {
        KernelId::new::<Self>().cube_dim(CubeDim::new_1d(64).0)
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

impl CubeKernel for Nonsense {
    fn define(&self) -> KernelDefinition {
        let dim = CubeDim::new_1d(64).0;
        let settings = KernelSettings::new(dim, ExecutionMode::Checked, AddressType::U32);
        KernelDefinition {
            body: Scope::root(settings.clone()),
            settings,
            info: Info::default(),
        }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource {
            source: "@compute fn main( {".to_owned(),
            entrypoint_name: "main".to_owned(),
            lang: "wgsl",
        })
    }
}

async fn a_kernel_that_the_gpu_refuses_is_an_error() {
    let device = device::open(DeviceChoice::Gpu)
        .await
        .expect("the device opens");
    let start = async || {
        let output = Tensor::<2>::empty([1, 64], &device.device)
            .try_into_primitive::<CubeBackend>()
            .expect("Burn's wgpu device");
        let arguments = KernelArguments::new()
            .with_buffer_io(output.handle.clone().binding(), BufferIOAttr::WriteOnly);
        let client = output.client.clone();
        client.launch(Box::new(Nonsense), CubeCount::Static(1, 1, 1), arguments);
        read_back(vec![Tensor::from_primitive::<CubeBackend>(output)]).await
    };
    // Natively reading fails; in a browser it gives old bytes, and only the device's own check tells.
    match device.check_kernels(start).await {
        Err(DeviceError::Refused { reason }) => assert!(!reason.is_empty()),
        Ok(Err(error)) => assert!(!error.to_string().is_empty()),
        other => panic!("nonsense was computed: {other:?}"),
    }
    // The device goes on.
    assert_close(&classify(DeviceChoice::Gpu).await, &RECORDED);
}

/// One name, two harnesses.
macro_rules! everywhere {
    ($($(#[$attribute:meta])* $name:ident)*) => {
        #[cfg(not(target_family = "wasm"))]
        mod native {
            $(#[test] $(#[$attribute])* fn $name() { pollster::block_on(super::$name()) })*
        }
        #[cfg(target_family = "wasm")]
        mod browser {
            $(#[wasm_bindgen_test::wasm_bindgen_test] async fn $name() {
                affectlens::web::start();
                super::$name().await
            })*
        }
    };
}

everywhere! {
    the_cpu_gives_the_recorded_probabilities
    #[ignore = "needs a Vulkan adapter: run cargo xtask test"]
    the_gpu_gives_the_recorded_probabilities
    frames_are_counted_and_a_stream_can_start_again
    #[ignore = "needs a Vulkan adapter: run cargo xtask test"]
    a_kernel_that_the_gpu_refuses_is_an_error
    a_network_by_itself_gives_each_picture_its_own_outputs
    sound_is_embedded_on_the_cpu_as_recorded
    #[ignore = "needs a Vulkan adapter: run cargo xtask test"]
    sound_is_embedded_on_the_gpu_as_recorded
}
