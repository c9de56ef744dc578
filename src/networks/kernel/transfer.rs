//! From the host to a device, and back.
//!
//! Burn's own ways convert between all kinds of numbers and bring tensors of any layout into order, with kernels that a page
//! would have to load. Networks have f32 in order.

use burn::backend::{Flex, flex::FlexTensor};
use burn::tensor::{Bytes, Device, ExecutionError, Tensor, TensorData};

use super::counters;
use super::gpu::Gpu;

/// Puts values on a device without gradients, in the order of a tensor of this shape.
///
/// # Panics
///
/// If there are more or fewer values.
pub(crate) fn on_device<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    match Gpu::of(device) {
        Some(gpu) => {
            assert_eq!(
                values.len(),
                shape.iter().product::<usize>(),
                "values of a tensor"
            );
            gpu.tensor(gpu.upload(Bytes::from_elems(values)), shape)
        }
        None => {
            let values = FlexTensor::from_data(TensorData::new(values, shape));
            Tensor::from_primitive::<Flex>(values)
        }
    }
}

/// Fetches results from their device in one read: on a GPU, the read itself costs far more than its bytes.
///
/// # Errors
///
/// [`ExecutionError`] if a kernel failed or the device was lost.
///
/// # Panics
///
/// If the tensors lie on different devices, or are no f32.
pub async fn read_back(tensors: Vec<Tensor<2>>) -> Result<Vec<Vec<f32>>, ExecutionError> {
    let Some(gpu) = tensors.first().cloned().and_then(Gpu::holding) else {
        return Ok(tensors.into_iter().map(|it| values(on_host(it))).collect());
    };
    let sizes: Vec<usize> = tensors
        .iter()
        .map(|tensor| tensor.dims().iter().product())
        .collect();
    let read = gpu.read(gpu.join(tensors)).await?;
    counters::count_read_back(size_of_val(read.as_slice()));
    let mut rest = read.as_slice();
    Ok(sizes
        .into_iter()
        .map(|size| {
            let (part, after) = rest.split_at(size);
            rest = after;
            part.to_vec()
        })
        .collect())
}

/// The data of a tensor that lies on the CPU.
///
/// # Panics
///
/// If it does not.
pub(crate) fn on_host<const D: usize>(tensor: Tensor<D>) -> TensorData {
    let tensor = tensor.try_into_primitive::<Flex>();
    tensor.expect("a tensor on the CPU").into_data()
}

fn values(data: TensorData) -> Vec<f32> {
    data.try_into_vec().expect("networks compute in f32")
}
