//! Networks in folded form, and what runs them.
//!
//! A [`Plan`], the graph of `affectlens-cpu`, lists feature maps in NHWC order and the steps between them; a [`Network`]
//! is a plan with its parameters on a device: fused WGSL kernels on a GPU, SIMD loops on the CPU.

mod counters;
mod cpu;
mod gpu;
mod shares;
mod transfer;
mod tuning;

use std::{borrow::Cow, ops::Range};

use burn::tensor::Tensor;

pub use affectlens_cpu::{
    Activation, Clip, CompileError, LineSums, Map, MapShape, Plan, Planner, ScoreBias, Sequence,
    Shortcut, Span, Step, Weighted, Window,
};
pub use counters::Counters;
pub(crate) use shares::linear_shares;
pub use transfer::read_back;
pub(crate) use transfer::{on_device, on_host};
pub use tuning::tuned;

pub(crate) use gpu::{Element, Gpu, GpuBuffer, Shader, ShaderBuilder};

use crate::device::{DeviceKind, OpenedDevice};
use cpu::CpuNetwork;
use gpu::GpuNetwork;

/// A network on a device.
#[derive(Debug)]
pub struct Network {
    executor: Executor,
    input: MapShape,
    outputs: Vec<Range<usize>>,
}

#[derive(Debug)]
enum Executor {
    Cpu(CpuNetwork),
    Gpu(GpuNetwork),
}

impl Network {
    /// Puts the parameters of a plan whose sizes are known to fit on a device.
    ///
    /// # Panics
    ///
    /// For a plan that [`build`](Self::build) refuses.
    pub fn new<'a>(plan: impl Into<Cow<'a, Plan>>, device: &OpenedDevice) -> Self {
        Self::build(plan, device).expect("loops for every step of a plan")
    }

    /// Puts a plan's parameters on a device. A plan may have sizes that a file decides. One that is handed over is dropped
    /// bit by bit as its parameters are packed: a page's memory never shrinks.
    ///
    /// # Errors
    ///
    /// [`CompileError`] for a map that is empty or too large, and for a window that the loops do not have.
    pub fn build<'a>(
        plan: impl Into<Cow<'a, Plan>>,
        device: &OpenedDevice,
    ) -> Result<Self, CompileError> {
        let plan = plan.into();
        let (input, outputs) = (plan.input(), plan.output_ranges());
        let executor = match device.kind {
            DeviceKind::Cpu => Executor::Cpu(CpuNetwork::new(plan.into_owned(), device)?),
            DeviceKind::Vulkan | DeviceKind::WebGpu => {
                let gpu = Gpu::of(&device.device).expect("a GPU is Burn's wgpu device");
                Executor::Gpu(GpuNetwork::new(&plan, &gpu, device.kernels))
            }
        };
        Ok(Self {
            executor,
            input,
            outputs,
        })
    }

    /// Kernels of one forward pass on a GPU; zero on the CPU.
    pub fn dispatches(&self) -> usize {
        match &self.executor {
            Executor::Cpu(_) => 0,
            Executor::Gpu(network) => network.dispatches(),
        }
    }

    /// Threads of a run on the CPU, the calling one included; zero on a GPU.
    pub fn threads(&self) -> usize {
        match &self.executor {
            Executor::Cpu(network) => network.threads(),
            Executor::Gpu(_) => 0,
        }
    }

    /// Whether [`Self::set_length`] can change networks on a device.
    pub(crate) fn takes_any_length(device: &OpenedDevice) -> bool {
        device.kind == DeviceKind::Cpu && device.workers.is_none()
    }

    /// Changes the number of pixels of every map, for plans that [`Plan::set_length`] takes.
    ///
    /// # Panics
    ///
    /// For another plan, on a GPU and in workers, where a network is written anew instead.
    pub(crate) fn set_length(&mut self, pixels: usize) {
        let Executor::Cpu(network) = &mut self.executor else {
            panic!("networks on a GPU have one length");
        };
        network.set_length(pixels);
        let mut start = 0;
        for range in &mut self.outputs {
            let length = range.len() / self.input.width * pixels;
            *range = start..start + length;
            start += length;
        }
        self.input.width = pixels;
    }

    /// Size of one picture's input.
    pub fn input(&self) -> MapShape {
        self.input
    }

    /// The range of each of the plan's outputs among a picture's values.
    pub fn outputs(&self) -> &[Range<usize>] {
        &self.outputs
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
    /// If the input has another shape than the plan's or lies on another device.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        let [_, height, width, channels] = input.dims();
        let expected = [self.input.height, self.input.width, self.input.channels];
        assert_eq!([height, width, channels], expected, "input of a network");
        match &self.executor {
            Executor::Cpu(network) => network.forward(input),
            Executor::Gpu(network) => network.forward(input),
        }
    }
}
