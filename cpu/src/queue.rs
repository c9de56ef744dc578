//! How threads share the chunks of a run.
//!
//! All chunks of all steps stand in one line. A thread takes the next by adding one to a counter, and waits only
//! where the chunk's step needs the steps before it: until as many chunks are done as stand before the step.

use core::sync::atomic::{AtomicU32, Ordering};

/// Counters of a run; all zero before it.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Queue {
    /// The next chunk that nobody has taken.
    next: Line,
    /// Chunks that are done.
    done: Line,
}

/// A counter on a cache line of its own.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Line(AtomicU32);

impl Queue {
    /// Takes chunks until none is left. `starts` holds the first chunk of each step, and the end. `run` gets the
    /// step and the chunk of the step; `wait` is called with a count of rounds while another thread is awaited.
    pub(crate) fn work(
        &self,
        starts: &[u32],
        mut run: impl FnMut(usize, usize),
        wait: impl Fn(u32),
    ) {
        let last = starts.len() - 1;
        let mut step = 0;
        loop {
            let chunk = self.next.0.fetch_add(1, Ordering::Relaxed);
            if chunk >= starts[last] {
                return;
            }
            while chunk >= starts[step + 1] {
                step += 1;
            }
            self.wait_for(starts[step], &wait);
            run(step, (chunk - starts[step]) as usize);
            self.done.0.fetch_add(1, Ordering::Release);
        }
    }

    /// Waits until so many chunks are done.
    pub(crate) fn wait_for(&self, chunks: u32, wait: &impl Fn(u32)) {
        let mut rounds = 0;
        while self.done.0.load(Ordering::Acquire) < chunks {
            wait(rounds);
            rounds += 1;
        }
    }
}
