//! Brings published EfficientNet weights into canonical form.
//!
//! timm's state dict has batch norm beside each convolution; EmotiEffLib's ONNX files have it folded, but
//! their tensors have numbers for names, so there the order of the graph says which is which.

use crate::label::{AFFECTNET_7, AFFECTNET_8};
use crate::weights::{
    GraphConvolution, Metadata, PublishedWeights, WeightTensor, Weights, WeightsError,
};

use super::super::convolution::{ConvolutionConfig, Coupling};
use super::EfficientNetConfig;

/// timm's `tf_` models keep TensorFlow's constant.
const BATCH_NORM_EPSILON: f64 = 1e-3;

/// A convolution, in the order in which the network runs.
struct Layer {
    /// Name without `.weight` and `.bias`.
    name: String,
    config: ConvolutionConfig,
    /// Name of the batch norm in timm's state dict; none where the convolution has a bias of its own.
    batch_norm: Option<String>,
}

fn layers(config: EfficientNetConfig) -> Vec<Layer> {
    let normalised = |prefix: &str, name: &str, batch_norm: &str, config| Layer {
        name: format!("{prefix}{name}"),
        config,
        batch_norm: Some(format!("{prefix}{batch_norm}")),
    };
    let mut layers = vec![normalised("", "conv_stem", "bn1", config.stem())];
    for block in config.blocks() {
        let prefix = format!("{}.", block.name);
        let mut batch_norms = ["bn1", "bn2", "bn3"].into_iter();
        let mut normalised = |name: &str, config| {
            normalised(
                &prefix,
                name,
                batch_norms.next().expect("a block has at most three"),
                config,
            )
        };
        if let Some(expand) = block.expand {
            layers.push(normalised("conv_pw", expand));
        }
        layers.push(normalised("conv_dw", block.depthwise));
        let project = normalised(block.project_name(), block.project);
        for (name, config) in [
            ("se.conv_reduce", block.reduce),
            ("se.conv_expand", block.excite),
        ] {
            layers.push(Layer {
                name: format!("{prefix}{name}"),
                config,
                batch_norm: None,
            });
        }
        layers.push(project);
    }
    layers.push(normalised("", "conv_head", "bn2", config.head()));
    layers
}

/// Canonical weights of either published form; classes are told from the number of outputs.
pub(in super::super) fn canonical(
    config: EfficientNetConfig,
    published: &PublishedWeights,
    mut metadata: Metadata,
) -> Result<Weights, WeightsError> {
    metadata.classes.clear();
    let mut weights = match published {
        PublishedWeights::Named(named) => from_state_dict(config, named)?,
        PublishedWeights::Graph {
            convolutions,
            classifier,
            ..
        } => from_graph(config, convolutions, classifier.as_ref())?,
    };
    match weights.get("classifier.bias").map(|bias| bias.values.len()) {
        Some(8) => metadata.classes = AFFECTNET_8.to_vec(),
        Some(7) => metadata.classes = AFFECTNET_7.to_vec(),
        Some(10) => {
            // The multi-task models: eight classes, then valence and arousal.
            metadata.classes = AFFECTNET_8.to_vec();
            metadata
                .extra
                .insert("outputs".to_owned(), "affectnet8+va".to_owned());
        }
        _ => {}
    }
    weights.metadata = metadata;
    Ok(weights)
}

fn from_state_dict(config: EfficientNetConfig, named: &Weights) -> Result<Weights, WeightsError> {
    let mut weights = Weights::default();
    let mut rest = named.clone();
    for Layer {
        name,
        config,
        batch_norm,
    } in layers(config)
    {
        let (weight_name, bias_name) = (format!("{name}.weight"), format!("{name}.bias"));
        let shape = config.weight_shape();
        let weight = named.values(&weight_name, &shape)?;
        let (weight, bias) = match batch_norm {
            None => {
                rest.remove(&bias_name);
                (
                    weight.to_vec(),
                    named.values(&bias_name, &shape[..1])?.to_vec(),
                )
            }
            Some(batch_norm) => {
                rest.remove(&format!("{batch_norm}.num_batches_tracked"));
                let mut take = |name: &str| {
                    let name = format!("{batch_norm}.{name}");
                    rest.remove(&name);
                    named.values(&name, &shape[..1])
                };
                let batch_norm = [
                    take("weight")?,
                    take("bias")?,
                    take("running_mean")?,
                    take("running_var")?,
                ];
                fold(weight, batch_norm)
            }
        };
        rest.remove(&weight_name);
        weights.insert(weight_name, shape.to_vec(), weight)?;
        weights.insert(bias_name, shape[..1].to_vec(), bias)?;
    }
    // A plain classifier, or one wrapped into a `Sequential`.
    for name in ["classifier", "classifier.0"] {
        if let Some(weight) = rest.remove(&format!("{name}.weight")) {
            let bias_name = format!("{name}.bias");
            let outputs = weight.shape.first().copied().unwrap_or_default();
            let bias = named.values(&bias_name, &[outputs])?.to_vec();
            rest.remove(&bias_name);
            insert_classifier(&mut weights, config, &weight, bias)?;
            break;
        }
    }
    match rest.iter().next() {
        None => Ok(weights),
        Some((name, _)) => Err(WeightsError::Unexpected {
            name: name.to_owned(),
            architecture: config.name.to_owned(),
        }),
    }
}

/// Weight and bias of a convolution followed by `batch_norm`: gamma, beta, mean, variance of each output.
fn fold(weight: &[f32], batch_norm: [&[f32]; 4]) -> (Vec<f32>, Vec<f32>) {
    let [gamma, beta, mean, variance] = batch_norm;
    let fan_in = weight.len() / gamma.len();
    let mut folded = Vec::with_capacity(weight.len());
    let mut bias = Vec::with_capacity(gamma.len());
    for (channel, weight) in weight.chunks_exact(fan_in).enumerate() {
        let scale =
            f64::from(gamma[channel]) / (f64::from(variance[channel]) + BATCH_NORM_EPSILON).sqrt();
        folded.extend(
            weight
                .iter()
                .map(|&weight| narrow(f64::from(weight) * scale)),
        );
        bias.push(narrow(
            f64::from(beta[channel]) - f64::from(mean[channel]) * scale,
        ));
    }
    (folded, bias)
}

#[expect(clippy::cast_possible_truncation, reason = "weights are stored as f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn from_graph(
    config: EfficientNetConfig,
    convolutions: &[GraphConvolution],
    classifier: Option<&(WeightTensor, Option<WeightTensor>)>,
) -> Result<Weights, WeightsError> {
    let malformed = |reason| WeightsError::Malformed {
        format: "graph",
        reason,
    };
    let layers = layers(config);
    let mut weights = Weights::default();
    for (index, (layer, found)) in layers.iter().zip(convolutions).enumerate() {
        let Layer { name, config, .. } = layer;
        let described = format!(
            "{name} (convolution {}, `{}` in the file)",
            index + 1,
            found.name
        );
        let shape = config.weight_shape();
        let weight = expect_shape(&found.weight, &shape, || format!("{described}.weight"))?;
        let groups = match config.coupling {
            Coupling::Dense { .. } => 1,
            Coupling::Depthwise { channels } => channels,
        };
        if found.groups != groups || found.strides != [config.stride; 2] {
            return Err(malformed(format!(
                "{described} has groups {} and strides {:?}, expected {groups} and {:?}",
                found.groups, found.strides, [config.stride; 2]
            )));
        }
        let bias = found.bias.as_ref().ok_or_else(|| WeightsError::Missing {
            name: format!("{described}.bias"),
            hint: " (batch norm must be folded)".to_owned(),
        })?;
        let bias = expect_shape(bias, &shape[..1], || format!("{described}.bias"))?;
        weights.insert(format!("{name}.weight"), shape.to_vec(), weight.to_vec())?;
        weights.insert(format!("{name}.bias"), shape[..1].to_vec(), bias.to_vec())?;
    }
    if layers.len() != convolutions.len() {
        return Err(malformed(format!(
            "{} convolutions, expected the {} of {}",
            convolutions.len(),
            layers.len(),
            config.name
        )));
    }
    if let Some((weight, bias)) = classifier {
        let outputs = weight.shape.first().copied().unwrap_or_default();
        let bias = match bias {
            Some(bias) => expect_shape(bias, &[outputs], || "classifier.bias".to_owned())?.to_vec(),
            None => vec![0.0; outputs],
        };
        insert_classifier(&mut weights, config, weight, bias)?;
    }
    Ok(weights)
}

fn insert_classifier(
    weights: &mut Weights,
    config: EfficientNetConfig,
    weight: &WeightTensor,
    bias: Vec<f32>,
) -> Result<(), WeightsError> {
    let shape = [bias.len(), config.width()];
    let weight = expect_shape(weight, &shape, || "classifier.weight".to_owned())?;
    weights.insert("classifier.weight", shape.to_vec(), weight.to_vec())?;
    weights.insert("classifier.bias", vec![bias.len()], bias)
}

fn expect_shape<'a>(
    tensor: &'a WeightTensor,
    expected: &[usize],
    name: impl Fn() -> String,
) -> Result<&'a [f32], WeightsError> {
    if tensor.shape == expected {
        return Ok(&tensor.values);
    }
    Err(WeightsError::Shape {
        name: name(),
        expected: expected.to_vec(),
        got: tensor.shape.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_gives_what_batch_norm_gives() {
        let (weight, bias) = fold(
            &[2.0, -4.0, 1.0, 3.0],
            [&[3.0, 1.0], &[0.5, 0.0], &[7.0, 1.0], &[0.249, 3.999]],
        );
        assert_eq!(weight, [12.0, -24.0, 0.5, 1.5]);
        assert_eq!(bias, [0.5 - 42.0, -0.5]);
    }

    #[test]
    fn layers_are_in_execution_order() {
        let names: Vec<_> = layers(EfficientNetConfig::B0)
            .into_iter()
            .map(|layer| layer.name)
            .collect();
        assert_eq!(names.len(), 81);
        assert_eq!(
            names[..5],
            [
                "conv_stem",
                "blocks.0.0.conv_dw",
                "blocks.0.0.se.conv_reduce",
                "blocks.0.0.se.conv_expand",
                "blocks.0.0.conv_pw"
            ]
        );
        assert_eq!(names[5..7], ["blocks.1.0.conv_pw", "blocks.1.0.conv_dw"]);
        assert_eq!(names[79..], ["blocks.6.0.conv_pwl", "conv_head"]);
    }

    #[test]
    fn a_graph_of_another_size_is_refused() {
        let graph = |convolutions| PublishedWeights::Graph {
            named: Weights::default(),
            convolutions,
            classifier: None,
        };
        let refusal = |published: &PublishedWeights| {
            canonical(EfficientNetConfig::B0, published, Metadata::default())
                .expect_err("must be refused")
                .to_string()
        };
        assert_eq!(
            refusal(&graph(vec![])),
            "graph file is malformed: 0 convolutions, expected the 81 of emotieffnet-b0"
        );
        let stem = GraphConvolution {
            name: "624".to_owned(),
            weight: WeightTensor {
                shape: vec![16, 3, 3, 3],
                values: vec![0.0; 16 * 27],
            },
            bias: None,
            groups: 1,
            strides: [2, 2],
        };
        assert_eq!(
            refusal(&graph(vec![stem])),
            "weight `conv_stem (convolution 1, `624` in the file).weight` has shape [16, 3, 3, 3], expected [32, 3, 3, 3]"
        );
    }
}
