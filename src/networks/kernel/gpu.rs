//! Runs a [`Plan`] with own kernels on Burn's GPU device.

mod builder;
mod channels;
mod clips;
mod context;
mod padding;
mod pointwise;
mod sequences;
mod shader;
mod steps;
mod windows;
mod writer;

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::Tensor;

use self::channels::join;
use self::writer::Writer;
use super::Plan;
use crate::device::KernelForm;
pub(crate) use builder::ShaderBuilder;
pub(crate) use context::{Gpu, GpuBuffer};
pub(crate) use shader::{Element, Shader};

/// A network on the GPU.
pub(super) struct GpuNetwork {
    gpu: Gpu,
    buffers: Vec<Buffer>,
    dispatches: Vec<Dispatch>,
    /// Buffer that holds the result.
    result: usize,
    /// Values of the result for one picture.
    values: usize,
}

/// A feature map in memory, or what lies between two dispatches of one step.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    pixels: usize,
    /// Channels with padding.
    stored: usize,
    element: Element,
}

/// One kernel with what it reads and writes.
struct Dispatch {
    shader: Shader,
    reads: Vec<Read>,
    output: usize,
    size: LaunchSize,
    /// Buffers that nothing reads any more after it.
    last_reads: Vec<usize>,
}

/// Groups and numbers of a launch for a batch.
type LaunchSize = Box<dyn Fn(usize) -> (usize, Vec<usize>) + Send + Sync>;

enum Read {
    Buffer(usize),
    Parameter(GpuBuffer),
}

impl GpuNetwork {
    /// Puts the network's parameters on the device and writes its kernels.
    pub(super) fn new(plan: &Plan, gpu: &Gpu, form: KernelForm) -> Self {
        let (buffers, dispatches, result) = Writer::new(plan, gpu, form).write();
        let values = plan
            .outputs()
            .iter()
            .map(|map| plan.shape(*map).len())
            .sum();
        let mut network = Self {
            gpu: gpu.clone(),
            buffers,
            dispatches,
            result,
            values,
        };
        network.find_last_reads();
        network
    }

    /// Kernels of a forward pass.
    pub(super) fn dispatches(&self) -> usize {
        self.dispatches.len()
    }

    /// `[batch, height, width, channels]` to `[batch, values]`.
    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        let batch = input.dims()[0];
        let result = self.run(self.gpu.buffer(input), batch);
        self.gpu.tensor(result, [batch, self.values])
    }

    fn run(&self, input: GpuBuffer, batch: usize) -> GpuBuffer {
        let mut live: BTreeMap<usize, GpuBuffer> = BTreeMap::from([(0, input)]);
        for dispatch in &self.dispatches {
            let buffer = self.buffers[dispatch.output];
            let bytes = batch * buffer.pixels * buffer.stored * buffer.element.bytes();
            let output = self.gpu.empty(bytes);
            let reads: Vec<&GpuBuffer> = dispatch
                .reads
                .iter()
                .map(|read| match read {
                    Read::Buffer(index) => &live[index],
                    Read::Parameter(parameter) => parameter,
                })
                .collect();
            let (groups, numbers) = (dispatch.size)(batch);
            self.gpu
                .launch_groups(&dispatch.shader, &reads, &output, groups, &numbers);
            live.insert(dispatch.output, output);
            for buffer in &dispatch.last_reads {
                live.remove(buffer);
            }
        }
        live.remove(&self.result)
            .expect("the last dispatch writes the result")
    }

    fn find_last_reads(&mut self) {
        let mut last: BTreeMap<usize, usize> = BTreeMap::new();
        for (index, dispatch) in self.dispatches.iter().enumerate() {
            for read in &dispatch.reads {
                if let Read::Buffer(buffer) = read {
                    last.insert(*buffer, index);
                }
            }
        }
        for (buffer, index) in last {
            if buffer != self.result {
                self.dispatches[index].last_reads.push(buffer);
            }
        }
    }
}

impl fmt::Debug for GpuNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(
                self.dispatches
                    .iter()
                    .map(|dispatch| dispatch.shader.name()),
            )
            .finish()
    }
}

impl Gpu {
    /// The values of tensors one after the other.
    pub(super) fn join(&self, mut tensors: Vec<Tensor<2>>) -> GpuBuffer {
        if tensors.len() == 1 {
            return self.buffer(tensors.remove(0));
        }
        let lengths: Vec<usize> = tensors
            .iter()
            .map(|tensor| tensor.dims().iter().product())
            .collect();
        let values = lengths.iter().sum();
        let buffers: Vec<GpuBuffer> = tensors
            .into_iter()
            .map(|tensor| self.buffer(tensor))
            .collect();
        let reads: Vec<&GpuBuffer> = buffers.iter().collect();
        let joined = self.empty(values * size_of::<f32>());
        self.launch(&join(reads.len()), &reads, &joined, values, &lengths);
        joined
    }
}
