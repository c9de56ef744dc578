//! Runs a program in this process.

use crate::compile::{Line, Port, Program};
use crate::memory::Memory;
use crate::queue::Queue;
use crate::run::run;
use crate::step::Step;
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
        let run = Run::new(&self.program, batch, &mut self.arena, &mut self.scratch);
        if self.team.size() == 1 {
            for step in 0..run.program.steps.len() {
                run.alone(step);
            }
        } else {
            self.team.run(&|thread| run.share(thread));
        }
    }

    /// What each step is.
    pub fn steps(&self) -> Vec<String> {
        self.program.steps.iter().map(Step::to_string).collect()
    }

    /// Runs one step of the last run again, on one thread: to take its time.
    ///
    /// # Panics
    ///
    /// If there was no run, or is no such step.
    pub fn repeat_step(&mut self, index: usize) {
        assert!(self.batch > 0, "a step is repeated after a run");
        let batch = self.batch;
        Run::new(&self.program, batch, &mut self.arena, &mut self.scratch).alone(index);
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

impl<'a> Run<'a> {
    fn new(
        program: &'a Program,
        batch: usize,
        arena: &'a mut [Line],
        scratch: &'a mut [Line],
    ) -> Self {
        let mut count = 0;
        let mut starts = vec![0];
        for step in &program.steps {
            count += u32::try_from(step.chunks(batch)).expect("maps bound the chunks");
            starts.push(count);
        }
        Self {
            program,
            arena: floats(arena).as_mut_ptr(),
            scratch: floats(scratch).as_mut_ptr(),
            batch,
            starts,
            queue: Queue::default(),
        }
    }

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

    fn alone(&self, step: usize) {
        let memory = self.memory(0);
        let step = &self.program.steps[step];
        for chunk in 0..step.chunks(self.batch) {
            // SAFETY: compiling checked the instruction set and planned the memory.
            unsafe { run(self.program.set, &memory, step, chunk) };
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
