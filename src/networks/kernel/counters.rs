//! Counts of GPU work: the figures that a benchmark shows and a test limits.

use std::cell::Cell;

use serde::Serialize;

thread_local! {
    // Others of a process may use the GPU too; a caller wants to know what its own frame cost.
    static COUNTERS: Cell<Counters> = const { Cell::new(Counters::ZERO) };
}

/// Counts of one thread since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Kernels started.
    pub dispatches: u64,
    /// Results fetched from the device.
    pub read_backs: u64,
    /// Bytes of those results.
    pub bytes_read_back: u64,
}

impl Counters {
    const ZERO: Self = Self {
        dispatches: 0,
        read_backs: 0,
        bytes_read_back: 0,
    };

    /// The counts of the calling thread.
    pub fn of_this_thread() -> Self {
        COUNTERS.get()
    }

    /// Counts since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            dispatches: self.dispatches - earlier.dispatches,
            read_backs: self.read_backs - earlier.read_backs,
            bytes_read_back: self.bytes_read_back - earlier.bytes_read_back,
        }
    }
}

pub(super) fn count_dispatch() {
    let counters = COUNTERS.get();
    COUNTERS.set(Counters {
        dispatches: counters.dispatches + 1,
        ..counters
    });
}

pub(super) fn count_read_back(bytes: usize) {
    let counters = COUNTERS.get();
    COUNTERS.set(Counters {
        read_backs: counters.read_backs + 1,
        bytes_read_back: counters.bytes_read_back + bytes as u64,
        ..counters
    });
}
