//! MediaPipe's networks for faces and bodies, whose graphs have their layers in order but under other names.

use super::{pictured, pose};
use crate::architecture::{
    Activation, Architecture, Convolution, Layers, PoseLandmarksConfig, blazeface,
    blazeface_full_range, blazepose, blendshapes, face_mesh,
};
use crate::error::WeightsError;
use crate::published::PublishedWeights;
use crate::weights::Weights;

/// A network of a `.task` archive and what brings it into canonical form.
pub struct TaskMember {
    /// Architecture name.
    pub name: &'static str,
    /// File inside the archive.
    pub file: &'static str,
    /// From the published graph to the network's own keys.
    pub convert: fn(&PublishedWeights) -> Result<Weights, WeightsError>,
}

/// The networks of MediaPipe's face landmarker and of its pose landmarkers.
pub const TASK_MEMBERS: [TaskMember; 7] = [
    TaskMember {
        name: blazeface::NAME,
        file: "face_detector.tflite",
        convert: blazeface_weights,
    },
    TaskMember {
        name: face_mesh::NAME,
        file: "face_landmarks_detector.tflite",
        convert: mesh_weights,
    },
    TaskMember {
        name: blendshapes::NAME,
        file: "face_blendshapes.tflite",
        convert: blendshapes_weights,
    },
    TaskMember {
        name: blazepose::detector::NAME,
        file: "pose_detector.tflite",
        convert: pose::detector_weights,
    },
    TaskMember {
        name: PoseLandmarksConfig::LITE.name,
        file: "pose_landmarks_detector.tflite",
        convert: |published| pose::landmarks_weights(PoseLandmarksConfig::LITE, published),
    },
    TaskMember {
        name: PoseLandmarksConfig::FULL.name,
        file: "pose_landmarks_detector.tflite",
        convert: |published| pose::landmarks_weights(PoseLandmarksConfig::FULL, published),
    },
    TaskMember {
        name: PoseLandmarksConfig::HEAVY.name,
        file: "pose_landmarks_detector.tflite",
        convert: |published| pose::landmarks_weights(PoseLandmarksConfig::HEAVY, published),
    },
];

/// Name of the mesh's published head that is left away.
const TONGUE: &str = "tongue";
/// Part of a PReLU's published name before its number; the numbers rise along the graph.
const PUBLISHED_SLOPES: &str = "p_re_lu_";

/// Gives `face_detector.tflite` its canonical names.
///
/// # Errors
///
/// As [`PublishedWeights::name_convolutions`].
fn blazeface_weights(published: &PublishedWeights) -> Result<Weights, WeightsError> {
    let weights = published.name_convolutions(blazeface::NAME, &blazeface_order())?;
    Ok(pictured(
        weights,
        blazeface::INPUT_SIDE,
        blazeface::NORMALISATION,
    ))
}

/// Gives `face_detection_full_range_sparse.tflite` its canonical names.
///
/// # Errors
///
/// As [`PublishedWeights::name_convolutions`].
pub(crate) fn full_range_weights(published: &PublishedWeights) -> Result<Weights, WeightsError> {
    let order = Layers::new(Architecture::BlazeFaceFullRange).convolutions();
    let weights = published.name_convolutions(blazeface_full_range::NAME, &order)?;
    Ok(pictured(
        weights,
        blazeface_full_range::INPUT_SIDE,
        blazeface_full_range::NORMALISATION,
    ))
}

/// The published graph has the heads last: scores of both, then boxes of both.
fn blazeface_order() -> Vec<Convolution> {
    let mut layers = Layers::new(Architecture::BlazeFace).convolutions();
    layers.sort_by_key(|layer| match layer.name.rsplit_once('.') {
        Some((_, "scores")) => 1,
        Some((_, "boxes")) => 2,
        _ => 0,
    });
    layers
}

/// Gives `face_landmarks_detector.tflite` its canonical names.
///
/// # Errors
///
/// As [`PublishedWeights::name_convolutions`]; [`WeightsError::Malformed`] and [`WeightsError::Shape`] where the
/// slopes of the activations are not as many.
fn mesh_weights(published: &PublishedWeights) -> Result<Weights, WeightsError> {
    let mut weights = published.name_convolutions(face_mesh::NAME, &mesh_order())?;
    for part in ["weight", "bias"] {
        weights.remove(&format!("{TONGUE}.{part}"));
    }
    let mut found: Vec<_> = published
        .named()
        .iter()
        .filter_map(|(name, tensor)| Some((number_of(name)?, name, tensor)))
        .collect();
    found.sort_by_key(|(number, ..)| *number);
    let mut activated = Layers::new(Architecture::FaceMesh).convolutions();
    activated.retain(|layer| layer.config.activation == Activation::Prelu);
    if found.len() != activated.len() {
        return Err(WeightsError::Malformed {
            format: "tflite",
            reason: format!(
                "graph has slopes for {} activations, {} has {}",
                found.len(),
                face_mesh::NAME,
                activated.len()
            ),
        });
    }
    for ((_, published_as, tensor), layer) in found.into_iter().zip(activated) {
        let name = format!("{}.slopes", layer.name);
        let outputs = layer.config.outputs();
        if tensor.values.len() != outputs {
            return Err(WeightsError::Shape {
                name: format!("{name} ({published_as})"),
                expected: vec![outputs],
                got: tensor.shape.clone(),
            });
        }
        weights.insert(name, vec![outputs], tensor.values.clone())?;
    }
    Ok(pictured(
        weights,
        face_mesh::INPUT_SIDE,
        face_mesh::NORMALISATION,
    ))
}

/// The published graph has the heads in another order, and one more.
fn mesh_order() -> Vec<Convolution> {
    let mut layers = Layers::new(Architecture::FaceMesh).convolutions();
    layers.push(face_mesh::head(TONGUE, 1));
    layers.sort_by_key(|layer| match layer.name.as_str() {
        TONGUE => 1,
        "presence" => 2,
        "landmarks" => 3,
        _ => 0,
    });
    layers
}

/// Which PReLU of the graph a constant belongs to.
fn number_of(name: &str) -> Option<u32> {
    let (_, rest) = name.split_once(PUBLISHED_SLOPES)?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Gives `face_blendshapes.tflite` its canonical names.
///
/// # Errors
///
/// As [`PublishedWeights::name_convolutions`]; [`WeightsError::Missing`] if a norm or the gathering token is not there
/// under its published name.
fn blendshapes_weights(published: &PublishedWeights) -> Result<Weights, WeightsError> {
    let mut weights = published.name_convolutions(blendshapes::NAME, &blendshapes::layers())?;
    let mut take = |name: String, published_as: String| {
        let found = published
            .named()
            .iter()
            .find(|(key, _)| key.contains(&published_as));
        let (_, tensor) = found.ok_or_else(|| WeightsError::Missing {
            name: name.clone(),
            hint: format!(" (published as `{published_as}`)"),
        })?;
        weights.insert(name, vec![blendshapes::CHANNELS], tensor.values.clone())
    };
    take(blendshapes::TOKEN.to_owned(), "/AddExtraTokens/".to_owned())?;
    for block in 0..blendshapes::BLOCKS {
        for (number, part) in [(1, "token"), (2, "channel")] {
            let published_as = format!("/MixerBlock_{block}/layer_norm{number}/batchnorm/mul/");
            take(blendshapes::norm(block, part), published_as)?;
        }
    }
    Ok(weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Metadata;
    use crate::published::GraphConvolution;
    use crate::weights::WeightTensor;

    fn graph(order: Vec<Convolution>, named: Weights) -> PublishedWeights {
        let published = |(place, layer): (usize, Convolution)| {
            let shape = layer.config.weight_shape().to_vec();
            let outputs = layer.config.outputs();
            let weight = vec![place as f32; shape.iter().product()];
            GraphConvolution {
                name: format!("conv2d_{place}"),
                bias: Some(WeightTensor {
                    shape: vec![outputs],
                    values: vec![-(place as f32); outputs],
                }),
                weight: WeightTensor {
                    shape,
                    values: weight,
                },
                groups: layer.config.groups(),
                strides: [layer.config.stride; 2],
            }
        };
        PublishedWeights::Graph {
            named,
            convolutions: order.into_iter().enumerate().map(published).collect(),
            operations: Vec::new(),
            classifier: None,
        }
    }

    fn changed(
        published: &PublishedWeights,
        change: impl FnOnce(&mut Weights, &mut Vec<GraphConvolution>),
    ) -> PublishedWeights {
        let mut published = published.clone();
        let PublishedWeights::Graph {
            named,
            convolutions,
            ..
        } = &mut published
        else {
            panic!("a graph")
        };
        change(named, convolutions);
        published
    }

    fn first_value(weights: &Weights, name: &str) -> f32 {
        weights.get(name).expect("canonical name").values[0]
    }

    fn mesh() -> PublishedWeights {
        let mut named = Weights::new(Metadata::default());
        let mut activated = Layers::new(Architecture::FaceMesh).convolutions();
        activated.retain(|layer| layer.config.activation == Activation::Prelu);
        // From 95 on, so that the order of the names is not that of the numbers.
        for (index, layer) in activated.iter().enumerate() {
            let channels = layer.config.outputs();
            let name = format!("model/p_re_lu_{}/mul_dequantize", 95 + index);
            named
                .insert(name, vec![1, 1, channels], vec![index as f32; channels])
                .expect("as many values");
        }
        graph(mesh_order(), named)
    }

    #[test]
    fn heads_of_the_detector_come_last() {
        let published = graph(blazeface_order(), Weights::default());
        let weights = blazeface_weights(&published).expect("the published graph");
        assert_eq!(weights.len(), 74);
        let places = [
            ("stem", 0.0),
            ("blocks.0.pointwise", 2.0),
            ("blocks.15.pointwise", 32.0),
            ("heads.0.scores", 33.0),
            ("heads.1.scores", 34.0),
            ("heads.0.boxes", 35.0),
            ("heads.1.boxes", 36.0),
        ];
        for (name, place) in places {
            assert_eq!(first_value(&weights, &format!("{name}.weight")), place);
            assert_eq!(first_value(&weights, &format!("{name}.bias")), -place);
        }
    }

    #[test]
    fn layers_of_the_full_range_detector_come_as_they_run() {
        let order = Layers::new(Architecture::BlazeFaceFullRange).convolutions();
        let published = graph(order, Weights::default());
        let weights = full_range_weights(&published).expect("the published graph");
        let blocks = 15 + 5;
        assert_eq!(weights.len(), 2 * (1 + 4 * blocks + 3 * 2 + 2 * 2));
        assert_eq!(weights.metadata.input_side, Some(192));
        assert_eq!(first_value(&weights, "stages.0.0.first.weight"), 1.0);
        assert_eq!(first_value(&weights, "boxes.depthwise.weight"), 90.0);
        let another = graph(blazeface_order(), Weights::default());
        assert_eq!(
            full_range_weights(&another)
                .expect_err("the short range")
                .to_string(),
            "tflite file is malformed: graph has 37 convolutions, blazeface-full-range has 91"
        );
    }

    #[test]
    fn the_tongue_of_the_mesh_is_left_away() {
        let weights = mesh_weights(&mesh()).expect("the published graph");
        let slopes = 69;
        assert_eq!(weights.len(), 2 * (1 + 34 * 3 + 2) + slopes);
        assert_eq!(first_value(&weights, "presence.weight"), 104.0);
        assert_eq!(first_value(&weights, "landmarks.weight"), 105.0);
        assert_eq!(first_value(&weights, "stem.slopes"), 0.0);
        assert_eq!(first_value(&weights, "blocks.0.reduce.slopes"), 1.0);
        assert_eq!(first_value(&weights, "blocks.33.expand.slopes"), 68.0);
    }

    #[test]
    fn another_detector_is_refused() {
        let published = graph(blazeface_order(), Weights::default());
        let refusal = |change: fn(&mut Vec<GraphConvolution>)| {
            let published = changed(&published, |_, convolutions| change(convolutions));
            let error = blazeface_weights(&published).expect_err("must be refused");
            error.to_string()
        };
        assert_eq!(
            refusal(|convolutions| _ = convolutions.pop()),
            "tflite file is malformed: graph has 36 convolutions, blazeface-short-range has 37"
        );
        assert_eq!(
            refusal(|convolutions| convolutions[2].weight.shape = vec![24, 12, 1, 2]),
            "weight `blocks.0.pointwise (conv2d_2)` has shape [24, 12, 1, 2], expected [24, 24, 1, 1]"
        );
        let text = refusal(|convolutions| convolutions[0].strides = [1, 1]);
        assert!(
            text.contains("strides [1, 1], expected 1 and [2, 2]"),
            "{text}"
        );
        assert_eq!(
            refusal(|convolutions| convolutions[36].bias = None),
            "weight `heads.1.boxes.bias` is missing"
        );
    }

    #[test]
    fn another_mesh_is_refused() {
        const SLOPES: &str = "model/p_re_lu_100/mul_dequantize";
        let refusal = |change: fn(&mut Weights)| {
            let published = changed(&mesh(), |named, _| change(named));
            let error = mesh_weights(&published).expect_err("must be refused");
            error.to_string()
        };
        assert_eq!(
            refusal(|named| _ = named.remove(SLOPES)),
            "tflite file is malformed: graph has slopes for 68 activations, face-mesh has 69"
        );
        let text = refusal(|named| named.insert(SLOPES, vec![1], vec![0.0]).expect("one value"));
        assert!(
            text.starts_with("weight `blocks.2.reduce.slopes (model"),
            "{text}"
        );
    }

    #[test]
    fn blendshapes_without_a_norm_are_refused() {
        let mut named = Weights::new(Metadata::default());
        let mut insert = |name: String| {
            let channels = blendshapes::CHANNELS;
            named
                .insert(name, vec![channels], vec![1.0; channels])
                .expect("as many values");
        };
        insert("model/AddExtraTokens/strided_slice".to_owned());
        for block in 0..blendshapes::BLOCKS {
            for number in [1, 2] {
                insert(format!(
                    "model/MixerBlock_{block}/layer_norm{number}/batchnorm/mul/Read"
                ));
            }
        }
        let published = graph(blendshapes::layers(), named);
        let weights = blendshapes_weights(&published).expect("the published graph");
        assert_eq!(weights.len(), 2 * 19 + 1 + 8);
        let renamed = changed(&published, |named, _| {
            named.remove("model/MixerBlock_2/layer_norm1/batchnorm/mul/Read");
        });
        assert_eq!(
            blendshapes_weights(&renamed)
                .expect_err("a norm too few")
                .to_string(),
            "weight `blocks.2.token_norm.scale` is missing (published as `/MixerBlock_2/layer_norm1/batchnorm/mul/`)"
        );
    }
}
