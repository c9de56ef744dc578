//! Where a running program finds parameters and feature maps.

use crate::packed::PackedMap;

/// The memory of one run, as one thread sees it.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// Pictures that are worked on together.
    pub(crate) batch: usize,
    pub(crate) parameters: *const f32,
    /// All feature maps; shared between threads.
    pub(crate) arena: *mut f32,
    /// This thread's own.
    pub(crate) scratch: *mut f32,
}

impl Memory {
    /// First float of a map.
    ///
    /// # Safety
    ///
    /// The arena is as long as the program asks for.
    pub(crate) unsafe fn map(&self, map: PackedMap) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.arena.add(map.offset as usize * self.batch) }
    }
}
