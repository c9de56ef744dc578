//! Burn's GPU device as own kernels see it.

use std::fmt;

use burn::tensor::{Bytes, DType, Device, ExecutionError, Shape, Tensor};
use burn_cubecl::cubecl::{client::Client, server::Handle};
use burn_cubecl::{CubeBackend, CubeDevice, kernel::into_contiguous, tensor::CubeTensor};

use super::shader::Shader;

/// Device, queue and memory of Burn's tensors.
#[derive(Clone)]
pub(crate) struct Gpu {
    client: Client,
    device: CubeDevice,
}

/// Memory on the GPU.
#[derive(Clone, Debug)]
pub(crate) struct GpuBuffer(Handle);

impl Gpu {
    /// `None` if the device is no GPU, or one that carries gradients.
    pub(crate) fn of(device: &Device) -> Option<Self> {
        Self::holding(Tensor::<1>::empty([1], device))
    }

    /// The GPU that a tensor lies on; `None` as for [`of`](Self::of).
    pub(crate) fn holding<const D: usize>(tensor: Tensor<D>) -> Option<Self> {
        let tensor = tensor.try_into_primitive::<CubeBackend>().ok()?;
        Some(Self {
            client: tensor.client.clone(),
            device: tensor.device.clone(),
        })
    }

    /// Copies bytes to the GPU.
    pub(crate) fn upload(&self, bytes: Bytes) -> GpuBuffer {
        GpuBuffer(self.client.create(bytes))
    }

    /// Memory with nothing in it yet.
    pub(crate) fn empty(&self, bytes: usize) -> GpuBuffer {
        GpuBuffer(self.client.empty(bytes))
    }

    /// The f32 values of a tensor on this device.
    pub(crate) fn buffer<const D: usize>(&self, tensor: Tensor<D>) -> GpuBuffer {
        let tensor = tensor
            .try_into_primitive::<CubeBackend>()
            .expect("a tensor of this device");
        assert_eq!(tensor.dtype, DType::F32, "tensors for own kernels");
        if cfg!(target_family = "wasm") {
            assert!(tensor.is_contiguous(), "a page has no kernels for others");
            return GpuBuffer(tensor.handle);
        }
        GpuBuffer(into_contiguous(tensor).handle)
    }

    /// The f32 values in memory of the GPU.
    ///
    /// # Errors
    ///
    /// [`ExecutionError`] if a kernel failed or the device was lost.
    pub(crate) async fn read(&self, buffer: GpuBuffer) -> Result<Vec<f32>, ExecutionError> {
        let read = self.client.read_async(vec![buffer.0]).await;
        let read = read.map_err(|error| ExecutionError::with_context(error.to_string()))?;
        let (bytes, _) = read[0].as_chunks();
        Ok(bytes.iter().map(|it| f32::from_le_bytes(*it)).collect())
    }

    /// f32 values as a tensor.
    pub(crate) fn tensor<const D: usize>(&self, buffer: GpuBuffer, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_primitive::<CubeBackend>(CubeTensor::new_contiguous(
            self.client.clone(),
            self.device.clone(),
            Shape::new(shape),
            buffer.0,
            DType::F32,
        ))
    }

    /// Queues a shader; `numbers` are the fields of `launch`.
    pub(crate) fn launch(
        &self,
        shader: &Shader,
        reads: &[&GpuBuffer],
        output: &GpuBuffer,
        invocations: usize,
        numbers: &[usize],
    ) {
        let groups = invocations.div_ceil(shader.workgroup());
        self.launch_groups(shader, reads, output, groups, numbers);
    }

    /// Queues a shader whose number of groups is known.
    pub(super) fn launch_groups(
        &self,
        shader: &Shader,
        reads: &[&GpuBuffer],
        output: &GpuBuffer,
        groups: usize,
        numbers: &[usize],
    ) {
        let reads: Vec<&Handle> = reads.iter().map(|buffer| &buffer.0).collect();
        let numbers: Vec<u32> = numbers.iter().map(|&number| small(number)).collect();
        shader.launch(&self.client, &reads, &output.0, small(groups), &numbers);
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.device.fmt(formatter)
    }
}

/// A count of pixels, groups or pictures as shaders take it.
fn small(count: usize) -> u32 {
    u32::try_from(count).expect("pictures have fewer than 2^32 values")
}
