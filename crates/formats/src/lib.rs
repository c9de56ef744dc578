//! Networks for faces and frames as their publishers describe and store them.
//!
//! [`architecture`] describes each network once: its layers in the order in which they run, with the names that their
//! parameters have in canonical files and at the publisher. [`PublishedWeights`] reads ONNX, tflite, TensorFlow.js, torch
//! and safetensors files, [`canonical_weights`] brings them into canonical form ([`Weights`] with their [`Metadata`], stored
//! as safetensors), and [`fetch`] does both for the default weights of [`CATALOG`].
//!
//! In wasm there are descriptions and canonical files only.

pub mod architecture;
mod content;
mod element;
mod error;
pub mod label;
mod metadata;
mod published;
mod safetensors_file;
mod weights;

#[cfg(not(target_family = "wasm"))]
mod budget;
#[cfg(not(target_family = "wasm"))]
mod catalog;
#[cfg(not(target_family = "wasm"))]
mod command;
#[cfg(not(target_family = "wasm"))]
mod convert;
#[cfg(not(target_family = "wasm"))]
mod disk;
#[cfg(not(target_family = "wasm"))]
mod hexadecimal;
#[cfg(not(target_family = "wasm"))]
mod layout;
#[cfg(not(target_family = "wasm"))]
mod onnx;
#[cfg(not(target_family = "wasm"))]
mod open;
#[cfg(not(target_family = "wasm"))]
mod package;
#[cfg(not(target_family = "wasm"))]
mod seal;
#[cfg(not(target_family = "wasm"))]
mod tfjs;
#[cfg(not(target_family = "wasm"))]
mod tflite;
#[cfg(not(target_family = "wasm"))]
mod torch;
#[cfg(not(target_family = "wasm"))]
mod wrapper;

pub use error::WeightsError;
pub use metadata::{EMBEDDING, Metadata, Normalisation};
pub use published::{GraphConvolution, GraphOperation, PublishedWeights};
pub use safetensors_file::Precision;
pub use weights::{MAX_UNITS, WeightTensor, Weights, expect_units};

#[cfg(not(target_family = "wasm"))]
pub use {
    catalog::{
        CATALOG, CatalogEntry, FetchStep, Status, cache_dir, fetch, published_faceres, status,
        weights_path,
    },
    convert::{
        Parameter, ParameterFill, StateDict, TASK_MEMBERS, TaskMember, age_and_gender_from_tfjs,
        canonical_weights, faceres_from_tfjs,
    },
    disk::{expect_writable, sha256},
    onnx::{OnnxAttribute, OnnxGraph, OnnxNode, read_graph as read_onnx},
    open::file_sha256,
    package::{PublishedFile, Registry},
    tfjs::{from_tfjs, read_tfjs},
    tflite::{TfliteGraph, read_graph as read_tflite, read_task_member},
    torch::read_torch,
};
