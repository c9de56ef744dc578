//! Runs a program in this process.

use crate::compile::{Line, Port, Program};
use crate::memory::Memory;
use crate::queue::Queue;
use crate::run::run;
use crate::team::{self, Team};

/// A program with its memory and threads.
#[derive(Debug)]
pub struct Engine {
    program: Program,
    arena: Vec<Line>,
    scratch: Vec<Line>,
    /// Pictures that the arena has room for.
    room: usize,
    /// Pictures of the last run.
    batch: usize,
    team: Team,
}

/// What threads share of a run.
struct Run<'a> {
    program: &'a Program,
    arena: *mut f32,
    scratch: *mut f32,
    batch: usize,
    starts: Vec<u32>,
    queue: Queue,
}

// SAFETY: chunks of one step write different floats of the arena, and a step begins when those before it have
// ended; scratch memory is split by thread.
unsafe impl Sync for Run<'_> {}

impl Engine {
    /// An engine with so many threads, the calling one included.
    pub fn new(program: Program, threads: usize) -> Self {
        let team = Team::new(threads.max(1));
        let scratch = vec![Line::ZERO; program.scratch.div_ceil(16) * team.size()];
        Self {
            program,
            arena: Vec::new(),
            scratch,
            room: 0,
            batch: 0,
            team,
        }
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Threads, the calling one included.
    pub fn threads(&self) -> usize {
        self.team.size()
    }

    /// Floats that output `index` has for one picture.
    pub fn output_len(&self, index: usize) -> usize {
        self.program.outputs[index].len()
    }

    /// Runs the program on `batch` pictures; inputs are `[batch, height, width, channels]`.
    ///
    /// # Panics
    ///
    /// If the batch is empty, or inputs are not as many or as long as the network says.
    pub fn run(&mut self, batch: usize, inputs: &[&[f32]]) {
        assert!(batch > 0, "a batch has at least one picture");
        let ports = &self.program.inputs;
        assert_eq!(inputs.len(), ports.len(), "inputs of the network");
        if batch > self.room {
            self.arena = vec![Line::ZERO; self.program.arena * batch / 16];
            self.room = batch;
        }
        self.batch = batch;
        let arena = floats(&mut self.arena);
        for (port, input) in ports.iter().zip(inputs) {
            assert_eq!(input.len(), batch * port.len(), "floats of an input");
            let place = &mut arena[port.map.offset as usize * batch..][..port.map.len() * batch];
            let pixels = place.chunks_exact_mut(port.map.stride as usize);
            if port.map.stride as usize == port.channels {
                place.copy_from_slice(input);
                continue;
            }
            for (to, from) in pixels.zip(input.chunks_exact(port.channels)) {
                to[..port.channels].copy_from_slice(from);
                to[port.channels..].fill(0.0);
            }
        }
        let mut count = 0;
        let mut starts = vec![0];
        for step in &self.program.steps {
            count += u32::try_from(step.chunks(batch)).expect("maps bound the chunks");
            starts.push(count);
        }
        let run = Run {
            program: &self.program,
            arena: arena.as_mut_ptr(),
            scratch: floats(&mut self.scratch).as_mut_ptr(),
            batch,
            starts,
            queue: Queue::default(),
        };
        if self.team.size() == 1 {
            run.alone();
        } else {
            self.team.run(&|thread| run.share(thread));
        }
    }

    /// Reads an output of the last run, `[batch, height, width, channels]`.
    ///
    /// # Panics
    ///
    /// If there is no such output, or `to` is not as long as the output of the last run.
    pub fn read(&mut self, index: usize, to: &mut [f32]) {
        let Port { map, channels } = self.program.outputs[index];
        let batch = self.batch;
        assert_eq!(
            to.len(),
            batch * self.output_len(index),
            "floats of an output"
        );
        let place = &floats(&mut self.arena)[map.offset as usize * batch..][..map.len() * batch];
        let pixels = place.chunks_exact(map.stride as usize);
        for (from, to) in pixels.zip(to.chunks_exact_mut(channels)) {
            to.copy_from_slice(&from[..channels]);
        }
    }
}

impl Engine {
    /// Prints times of steps.
    pub fn profile(&mut self, batch: usize, runs: usize) {
        let arena = floats(&mut self.arena).as_mut_ptr();
        let run = Run {
            program: &self.program,
            arena,
            scratch: floats(&mut self.scratch).as_mut_ptr(),
            batch,
            starts: vec![],
            queue: Queue::default(),
        };
        let memory = run.memory(0);
        let mut times = vec![vec![]; self.program.steps.len()];
        for _ in 0..runs {
            for (step, times) in self.program.steps.iter().zip(&mut times) {
                let start = std::time::Instant::now();
                for chunk in 0..step.chunks(batch) {
                    unsafe { super::run::run(self.program.set, &memory, step, chunk) };
                }
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
        let mut kinds = std::collections::BTreeMap::<String, f64>::new();
        for (step, times) in self.program.steps.iter().zip(&mut times) {
            times.sort_by(f64::total_cmp);
            let t = times[runs / 2];
            let d = step.destination;
            let depth = if step.kind == crate::step::Kind::Product {
                step.depth
            } else {
                step.kernel[0] * step.kernel[1]
            };
            let macs = depth as f64 * d.pixels() as f64 * step.channels as f64 * batch as f64;
            let el = d.pixels() as f64 * step.channels as f64 * batch as f64;
            println!(
                "{:?} {}x{}x{} depth {} k{} s{} act {:?} gate {} chunks {}: {t:.1} us {:.1} GFLOP/s, {:.2} ns/el",
                step.kind,
                d.height,
                d.width,
                step.channels,
                step.depth,
                step.kernel[0],
                step.stride,
                step.activation,
                step.gate.stride,
                step.chunks(batch),
                2e-3 * macs / t,
                t * 1e3 / el
            );
            let key = format!(
                "{:?} k{} {}",
                step.kind,
                step.kernel[0],
                if d.pixels() == 1 {
                    "dense"
                } else if step.gate.is_present() {
                    "project"
                } else {
                    "expand"
                }
            );
            *kinds.entry(key).or_default() += t;
        }
        println!("{kinds:#?}");
    }
}

impl Run<'_> {
    fn memory(&self, thread: usize) -> Memory {
        Memory {
            batch: self.batch,
            parameters: self.program.parameters.as_ptr().cast(),
            arena: self.arena,
            scratch: self
                .scratch
                .wrapping_add(thread * self.program.scratch.next_multiple_of(16)),
        }
    }

    fn alone(&self) {
        let memory = self.memory(0);
        for step in &self.program.steps {
            for chunk in 0..step.chunks(self.batch) {
                // SAFETY: compiling checked the instruction set and planned the memory.
                unsafe { run(self.program.set, &memory, step, chunk) };
            }
        }
    }

    fn share(&self, thread: usize) {
        let memory = self.memory(thread);
        let run_chunk = |step: usize, chunk: usize| {
            let step = &self.program.steps[step];
            // SAFETY: as in `alone`; the queue gives each chunk to one thread, and not before its turn.
            unsafe { run(self.program.set, &memory, step, chunk) };
        };
        self.queue.work(&self.starts, run_chunk, team::wait);
        if let (0, Some(&end)) = (thread, self.starts.last()) {
            self.queue.wait_for(end, &team::wait);
        }
    }
}

/// The lines as one slice.
fn floats(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: a line is sixteen floats without padding.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 16) }
}
