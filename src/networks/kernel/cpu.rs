//! Runs a [`Plan`] with the vector loops of `affectlens-cpu`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use affectlens_cpu::{CompileError, Engine, InstructionSet, Lowered, MapShape, Plan};
use burn::tensor::Tensor;

use super::transfer::{on_device, on_host};
use crate::device::{CpuWorkers, OpenedDevice};

/// Most threads of a network unless the device has a number. More gain little: the last layers are small.
const THREADS: usize = 4;

/// A network on the CPU.
#[derive(Debug)]
pub(super) struct CpuNetwork {
    runner: Runner,
    input: MapShape,
    /// Values of each output for one picture.
    outputs: Vec<usize>,
}

#[derive(Debug)]
enum Runner {
    // Runs change feature maps; networks are shared.
    Here(Box<Mutex<Engine>>),
    Workers {
        workers: Arc<dyn CpuWorkers>,
        program: u32,
    },
}

impl CpuNetwork {
    /// Packs the network's parameters for this processor. Unless the device has a number of threads, there are as many
    /// as cores, up to four, and in a browser one.
    ///
    /// # Errors
    ///
    /// [`CompileError`] for a window that the loops do not have.
    pub(super) fn new(plan: Plan, device: &OpenedDevice) -> Result<Self, CompileError> {
        let (input, outputs) = (plan.input(), plan.outputs().iter());
        let outputs = outputs.map(|map| plan.shape(*map).len()).collect();
        Ok(Self {
            runner: Runner::new(plan.lower(InstructionSet::detect())?, device),
            input,
            outputs,
        })
    }

    /// Changes the number of pixels of every map.
    ///
    /// # Panics
    ///
    /// If a step of the plan does not keep it, or another process runs it.
    pub(super) fn set_length(&mut self, pixels: usize) {
        let Runner::Here(engine) = &self.runner else {
            panic!("programs of workers have one length");
        };
        let changed = lock(engine).set_length(pixels);
        changed.expect("a plan over a row of variable length");
        for output in &mut self.outputs {
            *output = *output / self.input.width * pixels;
        }
        self.input.width = pixels;
    }

    /// Threads of a run, the calling one included.
    pub(super) fn threads(&self) -> usize {
        match &self.runner {
            Runner::Here(engine) => lock(engine).threads(),
            Runner::Workers { workers, .. } => workers.threads(),
        }
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
    /// If the input has another shape than the plan's, or is not f32.
    pub(super) fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        let device = input.device();
        let [batch, height, width, channels] = input.dims();
        let shape = MapShape {
            height,
            width,
            channels,
        };
        assert_eq!(shape, self.input, "input of a network");
        let input = on_host(input);
        let values = self.run(batch, input.as_slice().expect("networks compute in f32"));
        let width = values.len() / batch;
        on_device(values, [batch, width], &device)
    }

    /// Runs the network on plain numbers, in the order of [`forward`](Self::forward).
    ///
    /// # Panics
    ///
    /// If the input is not as long as its pictures.
    pub(super) fn run(&self, batch: usize, input: &[f32]) -> Vec<f32> {
        let width: usize = self.outputs.iter().sum();
        let mut values = vec![0.0; batch * width];
        let mut engine = match &self.runner {
            Runner::Here(engine) => lock(engine),
            Runner::Workers { workers, program } => {
                workers.run(*program, batch, input, &mut values);
                return values;
            }
        };
        engine.run(batch, input);
        let mut start = 0;
        for (index, &length) in self.outputs.iter().enumerate() {
            if length == width {
                engine.read(index, &mut values);
                break;
            }
            let mut output = vec![0.0; batch * length];
            engine.read(index, &mut output);
            for (to, from) in values
                .chunks_exact_mut(width)
                .zip(output.chunks_exact(length))
            {
                to[start..start + length].copy_from_slice(from);
            }
            start += length;
        }
        values
    }
}

fn lock(engine: &Mutex<Engine>) -> MutexGuard<'_, Engine> {
    // A run that panicked leaves feature maps behind that the next one overwrites.
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runner {
    fn new(program: Lowered, device: &OpenedDevice) -> Self {
        if let Some(workers) = &device.workers
            && let Some(number) = workers.reserve(program.words())
        {
            program.write(|start, words| workers.write(number, start, words));
            return Self::Workers {
                workers: Arc::clone(workers),
                program: number,
            };
        }
        let threads = device.threads.unwrap_or_else(default_threads);
        Self::Here(Box::new(Mutex::new(Engine::new(
            program.compile(),
            threads,
        ))))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Self::Workers { workers, program } = self {
            workers.free(*program);
        }
    }
}

fn default_threads() -> usize {
    if cfg!(target_family = "wasm") {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS))
}

#[cfg(test)]
mod tests {
    use affectlens_cpu::{Activation, Shortcut, Weighted, Window};
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn weighted(weight: &[f32], bias: &[f32], activation: Activation) -> Weighted {
        Weighted {
            weight: weight.to_vec(),
            bias: bias.to_vec(),
            activation,
            slopes: Vec::new(),
        }
    }

    /// Each step on two pictures of 2x2 pixels whose sums can be done by hand.
    #[test]
    fn every_step_is_carried_out() {
        let mut planner = Plan::of_input(2, 2, 1);
        let input = planner.input();
        let pixels = Window {
            kernel: 1,
            stride: 1,
            padding: [0, 0],
            output: [2, 2],
        };
        let around = Window {
            kernel: 3,
            padding: [1, 1],
            ..pixels
        };
        let pair = Window {
            kernel: 2,
            output: [1, 1],
            ..pixels
        };
        let summed = planner.depthwise(
            input,
            around,
            weighted(&[1.0; 9], &[0.0], Activation::Identity),
        );
        let doubled = planner.convolution(
            summed,
            pixels,
            weighted(&[1.0, 2.0], &[0.0, 1.0], Activation::Relu),
        );
        let gate = planner.squeeze_excite(
            doubled,
            weighted(&[0.0, 0.0], &[0.0], Activation::Silu),
            weighted(&[0.0, 0.0], &[0.0, 0.0], Activation::Sigmoid),
        );
        let shortcut = Some(Shortcut {
            map: input,
            pooled: false,
        });
        let gated = planner.gated_pointwise(
            doubled,
            weighted(&[1.0, 0.0, 0.0, 1.0], &[0.0; 2], Activation::Identity),
            Some(gate),
            shortcut,
        );
        let largest = planner.max_pool(gated, pair);
        let mean = planner.average(gated);
        let normal = planner.layer_norm(mean, vec![1.0; 2], vec![3.0, 4.0], 0.0);
        let plan = planner.finish(&[largest, normal, mean]);

        let device = OpenedDevice {
            threads: Some(2),
            ..OpenedDevice::cpu()
        };
        let network = CpuNetwork::new(plan, &device).expect("a plan that fits");
        assert_eq!(network.threads(), 2);
        let pictures = [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 8.0];
        // Sums 10 and 8; halved by the gate: 5 and 4, and (2 * sum + 1) / 2; the shortcut adds the input to the
        // first channel.
        let expected = [
            9.0, 10.5, 2.0, 5.0, 7.5, 10.5, //
            12.0, 8.5, 2.0, 5.0, 6.0, 8.5,
        ];
        let tensor = Tensor::<4>::from_data(
            TensorData::new(pictures.to_vec(), [2, 2, 2, 1]),
            &Device::flex(),
        );
        let output = network.forward(tensor);
        assert_eq!(output.dims(), [2, 6]);
        let output: Vec<f32> = output.into_data().try_into_vec().expect("f32");
        for (got, expected) in output.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{output:?}");
        }
    }
}
