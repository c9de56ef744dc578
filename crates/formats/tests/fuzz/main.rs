//! Readers of published files and of packages on damaged ones.

mod archives;
mod protobuf;

use std::fs;

use affectlens_formats::{
    Metadata, Normalisation, Precision, PublishedWeights, Weights, WeightsError, canonical_weights,
    from_tfjs, label::Expression, read_onnx, read_task_member, read_tflite, read_torch,
};
use affectlens_fuzz::{CountedMemory, Target};
use tempfile::NamedTempFile;

#[global_allocator]
static MEMORY: CountedMemory = CountedMemory;

const SMALL: &[u8] = include_bytes!("../../../../tests/goldens/weights/small.tflite");
const SPARSE: &[u8] = include_bytes!("../../../../tests/goldens/weights/sparse.tflite");
const ZIP: &[u8] = include_bytes!("../../../../tests/goldens/weights/zip.pth");
const LEGACY: &[u8] = include_bytes!("../../../../tests/goldens/weights/legacy.pth");
const NESTED: &[u8] = include_bytes!("../../../../tests/goldens/weights/nested.pth");
const MODEL: &[u8] = include_bytes!("../../../../tests/goldens/weights/model.pth");
const MODULE: &[u8] = include_bytes!("../../../../tests/goldens/weights/module.pt");

/// What pickles are made of.
const PICKLE_WORDS: [&[u8]; 14] = [
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ccollections\nOrderedDict\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch\nHalfStorage\n",
    b"state_dict",
    b"module.",
    b"Q(",
    b"J\xff\xff\xff\x7f",
    b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"h\x00",
    b"r\xff\xff\xff\xff",
    b"tR",
    b"((((((((",
    b".",
];

fn weights() -> Weights {
    let mut weights = Weights::new(Metadata {
        architecture: "mlp".to_owned(),
        input_side: Some(224),
        normalisation: Some(Normalisation {
            mean: [0.5; 3],
            std: [0.25; 3],
        }),
        classes: vec![Expression::Neutral, Expression::Happiness],
        licence: "MIT".to_owned(),
        source: "a test".to_owned(),
        ..Metadata::default()
    });
    for (name, shape) in [("net.0.weight", vec![2, 3]), ("net.0.bias", vec![2])] {
        let values = vec![0.5; shape.iter().product()];
        weights.insert(name, shape, values).expect("as many values");
    }
    weights
}

fn safetensors() -> [Vec<u8>; 2] {
    [Precision::Single, Precision::Half]
        .map(|precision| weights().to_safetensors(precision).expect("finite"))
}

/// What a file is read by that takes a path.
fn with_file<T>(bytes: &[u8], read: impl FnOnce(&std::path::Path) -> T) -> T {
    let file = NamedTempFile::new().expect("temporary file");
    fs::write(file.path(), bytes).expect("temporary file");
    read(file.path())
}

#[test]
fn fuzz_safetensors_files() {
    Target::new("safetensors", &safetensors())
        .words(&["F64", "BF16", "F8_E4M3", "I64", "__metadata__", "null"])
        .run(Weights::from_safetensors);
}

/// With a length that fits, so that what is damaged is read.
#[test]
fn fuzz_headers_of_safetensors_files() {
    let seeds = safetensors().map(|seed| seed[8..].to_vec());
    let words = [
        "\"data_offsets\":[0,0]",
        "\"shape\":[]",
        "\"dtype\":\"F32\"",
        "\"__metadata__\":{",
        "\"normalisation_mean\":\"[1,2]\"",
        "\"classes\":\"[]\"",
        "[[[[[[[[",
        "}",
        ",",
    ];
    Target::new("safetensors header", &seeds)
        .words(&words)
        .run(|bytes| {
            let end = bytes.iter().rposition(|&byte| byte == b'}');
            let length = end.map_or(0, |end| end + 1) as u64;
            Weights::from_safetensors(&[&length.to_le_bytes(), bytes].concat())
        });
}

#[test]
fn fuzz_onnx_models() {
    let words = [
        "Conv",
        "Gemm",
        "Identity",
        "Cast",
        "Constant",
        "PRelu",
        "MatMul",
        "BatchNormalization",
        "strides",
        "group",
        "dilations",
        "kernel_shape",
        "alpha",
        "transB",
        "value",
        "\x0a\x02",
        "\x12\x00",
    ];
    Target::new("onnx", &[protobuf::model()])
        .words(&words)
        .run(|bytes| converted(read_onnx(bytes)?.into()));
}

#[test]
fn fuzz_tflite_models() {
    Target::new("tflite", &[SMALL, SPARSE])
        .words(&["TFL3", "\0\0\0\0", "\x01\0\0\0"])
        .run(|bytes| converted(read_tflite(bytes)?.into()));
}

/// What is done with a file after it is read.
fn converted(published: PublishedWeights) -> Result<(), WeightsError> {
    published.name_convolutions("a network", &[])?;
    canonical_weights("emotieffnet-b0", &published)?;
    Ok(())
}

#[test]
fn fuzz_task_archives() {
    Target::new("task", &[archives::zip(&[("a.tflite", SMALL)], true)])
        .words(&["PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "PK\x06\x06"])
        .run(|bytes| read_tflite(&read_task_member(bytes, "a.tflite")?));
}

/// `model.json`, a zero, and the bytes that each shard begins with.
#[test]
fn fuzz_tfjs_models() {
    let json = r#"{"weightsManifest": [
        {"paths": ["a.bin"], "weights": [
            {"name": "a", "shape": [2], "dtype": "float32"},
            {"name": "b", "shape": [], "dtype": "float32", "quantization": {"dtype": "float16"}},
            {"name": "c", "shape": [1], "dtype": "int32"}]},
        {"paths": ["b.bin", "c.bin"], "weights": [
            {"name": "d", "shape": [1, 2], "dtype": "float32",
             "quantization": {"dtype": "uint8", "scale": 2.0, "min": 1.0}},
            {"name": "e", "shape": [1], "dtype": "bool"}]}]}"#;
    let seed = [json.as_bytes(), &[0; 15]].concat();
    let words = ["uint16", "\"..\"", "null", "[[[[[[[[", "\"c.bin\",", "1e39"];
    Target::new("tfjs", &[seed]).words(&words).run(|bytes| {
        let end = bytes.iter().position(|&byte| byte == 0);
        let (json, shards) = bytes.split_at(end.unwrap_or(bytes.len()));
        from_tfjs(json, |name| {
            let length = if name == "a.bin" { 14 } else { 3 };
            Ok(shards.iter().copied().skip(1).take(length).collect())
        })
    });
}

#[test]
fn fuzz_torch_checkpoints() {
    Target::new("torch", &[ZIP, LEGACY, NESTED, MODEL, MODULE])
        .words(&PICKLE_WORDS)
        .run(|bytes| with_file(bytes, read_torch));
}

/// The pickle alone is damaged, and what holds it is whole.
#[test]
fn fuzz_pickles_in_torch_checkpoints() {
    for (name, checkpoint) in [("pickle", ZIP), ("pickle of a module", MODULE)] {
        let members = archives::members(checkpoint);
        let is_pickle = |name: &str| name.ends_with("data.pkl");
        let pickle = members.iter().find(|(name, _)| is_pickle(name));
        let (_, pickle) = pickle.expect("a checkpoint has one");
        Target::new(name, &[pickle])
            .words(&PICKLE_WORDS)
            .run(|bytes| {
                let members: Vec<(&str, &[u8])> = members
                    .iter()
                    .map(|(name, member)| match is_pickle(name) {
                        true => (name.as_str(), bytes),
                        false => (name.as_str(), member.as_slice()),
                    })
                    .collect();
                with_file(&archives::zip(&members, false), read_torch)
            });
    }
}

/// Whatever a file's name promises.
#[test]
fn fuzz_files_of_unknown_formats() {
    let [safetensors, _] = safetensors();
    let seeds = [
        &safetensors[..],
        &protobuf::model()[..],
        SMALL,
        ZIP,
        LEGACY,
        b"{\"weightsManifest\": []}",
        b"version https://git-lfs.github.com/spec/v1",
        b"<html><body>Sign in",
    ];
    Target::new("any format", &seeds).run(|bytes| with_file(bytes, PublishedWeights::read));
}
