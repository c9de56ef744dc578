//! ONNX models (protobuf).
//!
//! Exporters fold batch norm into the convolutions and then give the folded kernels numbers for names, so the
//! graph is read as well: the convolutions in graph order and the last dense layer. Field numbers are those of
//! `onnx.proto`; only what is needed is declared, unknown fields are skipped. Float constants come from
//! initializers and `Constant` nodes and are followed through `Identity` and `Cast`; integers are shapes and axes
//! and are left out.

mod count;

use std::collections::HashMap;

use prost::Message;

use crate::budget::Budget;
use crate::element::{Element, MAX_VALUES, decode_exactly, insert_finite, malformed, value_count};
use crate::error::WeightsError;
use crate::metadata::Metadata;
use crate::published::{GraphConvolution, GraphOperation, PublishedWeights};
use crate::weights::{WeightTensor, Weights};

const FORMAT: &str = "onnx";
/// Most names that a constant goes by before it is used: `Identity` and `Cast`, one after the other.
const MAX_ALIASES: usize = 32;
/// What [`GraphOperation`] can be.
const OPERATIONS: [&str; 3] = ["PRelu", "MatMul", "BatchNormalization"];

/// The parameters of an ONNX model, by name and in order of use.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxGraph {
    /// Float constants under their names in the file, shapes as in the file.
    pub named: Weights,
    /// All nodes in graph order.
    pub nodes: Vec<OnnxNode>,
    /// Convolutions in graph order.
    pub convolutions: Vec<GraphConvolution>,
    /// `PRelu`, `MatMul` and `BatchNormalization` with their constants, in graph order.
    pub operations: Vec<GraphOperation>,
    /// Weight `[outputs, inputs]` and bias `[outputs]` of the last `Gemm`.
    pub classifier: Option<(WeightTensor, Option<WeightTensor>)>,
}

/// One operation of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxNode {
    /// Name of the node; often empty or a number.
    pub name: String,
    /// `Conv`, `Gemm`, `Sigmoid`, ...
    pub operator: String,
    /// Names of the inputs; empty for one that is left out.
    pub inputs: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// Attributes by name.
    pub attributes: Vec<(String, OnnxAttribute)>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum OnnxAttribute {
    /// A number.
    Float(f32),
    /// A whole number.
    Integer(i64),
    /// A word.
    Text(String),
    /// Numbers.
    Floats(Vec<f32>),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// A tensor, a graph, or a list of those; constants are among the named weights.
    Other,
}

impl OnnxNode {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&OnnxAttribute> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    fn integer(&self, name: &str, default: i64) -> Result<i64, WeightsError> {
        match self.attribute(name) {
            None => Ok(default),
            Some(OnnxAttribute::Integer(value)) => Ok(*value),
            Some(_) => Err(self.wrong(name)),
        }
    }

    fn integers(&self, name: &str) -> Result<&[i64], WeightsError> {
        match self.attribute(name) {
            None => Ok(&[]),
            Some(OnnxAttribute::Integers(values)) => Ok(values),
            Some(_) => Err(self.wrong(name)),
        }
    }

    fn wrong(&self, attribute: &str) -> WeightsError {
        malformed(
            FORMAT,
            format!("{} has a wrong `{attribute}`", self.title()),
        )
    }

    /// Operator and first output, for messages.
    fn title(&self) -> String {
        format!(
            "{} `{}`",
            self.operator,
            self.outputs.first().map_or("", String::as_str)
        )
    }
}

impl From<OnnxGraph> for PublishedWeights {
    fn from(graph: OnnxGraph) -> Self {
        Self::Graph {
            named: graph.named,
            convolutions: graph.convolutions,
            operations: graph.operations,
            classifier: graph.classifier,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, tag = "2")]
    f: f32,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(bytes = "vec", tag = "4")]
    s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    t: Option<TensorProto>,
    #[prost(float, repeated, tag = "7")]
    floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    r#type: i32,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    /// Half-precision numbers that are not raw come as the low 16 bits of these.
    #[prost(int32, repeated, tag = "5")]
    int32_data: Vec<i32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
    #[prost(double, repeated, tag = "10")]
    double_data: Vec<f64>,
    /// 1 where the numbers lie in another file.
    #[prost(int32, tag = "14")]
    data_location: i32,
}

impl AttributeProto {
    /// Older exporters leave the type out; then the filled field tells.
    fn value(&self) -> OnnxAttribute {
        match self.r#type {
            1 => OnnxAttribute::Float(self.f),
            2 => OnnxAttribute::Integer(self.i),
            3 => OnnxAttribute::Text(String::from_utf8_lossy(&self.s).into_owned()),
            6 => OnnxAttribute::Floats(self.floats.clone()),
            7 => OnnxAttribute::Integers(self.ints.clone()),
            0 if !self.ints.is_empty() => OnnxAttribute::Integers(self.ints.clone()),
            0 if self.t.is_none() => OnnxAttribute::Integer(self.i),
            _ => OnnxAttribute::Other,
        }
    }
}

impl TensorProto {
    /// `None` for integers and the like.
    fn floats(&self, name: &str, budget: &Budget) -> Result<Option<WeightTensor>, WeightsError> {
        let element = match self.data_type {
            1 => Element::F32,
            10 => Element::F16,
            11 => Element::F64,
            16 => Element::Bf16,
            _ => return Ok(None),
        };
        if self.data_location != 0 {
            let what = format!("another file for weight `{name}`");
            return Err(WeightsError::Unsupported {
                format: FORMAT,
                what,
            });
        }
        let shape = self
            .dims
            .iter()
            .map(|&axis| {
                usize::try_from(axis)
                    .map_err(|_| malformed(FORMAT, format!("weight `{name}` has axis {axis}")))
            })
            .collect::<Result<Vec<_>, _>>()?;
        budget.take_values(name, value_count(FORMAT, name, &shape)?)?;
        let values = if self.raw_data.is_empty() {
            let values = self.unpacked(element);
            let expected = value_count(FORMAT, name, &shape)?;
            if values.len() != expected {
                let got = values.len();
                let reason = format!(
                    "weight `{name}` of shape {shape:?} has {got} values, expected {expected}"
                );
                return Err(malformed(FORMAT, reason));
            }
            values
        } else {
            decode_exactly(FORMAT, name, &shape, element, &self.raw_data)?
        };
        Ok(Some(WeightTensor { shape, values }))
    }

    fn unpacked(&self, element: Element) -> Vec<f32> {
        match element {
            Element::F32 => self.float_data.clone(),
            Element::F64 => {
                let bytes: Vec<u8> = self
                    .double_data
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                element.decode(&bytes)
            }
            Element::F16 | Element::Bf16 => {
                let low = |value: &i32| {
                    let [first, second, ..] = value.to_le_bytes();
                    [first, second]
                };
                let bytes: Vec<u8> = self.int32_data.iter().flat_map(low).collect();
                element.decode(&bytes)
            }
        }
    }
}

/// Reads a model.
///
/// # Errors
///
/// [`WeightsError::Malformed`] if the bytes are not a consistent model of finite numbers,
/// [`WeightsError::Unsupported`] for weights in other files, dilation, convolutions that are not two-dimensional,
/// and kernels that are not constants.
pub fn read_graph(bytes: &[u8]) -> Result<OnnxGraph, WeightsError> {
    let budget = Budget::of_file(FORMAT, bytes.len());
    count::count(bytes, &budget)?;
    let model = ModelProto::decode(bytes).map_err(|error| malformed(FORMAT, error.to_string()))?;
    let graph = model.graph.ok_or_else(|| malformed(FORMAT, "no graph"))?;
    let mut named = Weights::new(Metadata::default());
    let mut total = 0_usize;
    let mut add = |name: &str, tensor: &TensorProto| {
        let Some(tensor) = tensor.floats(name, &budget)? else {
            return Ok(());
        };
        total = total.saturating_add(tensor.values.len());
        if total > MAX_VALUES {
            return Err(malformed(FORMAT, format!("more than {MAX_VALUES} values")));
        }
        insert_finite(&mut named, FORMAT, name, tensor.shape, tensor.values)
    };
    for tensor in &graph.initializer {
        add(&tensor.name, tensor)?;
    }
    let mut same_as = HashMap::new();
    for node in &graph.node {
        match (
            node.op_type.as_str(),
            node.input.first(),
            node.output.first(),
        ) {
            ("Constant", _, Some(output)) => {
                let values = node
                    .attribute
                    .iter()
                    .filter(|attribute| attribute.name == "value");
                for tensor in values.filter_map(|attribute| attribute.t.as_ref()) {
                    add(output, tensor)?;
                }
            }
            // Exporters share equal constants through `Identity`, and half-precision files cast before use.
            ("Identity" | "Cast", Some(input), Some(output)) => {
                same_as.insert(output.clone(), input.clone());
            }
            _ => {}
        }
    }
    let nodes: Vec<_> = graph.node.into_iter().map(OnnxNode::from).collect();
    let constants = Constants {
        named,
        same_as,
        budget,
    };
    let convolutions = nodes
        .iter()
        .filter(|node| node.operator == "Conv")
        .map(|node| constants.convolution(node))
        .collect::<Result<_, _>>()?;
    let operations = nodes
        .iter()
        .filter(|node| OPERATIONS.contains(&node.operator.as_str()))
        .map(|node| constants.operation(node))
        .collect::<Result<_, _>>()?;
    let gemm = nodes.iter().rev().find(|node| node.operator == "Gemm");
    let classifier = gemm.map(|node| constants.dense(node)).transpose()?;
    Ok(OnnxGraph {
        named: constants.named,
        nodes,
        convolutions,
        operations,
        classifier,
    })
}

impl From<NodeProto> for OnnxNode {
    fn from(node: NodeProto) -> Self {
        let attributes = node
            .attribute
            .iter()
            .map(|attribute| (attribute.name.clone(), attribute.value()))
            .collect();
        Self {
            name: node.name,
            operator: node.op_type,
            inputs: node.input,
            outputs: node.output,
            attributes,
        }
    }
}

struct Constants {
    named: Weights,
    same_as: HashMap<String, String>,
    budget: Budget,
}

impl Constants {
    fn find(&self, name: &str) -> Option<&WeightTensor> {
        let mut name = name;
        // A circle ends here too.
        for _ in 0..=MAX_ALIASES {
            if let Some(tensor) = self.named.get(name) {
                return Some(tensor);
            }
            name = self.same_as.get(name)?;
        }
        None
    }

    /// The `place`th input of a node; `None` if it is left out.
    fn input(
        &self,
        node: &OnnxNode,
        place: usize,
    ) -> Result<Option<(String, &WeightTensor)>, WeightsError> {
        let Some(name) = node.inputs.get(place).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let tensor = self.find(name).ok_or_else(|| WeightsError::Unsupported {
            format: FORMAT,
            what: format!(
                "`{name}` in {}, which is not a float constant",
                node.title()
            ),
        })?;
        Ok(Some((name.clone(), tensor)))
    }

    fn bias(&self, node: &OnnxNode, outputs: usize) -> Result<Option<WeightTensor>, WeightsError> {
        let Some((name, bias)) = self.input(node, 2)? else {
            return Ok(None);
        };
        if bias.shape != [outputs] {
            return Err(WeightsError::Shape {
                name,
                expected: vec![outputs],
                got: bias.shape.clone(),
            });
        }
        self.copy(&name, bias).map(Some)
    }

    /// A copy of a constant; nodes can share one, so each copy counts.
    fn copy(&self, name: &str, constant: &WeightTensor) -> Result<WeightTensor, WeightsError> {
        self.budget.take_values(name, constant.values.len())?;
        Ok(constant.clone())
    }

    fn operation(&self, node: &OnnxNode) -> Result<GraphOperation, WeightsError> {
        let constants = node
            .inputs
            .iter()
            .filter_map(|name| Some((name, self.find(name)?)));
        let constants = constants.map(|(name, constant)| self.copy(name, constant));
        Ok(GraphOperation {
            operator: node.operator.clone(),
            constants: constants.collect::<Result<_, _>>()?,
        })
    }

    fn convolution(&self, node: &OnnxNode) -> Result<GraphConvolution, WeightsError> {
        let Some((name, weight)) = self.input(node, 1)? else {
            return Err(malformed(FORMAT, format!("{} has no kernel", node.title())));
        };
        let &[outputs, _, height, width] = weight.shape.as_slice() else {
            let what = format!(
                "a kernel of {} axes in {}",
                weight.shape.len(),
                node.title()
            );
            return Err(WeightsError::Unsupported {
                format: FORMAT,
                what,
            });
        };
        if weight.values.is_empty() {
            return Err(malformed(FORMAT, format!("weight `{name}` has no values")));
        }
        if node
            .integers("dilations")?
            .iter()
            .any(|&dilation| dilation != 1)
        {
            let what = format!("dilation in {}", node.title());
            return Err(WeightsError::Unsupported {
                format: FORMAT,
                what,
            });
        }
        let kernel = node.integers("kernel_shape")?;
        let expected = [height, width].map(|side| i64::try_from(side).unwrap_or(i64::MAX));
        if !kernel.is_empty() && kernel != expected {
            return Err(node.wrong("kernel_shape"));
        }
        let strides = match node.integers("strides")? {
            [] => [1, 1],
            &[vertical, horizontal] => [
                positive(node, "strides", vertical)?,
                positive(node, "strides", horizontal)?,
            ],
            _ => return Err(node.wrong("strides")),
        };
        let groups = positive(node, "group", node.integer("group", 1)?)?;
        if !outputs.is_multiple_of(groups) {
            return Err(node.wrong("group"));
        }
        let bias = self.bias(node, outputs)?;
        Ok(GraphConvolution {
            weight: self.copy(&name, weight)?,
            name,
            bias,
            groups,
            strides,
        })
    }

    fn dense(&self, node: &OnnxNode) -> Result<(WeightTensor, Option<WeightTensor>), WeightsError> {
        for scale in ["alpha", "beta"] {
            if !matches!(
                node.attribute(scale),
                None | Some(OnnxAttribute::Float(1.0))
            ) {
                let what = format!("`{scale}` in {}", node.title());
                return Err(WeightsError::Unsupported {
                    format: FORMAT,
                    what,
                });
            }
        }
        let Some((name, weight)) = self.input(node, 1)? else {
            return Err(malformed(FORMAT, format!("{} has no weight", node.title())));
        };
        let &[rows, columns] = weight.shape.as_slice() else {
            return Err(malformed(
                FORMAT,
                format!(
                    "weight `{name}` has {} axes, expected 2",
                    weight.shape.len()
                ),
            ));
        };
        if weight.values.is_empty() {
            return Err(malformed(FORMAT, format!("weight `{name}` has no values")));
        }
        self.budget.take_values(&name, weight.values.len())?;
        let weight = if node.integer("transB", 0)? == 0 {
            let values =
                (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
            let values = values.map(|index| weight.values[index]).collect();
            WeightTensor {
                shape: vec![columns, rows],
                values,
            }
        } else {
            weight.clone()
        };
        let bias = self.bias(node, weight.shape[0])?;
        Ok((weight, bias))
    }
}

fn positive(node: &OnnxNode, attribute: &str, value: i64) -> Result<usize, WeightsError> {
    usize::try_from(value)
        .ok()
        .filter(|&value| value > 0)
        .ok_or_else(|| node.wrong(attribute))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
        TensorProto {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: 1,
            raw_data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            ..TensorProto::default()
        }
    }

    fn node(
        operator: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) -> NodeProto {
        NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            op_type: operator.to_owned(),
            attribute,
            ..NodeProto::default()
        }
    }

    fn integers(name: &str, ints: &[i64]) -> AttributeProto {
        AttributeProto {
            name: name.to_owned(),
            ints: ints.to_vec(),
            r#type: 7,
            ..AttributeProto::default()
        }
    }

    fn integer(name: &str, i: i64) -> AttributeProto {
        AttributeProto {
            name: name.to_owned(),
            i,
            r#type: 2,
            ..AttributeProto::default()
        }
    }

    /// Two convolutions with numbers for names, the second in half precision behind a cast, and a classifier.
    fn graph() -> GraphProto {
        let half = TensorProto {
            data_type: 10,
            int32_data: [1.0_f32, 2.0]
                .map(|value| i32::from(half::f16::from_f32(value).to_bits()))
                .to_vec(),
            raw_data: vec![],
            ..tensor("half", &[2, 1, 1, 1], &[])
        };
        let constant = AttributeProto {
            name: "value".to_owned(),
            t: Some(TensorProto {
                float_data: vec![7.0, 8.0],
                raw_data: vec![],
                ..tensor("", &[2], &[])
            }),
            r#type: 4,
            ..AttributeProto::default()
        };
        GraphProto {
            node: vec![
                node(
                    "Conv",
                    &["input", "12"],
                    "a",
                    vec![
                        integers("strides", &[2, 1]),
                        integers("kernel_shape", &[1, 1]),
                    ],
                ),
                node("Constant", &[], "bias", vec![constant]),
                node("Cast", &["half"], "full", vec![]),
                node(
                    "Conv",
                    &["a", "full", "bias"],
                    "b",
                    vec![integer("group", 2)],
                ),
                node("Gemm", &["b", "w", "v"], "output", vec![]),
            ],
            initializer: vec![
                tensor("12", &[2, 3, 1, 1], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
                half,
                tensor("w", &[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
                tensor("v", &[3], &[0.0, 1.0, 2.0]),
                TensorProto {
                    data_type: 7,
                    ..tensor("axes", &[1], &[0.0, 0.0])
                },
            ],
        }
    }

    fn encode(graph: GraphProto) -> Vec<u8> {
        ModelProto { graph: Some(graph) }.encode_to_vec()
    }

    fn refusal(change: impl FnOnce(&mut GraphProto)) -> String {
        let mut graph = graph();
        change(&mut graph);
        read_graph(&encode(graph))
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn convolutions_come_in_graph_order_with_their_constants() {
        let graph = read_graph(&encode(graph())).expect("valid model");
        let [first, second] = graph.convolutions.as_slice() else {
            panic!("two convolutions")
        };
        assert_eq!(
            (first.name.as_str(), first.strides, first.groups),
            ("12", [2, 1], 1)
        );
        assert_eq!(first.weight.shape, [2, 3, 1, 1]);
        assert_eq!(first.bias, None);
        assert_eq!(
            (second.name.as_str(), second.strides, second.groups),
            ("full", [1, 1], 2)
        );
        assert_eq!(second.weight.values, [1.0, 2.0]);
        assert_eq!(
            second.bias,
            Some(WeightTensor {
                shape: vec![2],
                values: vec![7.0, 8.0]
            })
        );
        assert_eq!(graph.nodes.len(), 5);
        assert_eq!(graph.named.len(), 5);
    }

    #[test]
    fn the_classifier_has_one_row_a_class_whichever_way_it_is_stored() {
        let (weight, bias) = read_graph(&encode(graph()))
            .expect("valid model")
            .classifier
            .expect("a Gemm");
        assert_eq!(
            weight,
            WeightTensor {
                shape: vec![3, 2],
                values: vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
            }
        );
        assert_eq!(bias.expect("three values").values, [0.0, 1.0, 2.0]);
        let mut transposed = graph();
        transposed.node[4].attribute.push(integer("transB", 1));
        transposed.node[4].input.pop();
        let (weight, bias) = read_graph(&encode(transposed))
            .expect("valid model")
            .classifier
            .expect("a Gemm");
        assert_eq!(weight.shape, [2, 3]);
        assert_eq!(bias, None);
    }

    #[test]
    fn constants_that_make_no_sense_are_refused() {
        assert_eq!(
            refusal(|graph| graph.initializer[0].raw_data.truncate(23)),
            "onnx file is malformed: weight `12` of shape [2, 3, 1, 1] has 23 bytes, expected 24"
        );
        assert_eq!(
            refusal(|graph| graph.initializer[1].int32_data.truncate(1)),
            "onnx file is malformed: weight `half` of shape [2, 1, 1, 1] has 1 values, expected 2"
        );
        assert_eq!(
            refusal(|graph| graph.initializer[0].dims[0] = -2),
            "onnx file is malformed: weight `12` has axis -2"
        );
        assert_eq!(
            refusal(|graph| graph.initializer[0].dims[0] = i64::MAX),
            "onnx file is malformed: weight `12` of shape [9223372036854775807, 3, 1, 1] has too many values"
        );
        assert_eq!(
            refusal(|graph| graph.initializer[3] = tensor("v", &[3], &[0.0, f32::NAN, 0.0])),
            "onnx file is malformed: weight `v` is not finite at index 1"
        );
        assert_eq!(
            refusal(|graph| graph.initializer[3].name = "12".to_owned()),
            "onnx file is malformed: weight `12` occurs twice"
        );
        assert_eq!(
            refusal(|graph| graph.initializer[0].data_location = 1),
            "onnx file uses another file for weight `12`, which is not supported"
        );
    }

    #[test]
    fn nodes_that_do_not_fit_their_constants_are_refused() {
        assert_eq!(
            refusal(|graph| graph.node[0].input[1] = "other".to_owned()),
            "onnx file uses `other` in Conv `a`, which is not a float constant, which is not supported"
        );
        assert_eq!(
            refusal(|graph| graph.node[3].attribute[0].i = 0),
            "onnx file is malformed: Conv `b` has a wrong `group`"
        );
        assert_eq!(
            refusal(|graph| graph.node[0].attribute[1].ints = vec![3, 3]),
            "onnx file is malformed: Conv `a` has a wrong `kernel_shape`"
        );
        assert_eq!(
            refusal(|graph| graph.node[0].attribute.push(integers("dilations", &[2, 2]))),
            "onnx file uses dilation in Conv `a`, which is not supported"
        );
        assert_eq!(
            refusal(|graph| graph.initializer[3] = tensor("v", &[2], &[0.0, 1.0])),
            "weight `v` has shape [2], expected [3]"
        );
        assert_eq!(
            refusal(|graph| graph.initializer[0].dims = vec![2, 3]),
            "onnx file uses a kernel of 2 axes in Conv `a`, which is not supported"
        );
    }

    #[test]
    fn nodes_that_share_a_constant_cannot_fill_the_memory() {
        let most = "would take it beyond 67108864 bytes of memory, the most for its size";
        let values = vec![0.0; 1 << 14];
        let kernel = || tensor("w", &[128, 128, 1, 1], &values);
        // Copies of 64 kB, a thousand and some of them.
        let convolutions = GraphProto {
            node: vec![node("Conv", &["x", "w"], "y", vec![]); 1_100],
            initializer: vec![kernel()],
        };
        let product = GraphProto {
            node: vec![node("MatMul", &["w"; 1_100], "y", vec![])],
            initializer: vec![kernel()],
        };
        for graph in [convolutions, product] {
            let error = read_graph(&encode(graph)).expect_err("too much");
            assert!(error.to_string().contains(most), "{error}");
        }
    }

    #[test]
    fn a_weight_without_values_is_refused_at_once() {
        let axes = |dims: &[i64]| {
            let dims = dims.to_vec();
            refusal(move |graph| graph.initializer[2].dims = dims)
        };
        let endless = axes(&[0, 1 << 62]);
        assert!(endless.ends_with("has too many values"), "{endless}");
        let nothing = refusal(|graph| graph.initializer[2] = tensor("w", &[0, 3], &[]));
        assert_eq!(nothing, "onnx file is malformed: weight `w` has no values");
        let nothing = refusal(|graph| graph.initializer[0] = tensor("12", &[0, 3, 1, 1], &[]));
        assert_eq!(nothing, "onnx file is malformed: weight `12` has no values");
    }

    #[test]
    fn long_chains_of_identities_end() {
        let text = refusal(|graph| {
            graph.node[2].input[0] = "link 0".to_owned();
            for link in 0..100 {
                let names = [link, link + 1].map(|link: u32| format!("link {link}"));
                let [output, input] = names.each_ref().map(String::as_str);
                graph.node.push(node("Identity", &[input], output, vec![]));
            }
            graph.initializer[1].name = "link 100".to_owned();
        });
        assert!(text.contains("`full` in Conv `b`"), "{text}");
    }

    #[test]
    fn circles_of_identities_end() {
        let text = refusal(|graph| {
            graph.node[2].input[0] = "round".to_owned();
            graph
                .node
                .push(node("Identity", &["full"], "round", vec![]));
        });
        assert!(text.contains("`full` in Conv `b`"), "{text}");
    }

    #[test]
    fn bytes_without_a_graph_are_refused() {
        assert_eq!(
            read_graph(&[]).expect_err("nothing").to_string(),
            "onnx file is malformed: no graph"
        );
        let text = read_graph(b"not a model at all")
            .expect_err("text")
            .to_string();
        assert!(text.starts_with("onnx file is malformed: "), "{text}");
        let bytes = encode(graph());
        let text = read_graph(&bytes[..bytes.len() - 1])
            .expect_err("truncated")
            .to_string();
        assert!(text.starts_with("onnx file is malformed: "), "{text}");
    }

    proptest! {
        #[test]
        fn damaged_models_never_panic(cut in 0_usize..600, flips in prop::collection::vec((0_usize..600, any::<u8>()), 0..6)) {
            let mut bytes = encode(graph());
            for (index, mask) in flips {
                let index = index % bytes.len();
                bytes[index] ^= mask;
            }
            bytes.truncate(cut);
            let _ = read_graph(&bytes);
        }
    }
}
