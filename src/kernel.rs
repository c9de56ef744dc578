//! Networks in folded form and what carries them out.
//!
//! A [`Plan`] lists feature maps in NHWC order and the operations between them; a [`Network`] is a plan with its
//! parameters on a device: fused kernels on a GPU.

mod counters;
mod gpu;
mod plan;

use burn::tensor::{Device, Tensor};

pub use counters::Counters;
pub use gpu::KernelForm;
pub use plan::{Activation, Map, MapShape, Plan, Planner, Shortcut, Step, Weighted, Window};

use gpu::GpuNetwork;

/// A network on a device.
#[derive(Debug)]
pub struct Network {
    gpu: GpuNetwork,
    input: MapShape,
}

impl Network {
    /// Puts a plan's parameters on a device.
    pub fn new(plan: &Plan, device: &Device, form: KernelForm) -> Option<Self> {
        Some(Self {
            gpu: GpuNetwork::new(plan, device, form)?,
            input: plan.input(),
        })
    }

    /// Kernels of one forward pass.
    pub fn dispatches(&self) -> usize {
        self.gpu.dispatches()
    }

    /// Runs the network.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, height, width, channels]`
    /// - output: `[batch, values]`, the plan's outputs side by side, each in NHWC order
    ///
    /// # Panics
    ///
    /// If the input has another shape than the plan's.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        let [_, height, width, channels] = input.dims();
        let MapShape {
            height: h,
            width: w,
            channels: c,
        } = self.input;
        assert_eq!([height, width, channels], [h, w, c], "input of a network");
        self.gpu.forward(input)
    }
}
