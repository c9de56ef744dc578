//! Named tensors with the facts that travel with them, and parameters on a device.
//!
//! Reading, conversion and fetching are those of the crate `affectlens-formats`.

use burn::tensor::{Device, Tensor, TensorData};

#[cfg(not(target_family = "wasm"))]
pub use affectlens_formats::{
    CATALOG, CatalogEntry, FetchStep, OnnxAttribute, OnnxGraph, OnnxNode, PublishedFile, Registry,
    Status, TASK_MEMBERS, TaskMember, TfliteGraph, age_and_gender_from_tfjs, cache_dir,
    expect_writable, faceres_from_tfjs, fetch, file_sha256, from_tfjs, published_faceres,
    read_onnx, read_task_member, read_tfjs, read_tflite, read_torch, sha256, status, weights_path,
};
pub use affectlens_formats::{
    EMBEDDING, GraphConvolution, GraphOperation, MAX_UNITS, Metadata, Normalisation, Precision,
    PublishedWeights, WeightTensor, Weights, WeightsError, expect_units,
};

/// Named tensors as tensors of Burn.
pub trait OnDevice {
    /// A parameter as a tensor on `device`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`] or [`WeightsError::Shape`].
    fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, WeightsError>;
}

impl OnDevice for Weights {
    fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, WeightsError> {
        let values = self.values(name, &shape)?.to_vec();
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}
