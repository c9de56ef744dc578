//! A small ONNX model, written field by field.

/// A field of bytes: strings, messages, packed numbers.
fn bytes(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![(tag << 3) | 2];
    let mut length = content.len();
    while length >= 128 {
        field.push((length % 128 + 128).to_le_bytes()[0]);
        length /= 128;
    }
    field.push(length.to_le_bytes()[0]);
    field.extend(content);
    field
}

/// A field of a number below 128.
fn number(tag: u8, value: u8) -> Vec<u8> {
    vec![tag << 3, value]
}

fn tensor(name: &str, shape: &[u8], kind: u8, size: usize) -> Vec<u8> {
    let count: usize = shape.iter().map(|&axis| usize::from(axis)).product();
    let raw = [0, 0, 0, 60].repeat(count);
    [
        bytes(1, shape),
        number(2, kind),
        bytes(8, name.as_bytes()),
        bytes(9, &raw[..count * size]),
    ]
    .concat()
}

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut node: Vec<u8> = inputs
        .iter()
        .flat_map(|input| bytes(1, input.as_bytes()))
        .collect();
    node.extend(bytes(2, output.as_bytes()));
    node.extend(bytes(4, operator.as_bytes()));
    node.extend(attributes.iter().flat_map(|attribute| bytes(5, attribute)));
    node
}

fn integers(name: &str, values: &[u8]) -> Vec<u8> {
    [bytes(1, name.as_bytes()), bytes(8, values), vec![160, 1, 7]].concat()
}

/// Convolutions, one of them in half precision behind a cast, an activation with slopes, and a classifier.
pub(crate) fn model() -> Vec<u8> {
    let value = tensor("", &[2], 1, 4);
    let value = [bytes(1, b"value"), bytes(5, &value), vec![160, 1, 4]].concat();
    let group = [bytes(1, b"group"), number(3, 2), vec![160, 1, 2]].concat();
    let shape = [
        integers("strides", &[2, 1]),
        integers("kernel_shape", &[1, 1]),
    ];
    let nodes = [
        node("Conv", &["input", "12"], "a", &shape),
        node("Constant", &[], "bias", &[value]),
        node("Cast", &["half"], "full", &[]),
        node("Identity", &["full"], "same", &[]),
        node("Conv", &["a", "same", "bias"], "b", &[group]),
        node("PRelu", &["b", "bias"], "c", &[]),
        node("MatMul", &["c", "w"], "d", &[]),
        node("Gemm", &["d", "w", "v"], "output", &[]),
    ];
    let tensors = [
        tensor("12", &[2, 3, 1, 1], 1, 4),
        tensor("half", &[2, 1, 1, 1], 10, 2),
        tensor("w", &[2, 3], 1, 4),
        tensor("v", &[3], 1, 4),
    ];
    let graph: Vec<u8> = nodes
        .iter()
        .flat_map(|node| bytes(1, node))
        .chain(tensors.iter().flat_map(|tensor| bytes(5, tensor)))
        .collect();
    bytes(7, &graph)
}

#[test]
fn the_seed_is_a_model() {
    let graph = affectlens_formats::read_onnx(&model()).expect("valid model");
    assert_eq!((graph.convolutions.len(), graph.operations.len()), (2, 2));
    assert!(graph.classifier.is_some());
}
