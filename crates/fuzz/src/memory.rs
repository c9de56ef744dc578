//! The memory that a thread holds, and the most that it may.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::watch;

/// The system's memory, of which every thread counts what it takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountedMemory;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Lets this thread take so many bytes more than it holds now; beyond that the program ends with a report.
pub(crate) fn allow(bytes: usize) {
    MOST.set(HELD.get().saturating_add(bytes));
}

/// Lets this thread take what it wants.
pub(crate) fn allow_all() {
    MOST.set(usize::MAX);
}

fn take(bytes: usize) {
    let held = HELD.get().wrapping_add(bytes);
    HELD.set(held);
    // What was taken elsewhere and is given back here makes a number below zero, which looks huge.
    if held > MOST.get() && held < usize::MAX / 2 {
        allow_all();
        watch::end("takes more memory than it may");
    }
}

fn give_back(bytes: usize) {
    HELD.set(HELD.get().wrapping_sub(bytes));
}

#[expect(
    unsafe_code,
    reason = "only an allocator sees what is taken; it passes every call on as it is"
)]
// SAFETY: the system's allocator does all the work, with the same arguments.
unsafe impl GlobalAlloc for CountedMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        give_back(layout.size());
        take(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }
}
