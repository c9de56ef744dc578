//! Brings published weights into canonical form.
//!
//! State dicts have batch norm beside each convolution; EmotiEffLib's ONNX files have it folded, but their tensors
//! have numbers for names, so there the order of the graph says which is which.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::aliases::aliases;
use super::folding::{apply_scale, fold};
use super::graph::{expect_shape, read_graph};
use super::stored::{Parameter, ParameterFill, StoredLayer};
use crate::architecture::{Architecture, Classifier, Facts, Layers};
use crate::element::malformed;
use crate::error::WeightsError;
use crate::label::{AFFECTNET_7, AFFECTNET_8};
use crate::metadata::Metadata;
use crate::published::PublishedWeights;
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

impl StateDict {
    /// The layout of a backbone; none for `faceres`, which is published as a graph of its own, for the network that was
    /// trained from it, and for networks that are no backbones.
    pub fn new(architecture: Architecture) -> Option<Self> {
        let facts = architecture.facts()?;
        if matches!(architecture, Architecture::MobileNetV1(_)) {
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
            PublishedWeights::Named(named) => {
                let named = self.own_names(named)?;
                self.read_state_dict(&named)?
            }
            PublishedWeights::Graph {
                named,
                convolutions,
                operations,
                classifier,
            } => {
                let name = self.facts.name;
                let mut weights = read_graph(name, &self.layers, named, convolutions, operations)?;
                if let Some((weight, bias)) = classifier {
                    self.insert_graph_classifier(&mut weights, weight, bias.as_ref())?;
                }
                weights
            }
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
    fn own_names<'a>(&self, named: &'a Weights) -> Result<Cow<'a, Weights>, WeightsError> {
        let prefix = self.prefix(named)?;
        let has_aliases = named.iter().any(|(name, _)| self.alias(name).is_some());
        if prefix.is_empty() && !has_aliases {
            return Ok(Cow::Borrowed(named));
        }
        let mut own = Weights::default();
        for (name, tensor) in named.iter() {
            if let Some(name) = name.strip_prefix(prefix) {
                let name = self.alias(name).unwrap_or_else(|| name.to_owned());
                own.put(name, tensor.clone());
            }
        }
        Ok(Cow::Owned(own))
    }

    /// The name in `layers` of what another publisher names differently.
    fn alias(&self, name: &str) -> Option<String> {
        self.aliases.iter().find_map(|(alias, own)| {
            let rest = name.strip_prefix(alias.as_str())?;
            (rest.is_empty() || rest.starts_with('.')).then(|| format!("{own}{rest}"))
        })
    }

    /// What stands before the names of the network's parameters: nothing, or where a larger network keeps it, such as
    /// `encoder.` in violence detectors, whose other parameters belong to the head.
    fn prefix<'a>(&self, named: &'a Weights) -> Result<&'a str, WeightsError> {
        let known: BTreeSet<String> = self
            .layers
            .iter()
            .map(StoredLayer::published_weight)
            .collect();
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, _) in named.iter() {
            let dots = name.match_indices('.').map(|(place, _)| place + 1);
            for place in [0].into_iter().chain(dots) {
                let (prefix, name) = name.split_at(place);
                let name = self.alias(name).map_or(Cow::Borrowed(name), Cow::Owned);
                if known.contains(&*name) {
                    *found.entry(prefix).or_default() += 1;
                }
            }
        }
        // The shortest of those that have most of the layers; those of another network are nowhere.
        let best = found
            .iter()
            .filter(|(_, count)| **count * 2 >= known.len())
            .max_by_key(|(prefix, count)| (**count, Reverse(prefix.len())));
        let Some((&best, count)) = best else {
            return Ok("");
        };
        let mut others = found.iter().filter(|(prefix, _)| **prefix != best);
        match others.find(|(_, other)| *other == count && !best.is_empty()) {
            Some((other, _)) => {
                let places = format!("under `{best}` and under `{other}`");
                Err(malformed(
                    "weights",
                    format!("the network is there {places}, expected one"),
                ))
            }
            None => Ok(best),
        }
    }

    fn read_state_dict(&self, named: &Weights) -> Result<Weights, WeightsError> {
        let mut weights = Weights::default();
        let mut dict = Untaken {
            named,
            rest: named.iter().map(|(name, _)| name).collect(),
        };
        for layer in &self.layers {
            let outputs = &layer.shape[..1];
            let mut weight = dict.take(layer.published_weight(), &layer.shape)?.to_vec();
            let mut bias = match layer.published_bias() {
                Some(name) => dict.take(name, outputs)?.to_vec(),
                None => vec![0.0; outputs[0]],
            };
            if let Some(norm) = layer.batch_norm() {
                let mut take = |part| dict.take(format!("{}.{part}", norm.name), outputs);
                let batch_norm = [
                    take("weight")?,
                    take("bias")?,
                    take("running_mean")?,
                    take("running_var")?,
                ];
                fold(&mut weight, &mut bias, batch_norm, norm.epsilon);
            }
            if let Some(name) = layer.scale() {
                apply_scale(&mut weight, &mut bias, dict.take_scale(name, outputs[0])?);
            }
            let slopes = layer
                .slopes()
                .map(|slopes| dict.take(format!("{slopes}.weight"), outputs));
            layer.insert(&mut weights, weight, bias, slopes.transpose()?)?;
        }
        for name in self.classifiers {
            if let Some(weight) = named.get(&format!("{name}.weight")) {
                let outputs = weight.shape.first().copied().unwrap_or_default();
                dict.rest.remove(format!("{name}.weight").as_str());
                let bias = dict.take(format!("{name}.bias"), &[outputs])?.to_vec();
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
            let is_unused = |unused: &String| unused == layer || unused == name;
            part != "num_batches_tracked" && !self.unused.iter().any(is_unused)
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
        let named = self.own_names(named)?;
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

    fn insert_graph_classifier(
        &self,
        weights: &mut Weights,
        weight: &WeightTensor,
        bias: Option<&WeightTensor>,
    ) -> Result<(), WeightsError> {
        let outputs = weight.shape.first().copied().unwrap_or_default();
        let bias = match bias {
            Some(bias) => expect_shape(bias, &[outputs], || Classifier::BIAS.to_owned())?.to_vec(),
            None => vec![0.0; outputs],
        };
        self.insert_classifier(weights, weight, bias)
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

/// Parameters by name, and what nobody has taken.
struct Untaken<'a> {
    named: &'a Weights,
    rest: BTreeSet<&'a str>,
}

impl<'a> Untaken<'a> {
    fn take(&mut self, name: String, shape: &[usize]) -> Result<&'a [f32], WeightsError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{EfficientNetConfig, ResNetConfig};
    use crate::published::GraphConvolution;

    /// ResNet-18 as it is before training, each name with a prefix.
    fn resnet(prefix: &str) -> Weights {
        let layout = StateDict::new(Architecture::ResNet(ResNetConfig::RESNET_18))
            .expect("has a state dict");
        let mut weights = Weights::default();
        for (Parameter { name, shape, .. }, number) in layout.parameters().zip(1_u8..) {
            let values = vec![f32::from(number); shape.iter().product()];
            weights
                .insert(format!("{prefix}{name}"), shape, values)
                .expect("as many values");
        }
        weights
    }

    fn canonical(weights: Weights) -> Result<Weights, String> {
        StateDict::new(Architecture::ResNet(ResNetConfig::RESNET_18))
            .expect("has a state dict")
            .canonical(&PublishedWeights::Named(weights), Metadata::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_network_within_another_is_found_by_its_layers() {
        let plain = canonical(resnet("")).expect("is whole");
        for prefix in ["encoder.", "backbone.", "student.trunk."] {
            let mut weights = resnet(prefix);
            weights
                .insert("head.weight", vec![1], vec![1.0])
                .expect("one value");
            assert!(canonical(weights) == Ok(plain.clone()), "{prefix}");
        }
        let mut twice = resnet("student.");
        for (name, tensor) in resnet("teacher.").iter() {
            twice.put(name.to_owned(), tensor.clone());
        }
        assert_eq!(
            canonical(twice).expect_err("which one?"),
            "weights file is malformed: the network is there under `teacher.` and under `student.`, expected one"
        );
        // On its own nothing is left aside.
        let mut weights = resnet("");
        weights
            .insert("aux.weight", vec![1], vec![1.0])
            .expect("one value");
        let error = canonical(weights).expect_err("an unknown layer");
        assert_eq!(error, "weight `aux.weight` does not belong to resnet18");
    }

    #[test]
    fn a_missing_parameter_is_named_wherever_the_network_is() {
        for prefix in ["", "encoder."] {
            let mut weights = resnet(prefix);
            weights.remove(&format!("{prefix}conv1.weight"));
            let error = canonical(weights).expect_err("a parameter is missing");
            assert!(
                error.starts_with("weight `conv1.weight` is missing"),
                "{error}"
            );
        }
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
