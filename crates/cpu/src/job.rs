//! A run of a program, as every thread that takes part in it sees it.

use crate::instructions::InstructionSet;
use crate::memory::Memory;
use crate::packed::PackedStep;
use crate::queue::Queue;
use crate::run::run;

/// Parts of a program, wherever it lies.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) steps: &'a [PackedStep],
    pub(crate) parameters: *const f32,
    /// Floats of scratch memory of one thread.
    pub(crate) scratch: usize,
}

/// Writes down the first chunk of each step, and the end.
pub(crate) fn count_chunks<'a>(
    steps: &[PackedStep],
    batch: usize,
    starts: impl Iterator<Item = &'a mut u32>,
) {
    let mut count = 0;
    let mut chunks = steps.iter().map(|step| step.chunks(batch));
    for start in starts {
        *start = count;
        let chunks = chunks.next().unwrap_or_default();
        count += u32::try_from(chunks).expect("maps bound the chunks");
    }
}

/// A program with its memory for one run.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) set: InstructionSet,
    pub(crate) parts: Parts<'a>,
    pub(crate) arena: *mut f32,
    /// Scratch memory of all threads, [`scratch_len`](Self::scratch_len) each.
    pub(crate) scratch: *mut f32,
    pub(crate) batch: usize,
    pub(crate) starts: &'a [u32],
    pub(crate) queue: &'a Queue,
}

// SAFETY: chunks of one step write different floats of the arena, and a step begins when those before it have
// ended; scratch memory is split by thread.
unsafe impl Sync for Job<'_> {}

impl Job<'_> {
    /// Floats from one thread's scratch memory to the next one's.
    pub(crate) fn scratch_len(parts: &Parts<'_>) -> usize {
        parts.scratch.next_multiple_of(16)
    }

    /// Runs every step on this thread.
    ///
    /// # Safety
    ///
    /// As for [`share`](Self::share).
    #[cfg(feature = "std")]
    pub(crate) unsafe fn alone(&self) {
        for step in self.parts.steps {
            // SAFETY: the caller's promise.
            unsafe { self.step(step) };
        }
    }

    /// Runs one step on this thread.
    ///
    /// # Safety
    ///
    /// As for [`share`](Self::share).
    #[cfg(feature = "std")]
    pub(crate) unsafe fn step(&self, step: &PackedStep) {
        let memory = self.memory(0);
        for chunk in 0..step.chunks(self.batch) {
            // SAFETY: the caller's promise.
            unsafe { run(self.set, &memory, step, chunk) };
        }
    }

    /// Takes part in the run as thread `thread`; the first returns when all is done.
    ///
    /// # Safety
    ///
    /// Compiling checked the instruction set and planned the memory, all of which is there; no two threads have
    /// the same number.
    pub(crate) unsafe fn share(&self, thread: usize, wait: impl Fn(u32)) {
        let memory = self.memory(thread);
        let run_chunk = |step: usize, chunk: usize| {
            let step = &self.parts.steps[step];
            // SAFETY: the caller's promise; the queue gives each chunk to one thread, and not before its turn.
            unsafe { run(self.set, &memory, step, chunk) };
        };
        self.queue.work(self.starts, run_chunk, &wait);
        if let (0, Some(&end)) = (thread, self.starts.last()) {
            self.queue.wait_for(end, &wait);
        }
    }

    fn memory(&self, thread: usize) -> Memory {
        Memory {
            batch: self.batch,
            parameters: self.parts.parameters,
            arena: self.arena,
            scratch: self
                .scratch
                .wrapping_add(thread * Self::scratch_len(&self.parts)),
        }
    }
}
