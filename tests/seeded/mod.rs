//! Seeded weights of backbones in the published layouts, as `tests/goldens/backbones.py` makes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use affectlens::backbone::canonical_weights;
use affectlens::weights::{Metadata, PublishedWeights, Weights};
use serde::Deserialize;

/// Shapes of a published state dict.
pub(crate) type Shapes = BTreeMap<String, Vec<usize>>;

/// The file that the generator script wrote for a network.
pub(crate) fn golden_file(name: &str) -> PathBuf {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut files = folders.map(|folder| folder.join("tests/goldens").join(name));
    files.find(|file| file.exists()).expect("committed")
}

/// Names and shapes of a backbone's published parameters.
pub(crate) fn shapes(name: &str) -> Shapes {
    shapes_in("backbones", name)
}

/// The same of a network whose goldens lie in a folder of that name.
pub(crate) fn shapes_in(folder: &str, name: &str) -> Shapes {
    #[derive(Deserialize)]
    struct Layout {
        shapes: Shapes,
    }
    let file = golden_file(&format!("{folder}/{name}.json"));
    let text = std::fs::read_to_string(file).expect("committed");
    let layout: Layout = serde_json::from_str(&text).expect("generated");
    layout.shapes
}

/// `uniform` of the generator script: `count` numbers in [-1, 1).
pub(crate) fn uniform(name: &str, count: usize) -> Vec<f32> {
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (1..=count as u64)
        .map(|index| {
            let mut x = seed.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            x ^= x >> 31;
            (x >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// `parameter` of the generator script.
pub(crate) fn parameter(name: &str, shape: &[usize]) -> Vec<f32> {
    let mut values = uniform(name, shape.iter().product());
    let fan_in: usize = shape.iter().skip(1).product();
    for value in &mut values {
        *value = match name {
            _ if name.ends_with("running_var") => 1.0 + 0.5 * *value,
            _ if name.ends_with("running_mean") || name.ends_with("bias") => 0.25 * *value,
            _ if shape.len() == 1
                && (name.ends_with("prelu.weight") || name.ends_with("layers.2.weight")) =>
            {
                0.25 + 0.25 * *value
            }
            _ if shape.len() == 1 => 1.0 + 0.25 * *value,
            _ => *value * (4.5 / fan_in as f32).sqrt(),
        };
    }
    values
}

/// The published state dict of a network.
pub(crate) fn state_dict(shapes: &Shapes) -> Weights {
    let mut weights = Weights::default();
    for (name, shape) in shapes {
        weights
            .insert(name, shape.clone(), parameter(name, shape))
            .expect("as many values");
    }
    weights
}

/// A MobileNetV1 with seeded weights that keep some activations between 0 and 6.
fn seeded_mobilenet(name: &str) -> Weights {
    let channels = [
        32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024,
    ];
    let mut weights = Weights::new(Metadata {
        architecture: name.to_owned(),
        ..Metadata::default()
    });
    let mut add = |name: String, shape: Vec<usize>| {
        for (part, shape) in [("bias", shape[..1].to_vec()), ("weight", shape)] {
            let name = format!("{name}.{part}");
            let values = parameter(&name, &shape);
            weights.insert(name, shape, values).expect("as many values");
        }
    };
    add("conv_stem".to_owned(), vec![32, 3, 3, 3]);
    for (index, pair) in channels.windows(2).enumerate() {
        add(format!("blocks.{index}.conv_dw"), vec![pair[0], 1, 3, 3]);
        add(
            format!("blocks.{index}.conv_pw"),
            vec![pair[1], pair[0], 1, 1],
        );
    }
    weights
}

/// Canonical weights of the network `name`; but for MobileNetV1 from its published layout.
pub(crate) fn seeded(name: &str) -> Weights {
    if ["faceres", "expression-mobilenet"].contains(&name) {
        return seeded_mobilenet(name);
    }
    let published = PublishedWeights::Named(state_dict(&shapes(name)));
    canonical_weights(name, &published).expect("the published layout")
}
