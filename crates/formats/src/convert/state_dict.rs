//! Brings published weights into canonical form.
//!
//! State dicts have batch norm beside each convolution; EmotiEffLib's ONNX files have it folded, but their tensors
//! have numbers for names, so there the order of the graph says which is which.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::aliases::aliases;
use crate::architecture::{Architecture, Classifier, Facts, Layer, Layers, Published};
use crate::error::WeightsError;
use crate::label::{AFFECTNET_7, AFFECTNET_8};
use crate::metadata::Metadata;
use crate::published::{GraphConvolution, GraphOperation, PublishedWeights};
use crate::weights::{WeightTensor, Weights};

/// A backbone as its publisher's state dict has it.
#[derive(Debug)]
pub struct StateDict {
    architecture: Architecture,
    facts: Facts,
    /// In the order in which they run.
    layers: Vec<StoredLayer>,
    /// Names that the classifier may have.
    classifiers: &'static [&'static str],
    /// Layers that the forward pass does not use.
    unused: Vec<String>,
    /// Another publisher's names of layers, or of what they begin with, and those in `layers`.
    aliases: Vec<(String, String)>,
}

/// Where violence detectors keep the backbone; their other parameters belong to the head.
const ENCODER: &str = "encoder.";

/// A layer with weights.
#[derive(Debug)]
struct StoredLayer {
    /// Canonical name without `.weight`, `.bias` and `.slopes`.
    name: String,
    /// Shape of the weight in the state dict.
    shape: Vec<usize>,
    /// Shape of the weight in a canonical file.
    canonical_shape: Vec<usize>,
    operation: Operation,
    /// Names in the state dict; none for a layer norm, which has its canonical one.
    published: Option<Published>,
}

/// A parameter or running statistic of a state dict.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name in the state dict.
    pub name: String,
    /// Shape in the state dict.
    pub shape: Vec<usize>,
    /// What it is before training.
    pub fill: ParameterFill,
}

/// What a parameter is before training.
#[derive(Clone, Copy, Debug)]
pub enum ParameterFill {
    /// Random numbers.
    Random,
    /// 0.
    Zeros,
    /// 1.
    Ones,
    /// So little that a block begins as its shortcut.
    LayerScale,
}

/// What a layer is in a graph file.
#[derive(Debug)]
enum Operation {
    Convolution {
        groups: usize,
        stride: usize,
    },
    /// A fully connected layer without bias, followed by batch norm.
    MatMul,
    /// A layer norm.
    Normalisation,
}

impl From<Layer> for StoredLayer {
    fn from(layer: Layer) -> Self {
        match layer {
            Layer::Convolution(layer) => Self {
                shape: layer.published_shape(),
                canonical_shape: layer.config.weight_shape().to_vec(),
                operation: match layer.published.is_dense && !layer.published.has_bias {
                    true => Operation::MatMul,
                    false => Operation::Convolution {
                        groups: layer.config.groups(),
                        stride: layer.config.stride,
                    },
                },
                name: layer.name,
                published: Some(layer.published),
            },
            Layer::LineSum(layer) => Self {
                name: layer.name,
                shape: layer.weight_shape.to_vec(),
                canonical_shape: layer.weight_shape.to_vec(),
                operation: Operation::Convolution {
                    groups: layer.weight_shape[0],
                    stride: 1,
                },
                published: Some(layer.published),
            },
            Layer::Norm(norm) => Self {
                name: norm.name,
                shape: vec![norm.channels],
                canonical_shape: vec![norm.channels],
                operation: Operation::Normalisation,
                published: None,
            },
        }
    }
}

impl StoredLayer {
    /// Name in a state dict.
    fn published_name(&self) -> &str {
        let published = self.published.as_ref();
        published.map_or(&self.name, |published| &published.layer)
    }

    fn has_bias(&self) -> bool {
        self.published.as_ref().is_none_or(|names| names.has_bias)
    }

    /// Added to the variance of the batch norm that follows.
    fn epsilon(&self) -> f64 {
        let norm = self
            .published
            .as_ref()
            .and_then(|names| names.batch_norm.as_ref());
        norm.map_or(0.0, |norm| norm.epsilon)
    }

    fn slopes(&self) -> Option<&str> {
        self.published.as_ref()?.slopes.as_deref()
    }

    /// Everything that the layer has in a state dict but slopes, which the networks to be trained have none of.
    fn parameters(&self) -> Vec<Parameter> {
        let outputs = self.shape[..1].to_vec();
        let one = |name, fill| Parameter {
            name,
            shape: outputs.clone(),
            fill,
        };
        let layer = self.published_name();
        let is_norm = matches!(self.operation, Operation::Normalisation);
        let mut parameters = vec![Parameter {
            name: format!("{layer}.weight"),
            shape: self.shape.clone(),
            fill: if is_norm {
                ParameterFill::Ones
            } else {
                ParameterFill::Random
            },
        }];
        if self.has_bias() {
            parameters.push(one(format!("{layer}.bias"), ParameterFill::Zeros));
        }
        let published = self.published.as_ref();
        if let Some(norm) = published.and_then(|published| published.batch_norm.as_ref()) {
            let norm = &norm.name;
            for (part, fill) in [
                ("weight", ParameterFill::Ones),
                ("bias", ParameterFill::Zeros),
                ("running_mean", ParameterFill::Zeros),
                ("running_var", ParameterFill::Ones),
            ] {
                parameters.push(one(format!("{norm}.{part}"), fill));
            }
        }
        if let Some(scale) = published.and_then(|published| published.scale.as_ref()) {
            parameters.push(one(scale.clone(), ParameterFill::LayerScale));
        }
        parameters
    }

    fn insert(
        &self,
        weights: &mut Weights,
        weight: Vec<f32>,
        bias: Vec<f32>,
        slopes: Option<&[f32]>,
    ) -> Result<(), WeightsError> {
        let name = &self.name;
        let outputs = self.shape[..1].to_vec();
        weights.insert(
            format!("{name}.weight"),
            self.canonical_shape.clone(),
            weight,
        )?;
        if let Some(slopes) = slopes {
            weights.insert(format!("{name}.slopes"), outputs.clone(), slopes.to_vec())?;
        }
        weights.insert(format!("{name}.bias"), outputs, bias)
    }
}

impl StateDict {
    /// The layout of a backbone; none for `faceres`, which is published as a graph of its own, and for networks that are
    /// no backbones.
    pub fn new(architecture: Architecture) -> Option<Self> {
        let facts = architecture.facts()?;
        if architecture == Architecture::FaceRes {
            return None;
        }
        let Layers { layers, classifier } = Layers::new(architecture);
        let layers: Vec<_> = layers.into_iter().map(StoredLayer::from).collect();
        let beside = layers.iter().flat_map(|layer| &layer.published);
        let mut unused: Vec<_> = beside.flat_map(|names| names.unused.clone()).collect();
        let classifier = classifier.as_ref();
        let end = classifier.map_or(&[][..], |classifier| classifier.unused);
        unused.extend(end.iter().map(|name| (*name).to_owned()));
        Some(Self {
            architecture,
            facts,
            layers,
            classifiers: classifier.map_or(&[], |classifier| classifier.published),
            unused,
            aliases: aliases(architecture),
        })
    }

    /// Canonical weights of either published form; classes are told from the number of outputs.
    pub(super) fn canonical(
        &self,
        published: &PublishedWeights,
        mut metadata: Metadata,
    ) -> Result<Weights, WeightsError> {
        metadata.classes.clear();
        let mut weights = match published {
            PublishedWeights::Named(named) => self.read_state_dict(&self.own_names(named))?,
            PublishedWeights::Graph {
                convolutions,
                operations,
                classifier,
                ..
            } => self.read_graph(convolutions, operations, classifier.as_ref())?,
        };
        match weights.get(Classifier::BIAS).map(|bias| bias.values.len()) {
            _ if self.architecture.describes_frames() => {}
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

    /// The state dict of the network alone, under the names of `layers`.
    fn own_names<'a>(&self, named: &'a Weights) -> Cow<'a, Weights> {
        let is_wrapped = named.iter().any(|(name, _)| name.starts_with(ENCODER));
        let alias = |name: &str| {
            self.aliases.iter().find_map(|(alias, own)| {
                let rest = name.strip_prefix(alias.as_str())?;
                (rest.is_empty() || rest.starts_with('.')).then(|| format!("{own}{rest}"))
            })
        };
        let has_aliases = named.iter().any(|(name, _)| alias(name).is_some());
        if !self.architecture.describes_frames() || !is_wrapped && !has_aliases {
            return Cow::Borrowed(named);
        }
        let mut own = Weights::default();
        for (name, tensor) in named.iter() {
            let inner = match is_wrapped {
                true => name.strip_prefix(ENCODER),
                false => Some(name),
            };
            if let Some(name) = inner {
                let name = alias(name).unwrap_or_else(|| name.to_owned());
                own.put(name, tensor.clone());
            }
        }
        Cow::Owned(own)
    }

    fn read_state_dict(&self, named: &Weights) -> Result<Weights, WeightsError> {
        let mut weights = Weights::default();
        let mut dict = Untaken {
            named,
            rest: named.iter().map(|(name, _)| name).collect(),
        };
        for layer in &self.layers {
            let outputs = &layer.shape[..1];
            let mut weight = dict
                .take(layer.published_name(), "weight", &layer.shape)?
                .to_vec();
            let mut bias = match layer.has_bias() {
                true => dict.take(layer.published_name(), "bias", outputs)?.to_vec(),
                false => vec![0.0; outputs[0]],
            };
            let names = layer.published.as_ref();
            if let Some(norm) = names.and_then(|names| names.batch_norm.as_ref()) {
                let mut take = |part| dict.take(&norm.name, part, outputs);
                let batch_norm = [
                    take("weight")?,
                    take("bias")?,
                    take("running_mean")?,
                    take("running_var")?,
                ];
                fold(&mut weight, &mut bias, batch_norm, norm.epsilon);
            }
            if let Some(name) = names.and_then(|names| names.scale.as_ref()) {
                apply_scale(&mut weight, &mut bias, dict.take_scale(name, outputs[0])?);
            }
            let slopes = layer
                .slopes()
                .map(|slopes| dict.take(slopes, "weight", outputs));
            layer.insert(&mut weights, weight, bias, slopes.transpose()?)?;
        }
        for name in self.classifiers {
            if let Some(weight) = named.get(&format!("{name}.weight")) {
                let outputs = weight.shape.first().copied().unwrap_or_default();
                dict.rest.remove(format!("{name}.weight").as_str());
                let bias = dict.take(name, "bias", &[outputs])?.to_vec();
                self.insert_classifier(&mut weights, weight, bias)?;
                break;
            }
        }
        self.expect_known(dict.rest)?;
        Ok(weights)
    }

    /// Confirms that the network does not use what is left of a state dict.
    fn expect_known(&self, rest: BTreeSet<&str>) -> Result<(), WeightsError> {
        let unexpected = rest.into_iter().find(|name| {
            let (layer, part) = name.rsplit_once('.').unwrap_or_default();
            part != "num_batches_tracked" && !self.unused.iter().any(|unused| unused == layer)
        });
        match unexpected {
            None => Ok(()),
            Some(name) => Err(WeightsError::Unexpected {
                name: name.to_owned(),
                architecture: self.facts.name.to_owned(),
            }),
        }
    }

    /// The parameters of a state dict without its classifier, convolutions with four axes: what a network to be trained
    /// begins with.
    pub fn unfolded(&self, named: &Weights) -> Result<Weights, WeightsError> {
        let named = self.own_names(named);
        let mut weights = Weights::default();
        let mut rest: BTreeSet<&str> = named.iter().map(|(name, _)| name).collect();
        for layer in &self.layers {
            for Parameter { name, shape, fill } in layer.parameters() {
                rest.remove(name.as_str());
                let values = match (fill, named.get(&name)) {
                    (ParameterFill::LayerScale, Some(tensor))
                        if tensor.values.len() == shape[0] =>
                    {
                        &tensor.values
                    }
                    _ => named.values(&name, &shape)?,
                };
                let shape = match fill {
                    ParameterFill::Random => layer.canonical_shape.clone(),
                    _ => shape,
                };
                weights.insert(name, shape, values.to_vec())?;
            }
        }
        for classifier in self.classifiers {
            for part in ["weight", "bias"] {
                rest.remove(format!("{classifier}.{part}").as_str());
            }
        }
        self.expect_known(rest)?;
        Ok(weights)
    }

    /// Every parameter and running statistic of the published layout but the classifier's.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter> {
        self.layers.iter().flat_map(StoredLayer::parameters)
    }

    fn read_graph(
        &self,
        convolutions: &[GraphConvolution],
        operations: &[GraphOperation],
        classifier: Option<&(WeightTensor, Option<WeightTensor>)>,
    ) -> Result<Weights, WeightsError> {
        let mut weights = Weights::default();
        let mut found = convolutions.iter();
        let mut operations = operations.iter();
        let mut index = 0;
        for layer in &self.layers {
            let outputs = layer.shape[0];
            let (weight, bias) = match layer.operation {
                Operation::Convolution { groups, stride } => {
                    let Some(convolution) = found.next() else {
                        break;
                    };
                    index += 1;
                    let described = format!(
                        "{} (convolution {index}, `{}` in the file)",
                        layer.name, convolution.name
                    );
                    graph_convolution(convolution, &layer.shape, groups, stride, &described)?
                }
                Operation::MatMul => {
                    let transposed = [layer.shape[1], outputs];
                    let values = next_operation(&mut operations, "MatMul", layer, &[&transposed])?;
                    let mut weight = Vec::with_capacity(values[0].len());
                    for output in 0..outputs {
                        weight.extend(values[0].iter().skip(output).step_by(outputs));
                    }
                    let part = &layer.shape[..1];
                    let batch_norm =
                        next_operation(&mut operations, "BatchNormalization", layer, &[part; 4])?;
                    let mut bias = vec![0.0; outputs];
                    let [gamma, beta, mean, variance] = batch_norm.as_slice() else {
                        unreachable!("as many as there are shapes")
                    };
                    let batch_norm = [*gamma, *beta, *mean, *variance];
                    fold(&mut weight, &mut bias, batch_norm, layer.epsilon());
                    (weight, bias)
                }
                Operation::Normalisation => {
                    return Err(malformed(format!(
                        "{} is read from a state dict only",
                        self.facts.name
                    )));
                }
            };
            let slopes = match layer.slopes() {
                None => None,
                Some(_) => {
                    let shape = [outputs, 1, 1];
                    Some(next_operation(&mut operations, "PRelu", layer, &[&shape])?[0])
                }
            };
            layer.insert(&mut weights, weight, bias, slopes)?;
        }
        let expected = self
            .layers
            .iter()
            .filter(|layer| layer.is_convolution())
            .count();
        if convolutions.len() != expected {
            return Err(malformed(format!(
                "{} convolutions, expected the {expected} of {}",
                convolutions.len(),
                self.facts.name
            )));
        }
        if let Some((weight, bias)) = classifier {
            let outputs = weight.shape.first().copied().unwrap_or_default();
            let bias = match bias {
                Some(bias) => {
                    expect_shape(bias, &[outputs], || Classifier::BIAS.to_owned())?.to_vec()
                }
                None => vec![0.0; outputs],
            };
            self.insert_classifier(&mut weights, weight, bias)?;
        }
        Ok(weights)
    }

    fn insert_classifier(
        &self,
        weights: &mut Weights,
        weight: &WeightTensor,
        bias: Vec<f32>,
    ) -> Result<(), WeightsError> {
        let shape = [bias.len(), self.facts.width];
        let weight = expect_shape(weight, &shape, || Classifier::WEIGHT.to_owned())?;
        weights.insert(Classifier::WEIGHT, shape.to_vec(), weight.to_vec())?;
        weights.insert(Classifier::BIAS, vec![bias.len()], bias)
    }
}

impl StoredLayer {
    fn is_convolution(&self) -> bool {
        matches!(self.operation, Operation::Convolution { .. })
    }
}

/// Parameters by name, and what nobody has taken.
struct Untaken<'a> {
    named: &'a Weights,
    rest: BTreeSet<&'a str>,
}

impl<'a> Untaken<'a> {
    fn take(
        &mut self,
        layer: &str,
        part: &str,
        shape: &[usize],
    ) -> Result<&'a [f32], WeightsError> {
        let name = format!("{layer}.{part}");
        self.rest.remove(name.as_str());
        self.named.values(&name, shape)
    }

    /// A layer scale: one number an output, in torchvision's ConvNeXt with two more axes of one.
    fn take_scale(&mut self, name: &str, outputs: usize) -> Result<&'a [f32], WeightsError> {
        self.rest.remove(name);
        let maps = [outputs, 1, 1];
        match self.named.get(name) {
            Some(tensor) if tensor.shape == maps => Ok(&tensor.values),
            _ => self.named.values(name, &maps[..1]),
        }
    }
}

fn graph_convolution(
    found: &GraphConvolution,
    shape: &[usize],
    groups: usize,
    stride: usize,
    described: &str,
) -> Result<(Vec<f32>, Vec<f32>), WeightsError> {
    let weight = expect_shape(&found.weight, shape, || format!("{described}.weight"))?;
    if found.groups != groups || found.strides != [stride; 2] {
        return Err(malformed(format!(
            "{described} has groups {} and strides {:?}, expected {groups} and {:?}",
            found.groups, found.strides, [stride; 2]
        )));
    }
    let bias = found.bias.as_ref().ok_or_else(|| WeightsError::Missing {
        name: format!("{described}.bias"),
        hint: " (batch norm must be folded)".to_owned(),
    })?;
    let bias = expect_shape(bias, &shape[..1], || format!("{described}.bias"))?;
    Ok((weight.to_vec(), bias.to_vec()))
}

/// The constants of the next operation, which must be of that kind.
fn next_operation<'a>(
    operations: &mut impl Iterator<Item = &'a GraphOperation>,
    operator: &str,
    layer: &StoredLayer,
    shapes: &[&[usize]],
) -> Result<Vec<&'a [f32]>, WeightsError> {
    let name = &layer.name;
    let found = operations
        .next()
        .ok_or_else(|| malformed(format!("no {operator} for {name}")))?;
    if found.operator != operator || found.constants.len() != shapes.len() {
        return Err(malformed(format!(
            "{} with {} constants, expected {operator} with {} for {name}",
            found.operator,
            found.constants.len(),
            shapes.len()
        )));
    }
    let constants = found.constants.iter().zip(shapes);
    constants
        .map(|(constant, shape)| expect_shape(constant, shape, || format!("{operator} of {name}")))
        .collect()
}

/// Folds `batch_norm` (gamma, beta, mean, variance of each output) into what comes before it.
fn fold(weight: &mut [f32], bias: &mut [f32], batch_norm: [&[f32]; 4], epsilon: f64) {
    let [gamma, beta, mean, variance] = batch_norm;
    let fan_in = weight.len() / gamma.len();
    let channels = weight.chunks_exact_mut(fan_in).zip(bias);
    for (channel, (weight, bias)) in channels.enumerate() {
        let scale = f64::from(gamma[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
        for weight in weight {
            *weight = narrow(f64::from(*weight) * scale);
        }
        let centred = f64::from(*bias) - f64::from(mean[channel]);
        *bias = narrow(f64::from(beta[channel]) + centred * scale);
    }
}

/// Multiplies each output.
fn apply_scale(weight: &mut [f32], bias: &mut [f32], scale: &[f32]) {
    let fan_in = weight.len() / scale.len();
    for ((weight, bias), scale) in weight.chunks_exact_mut(fan_in).zip(bias).zip(scale) {
        for weight in weight {
            *weight *= scale;
        }
        *bias *= scale;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "weights are stored as f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn malformed(reason: String) -> WeightsError {
    WeightsError::Malformed {
        format: "graph",
        reason,
    }
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
    use crate::architecture::EfficientNetConfig;

    #[test]
    fn folding_gives_what_batch_norm_gives() {
        let mut weight = [2.0, -4.0, 1.0, 3.0];
        let mut bias = [0.0, 1.0];
        let batch_norm: [&[f32]; 4] = [&[3.0, 1.0], &[0.5, 0.0], &[7.0, 1.0], &[0.249, 3.999]];
        fold(&mut weight, &mut bias, batch_norm, 1e-3);
        assert_eq!(weight, [12.0, -24.0, 0.5, 1.5]);
        assert_eq!(bias, [0.5 - 42.0, 0.0]);
    }

    #[test]
    fn a_graph_of_another_size_is_refused() {
        let graph = |convolutions| PublishedWeights::Graph {
            named: Weights::default(),
            convolutions,
            operations: Vec::new(),
            classifier: None,
        };
        let refusal = |weights: &PublishedWeights| {
            StateDict::new(Architecture::EfficientNet(EfficientNetConfig::B0))
                .expect("has a state dict")
                .canonical(weights, Metadata::default())
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
