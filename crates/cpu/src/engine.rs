//! Runs a program in this process.

use std::sync::Arc;

use crate::compile::Program;
use crate::job::{self, Job};
use crate::packed::{PackedStep, Port};
use crate::parameters::Line;
use crate::queue::Queue;
use crate::team::{self, Team};

/// A program with its memory and threads.
#[derive(Debug)]
pub struct Engine {
    program: Program,
    arena: Vec<Line>,
    scratch: Vec<Line>,
    /// First chunk of each step, and the end.
    starts: Vec<u32>,
    /// Pictures that the arena has room for.
    room: usize,
    /// Pictures of the last run.
    batch: usize,
    team: Arc<Team>,
}

impl Engine {
    /// An engine with this number of threads, the calling one included. Engines with equally many share them; a run that
    /// finds them busy with another goes on alone.
    pub fn new(program: Program, threads: usize) -> Self {
        let team = Team::of_size(threads.max(1));
        let scratch = Job::scratch_len(&program.parts()) / 16 * team.size();
        Self {
            arena: Vec::new(),
            scratch: vec![Line::ZERO; scratch],
            starts: vec![0; program.steps.len() + 1],
            program,
            room: 0,
            batch: 0,
            team,
        }
    }

    /// Threads, the calling one included.
    pub fn threads(&self) -> usize {
        self.team.size()
    }

    /// Floats that output `index` has for one picture.
    pub fn output_len(&self, index: usize) -> usize {
        self.program.outputs[index].len()
    }

    /// Runs the program on pictures, `[batch, height, width, channels]`.
    ///
    /// # Panics
    ///
    /// If the batch is empty, or the input is not as long as its pictures.
    pub fn run(&mut self, batch: usize, input: &[f32]) {
        assert!(batch > 0, "a batch has at least one picture");
        if batch > self.room {
            self.arena = vec![Line::ZERO; self.program.arena * batch / 16];
            self.room = batch;
        }
        if batch != self.batch {
            job::count_chunks(&self.program.steps, batch, self.starts.iter_mut());
        }
        self.batch = batch;
        let port = self.program.input;
        assert_eq!(input.len(), batch * port.len(), "floats of the input");
        port.write(map(floats(&mut self.arena), port, batch), input);
        let queue = Queue::new();
        let team = Arc::clone(&self.team);
        let job = self.job(&queue);
        if team.size() == 1 {
            // SAFETY: compiling checked the instruction set; arena and scratch memory are as long as it says.
            unsafe { job.alone() };
        } else {
            // SAFETY: as above; the team numbers its threads.
            team.run(&|thread| unsafe { job.share(thread, team::wait) });
        }
    }

    /// Changes the number of pixels of every map: [`Program::set_length`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn set_length(&mut self, pixels: usize) -> Result<(), crate::CompileError> {
        if self.program.input.map.pixels() == pixels {
            return Ok(());
        }
        self.program.set_length(pixels)?;
        let scratch = Job::scratch_len(&self.program.parts()) / 16 * self.team.size();
        self.scratch = vec![Line::ZERO; scratch];
        self.arena = Vec::new();
        (self.room, self.batch) = (0, 0);
        Ok(())
    }

    /// Description of each operation.
    pub fn steps(&self) -> Vec<String> {
        self.program
            .steps
            .iter()
            .map(PackedStep::to_string)
            .collect()
    }

    /// Runs one step of the last run again, on one thread: to take its time.
    ///
    /// # Panics
    ///
    /// If there was no run, or there is no such step.
    pub fn repeat_step(&mut self, index: usize) {
        assert!(self.batch > 0, "a step is repeated after a run");
        let queue = Queue::new();
        let job = self.job(&queue);
        // SAFETY: as for a run.
        unsafe { job.step(&job.parts.steps[index]) };
    }

    /// Reads an output of the last run, `[batch, height, width, channels]`.
    ///
    /// # Panics
    ///
    /// If there is no such output, or `to` is not as long as the output of the last run.
    pub fn read(&mut self, index: usize, to: &mut [f32]) {
        let port = self.program.outputs[index];
        let length = port.len();
        assert_eq!(to.len(), self.batch * length, "floats of an output");
        let map = map(floats(&mut self.arena), port, self.batch);
        port.read(map, to, 0, length);
    }

    fn job<'a>(&'a mut self, queue: &'a Queue) -> Job<'a> {
        Job {
            set: self.program.set,
            parts: self.program.parts(),
            arena: floats(&mut self.arena).as_mut_ptr(),
            scratch: floats(&mut self.scratch).as_mut_ptr(),
            batch: self.batch,
            starts: &self.starts,
            queue,
        }
    }
}

/// All of a port's map.
fn map(arena: &mut [f32], Port { map, .. }: Port, batch: usize) -> &mut [f32] {
    &mut arena[map.offset as usize * batch..][..map.len() * batch]
}

/// The lines as one slice.
fn floats(lines: &mut [Line]) -> &mut [f32] {
    // SAFETY: a line is sixteen floats without padding.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), lines.len() * 16) }
}
