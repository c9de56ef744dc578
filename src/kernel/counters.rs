//! What the networks asked of the GPU: the figures that a benchmark shows and a test holds down.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

static DISPATCHES: AtomicU64 = AtomicU64::new(0);
static READ_BACKS: AtomicU64 = AtomicU64::new(0);
static BYTES_READ: AtomicU64 = AtomicU64::new(0);

/// Counts since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Kernels started.
    pub dispatches: u64,
    /// Results fetched from the device.
    pub read_backs: u64,
    /// Bytes of those results.
    pub bytes_read_back: u64,
}

impl Counters {
    /// The counts now.
    pub fn now() -> Self {
        Self {
            dispatches: DISPATCHES.load(Ordering::Relaxed),
            read_backs: READ_BACKS.load(Ordering::Relaxed),
            bytes_read_back: BYTES_READ.load(Ordering::Relaxed),
        }
    }

    /// What came since `earlier`.
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
    DISPATCHES.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn count_read_back(bytes: usize) {
    READ_BACKS.fetch_add(1, Ordering::Relaxed);
    BYTES_READ.fetch_add(bytes as u64, Ordering::Relaxed);
}
