//! How threads share the chunks of a run.
//!
//! All chunks of all steps stand in one line. A thread takes the next by adding one to a counter, and waits only
//! where the chunk's step needs the steps before it: until as many chunks are done as stand before the step.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Counters of a run; all zero before it.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Queue {
    /// The next chunk that nobody has taken.
    next: Line,
    /// Chunks that are done.
    done: Line,
    /// Whether a thread fell out of a chunk, which then is never done.
    is_broken: AtomicBool,
}

/// A counter on a cache line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
struct Line(AtomicU32);

impl Queue {
    /// Counters before a run.
    pub(crate) const fn new() -> Self {
        Self {
            next: Line(AtomicU32::new(0)),
            done: Line(AtomicU32::new(0)),
            is_broken: AtomicBool::new(false),
        }
    }

    /// Gets ready for another run; no thread is at the last one.
    #[cfg(feature = "module")]
    pub(crate) fn reset(&self) {
        self.next.0.store(0, Ordering::Relaxed);
        self.done.0.store(0, Ordering::Relaxed);
    }

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
            let fall = Fall(self);
            run(step, (chunk - starts[step]) as usize);
            core::mem::forget(fall);
            self.done.0.fetch_add(1, Ordering::Release);
        }
    }

    /// Waits until this number of chunks is done.
    ///
    /// # Panics
    ///
    /// If another thread fell out of a chunk.
    pub(crate) fn wait_for(&self, chunks: u32, wait: &impl Fn(u32)) {
        let mut rounds = 0;
        while self.done.0.load(Ordering::Acquire) < chunks {
            assert!(
                !self.is_broken.load(Ordering::Relaxed),
                "another thread of this run has failed"
            );
            wait(rounds);
            rounds += 1;
        }
    }
}

/// Tells the other threads of a chunk that unwinds.
struct Fall<'a>(&'a Queue);

impl Drop for Fall<'_> {
    fn drop(&mut self) {
        self.0.is_broken.store(true, Ordering::Relaxed);
    }
}
