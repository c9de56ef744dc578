//! Graphs whose tensors have numbers for names: the order of the operations says which layer is which.

use super::folding::fold;
use super::stored::{Operation, StoredLayer};
use crate::error::WeightsError;
use crate::published::{GraphConvolution, GraphOperation};
use crate::weights::{WeightTensor, Weights};

/// Canonical weights of the layers of a graph, whose order says which is which. What exporters do not change keeps its name:
/// biases of fully connected layers, and layer norms.
pub(super) fn read_graph(
    network: &str,
    layers: &[StoredLayer],
    named: &Weights,
    convolutions: &[GraphConvolution],
    operations: &[GraphOperation],
) -> Result<Weights, WeightsError> {
    if layers.iter().any(|layer| layer.scale().is_some()) {
        return Err(malformed(format!(
            "{network} is read from a state dict only"
        )));
    }
    let mut weights = Weights::default();
    let mut found = convolutions.iter();
    // Attention multiplies what it computes.
    let mut operations = operations
        .iter()
        .filter(|it| it.operator != "MatMul" || !it.constants.is_empty());
    let mut index = 0;
    for layer in layers {
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
                graph_convolution(convolution, layer, groups, stride, &described)?
            }
            Operation::MatMul => {
                let mut weight = next_matrix(&mut operations, layer)?;
                let part = &layer.shape[..1];
                let batch_norm =
                    next_operation(&mut operations, "BatchNormalization", layer, &[part; 4])?;
                let mut bias = vec![0.0; outputs];
                let [gamma, beta, mean, variance] = batch_norm.as_slice() else {
                    unreachable!("as many as there are shapes")
                };
                let batch_norm = [*gamma, *beta, *mean, *variance];
                let epsilon = layer.batch_norm().map_or(0.0, |norm| norm.epsilon);
                fold(&mut weight, &mut bias, batch_norm, epsilon);
                (weight, bias)
            }
            Operation::Dense => {
                let bias = format!("{}.bias", layer.published_name());
                let bias = named.values(&bias, &layer.shape[..1])?;
                (next_matrix(&mut operations, layer)?, bias.to_vec())
            }
            Operation::Normalisation => {
                let values = |part| {
                    let name = format!("{}.{part}", layer.published_name());
                    named.values(&name, &layer.shape).map(<[f32]>::to_vec)
                };
                (values("weight")?, values("bias")?)
            }
            Operation::Table => {
                let values = named.values(&layer.name, &layer.shape)?;
                (values.to_vec(), Vec::new())
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
    let is_convolution =
        |layer: &&StoredLayer| matches!(layer.operation, Operation::Convolution { .. });
    let expected = layers.iter().filter(is_convolution).count();
    if convolutions.len() != expected {
        return Err(malformed(format!(
            "{} convolutions, expected the {expected} of {}",
            convolutions.len(),
            network
        )));
    }
    Ok(weights)
}

fn graph_convolution(
    found: &GraphConvolution,
    layer: &StoredLayer,
    groups: usize,
    stride: usize,
    described: &str,
) -> Result<(Vec<f32>, Vec<f32>), WeightsError> {
    let shape = &layer.shape;
    let weight = expect_shape(&found.weight, shape, || format!("{described}.weight"))?;
    if found.groups != groups || found.strides != [stride; 2] {
        return Err(malformed(format!(
            "{described} has groups {} and strides {:?}, expected {groups} and {:?}",
            found.groups, found.strides, [stride; 2]
        )));
    }
    let bias = match &found.bias {
        Some(bias) => expect_shape(bias, &shape[..1], || format!("{described}.bias"))?.to_vec(),
        None if layer.published_bias().is_none() && layer.batch_norm().is_none() => {
            vec![0.0; shape[0]]
        }
        None => {
            return Err(WeightsError::Missing {
                name: format!("{described}.bias"),
                hint: " (batch norm must be folded)".to_owned(),
            });
        }
    };
    Ok((weight.to_vec(), bias))
}

/// The weight of the next fully connected layer, which graphs have as `[inputs, outputs]`, as `[outputs, inputs]`.
fn next_matrix<'a>(
    operations: &mut impl Iterator<Item = &'a GraphOperation>,
    layer: &StoredLayer,
) -> Result<Vec<f32>, WeightsError> {
    let [outputs, inputs] = [layer.shape[0], layer.shape[1]];
    let values = next_operation(operations, "MatMul", layer, &[&[inputs, outputs]])?;
    let columns = (0..outputs).flat_map(|it| values[0].iter().skip(it).step_by(outputs));
    Ok(columns.copied().collect())
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

fn malformed(reason: String) -> WeightsError {
    WeightsError::Malformed {
        format: "graph",
        reason,
    }
}

/// The values of a tensor of that shape.
pub(super) fn expect_shape<'a>(
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
