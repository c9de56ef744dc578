//! The stand-alone wasm module: its instances, one a web worker, share a memory and run programs in it together.
//!
//! The first instance calls [`run`]; each of the others sleeps until [`turn`] changes and then calls [`serve`].
//! Who starts the instances gives each of the others a stack of its own (`__stack_pointer`), and lays programs
//! and workspaces into the memory behind `__heap_base`, on boundaries of 64 bytes.

use core::hint::black_box;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crate::image::Image;
use crate::instructions::InstructionSet;
use crate::queue::Queue;

const SET: InstructionSet = InstructionSet::Simd128;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// Wakes the instances that sleep until the turn changes.
    safe fn wake();
    /// Gives way to other threads of the processor for some microseconds.
    safe fn rest();
}

/// Memory that instances share; the linker gives it the same address in each.
struct Shared {
    /// Odd while a run is open.
    turn: AtomicU32,
    /// Instances beside the first that are inside of a run.
    inside: AtomicU32,
    has_failed: AtomicBool,
    program: AtomicPtr<u32>,
    workspace: AtomicPtr<f32>,
    batch: AtomicUsize,
    threads: AtomicUsize,
    queue: Queue,
}

static SHARED: Shared = Shared {
    turn: AtomicU32::new(0),
    inside: AtomicU32::new(0),
    has_failed: AtomicBool::new(false),
    program: AtomicPtr::new(ptr::null_mut()),
    workspace: AtomicPtr::new(ptr::null_mut()),
    batch: AtomicUsize::new(0),
    threads: AtomicUsize::new(0),
    queue: Queue::new(),
};

/// Divisions of a pause.
const PAUSE: u32 = 16;
/// Pauses in which a thread waits for another, which is some microseconds behind, before it gives way.
const SPIN: u32 = 4_000;
/// Pauses in which an instance looks for the next run before it goes to sleep.
const LINGER: u32 = 500;

/// Address of the word that changes when a run opens or closes.
#[unsafe(no_mangle)]
extern "C" fn turn() -> *const AtomicU32 {
    &SHARED.turn
}

/// Bytes of a run's workspace. The input stands at its start.
///
/// # Safety
///
/// A program lies at the address.
#[unsafe(no_mangle)]
unsafe extern "C" fn workspace_len(program: *mut u32, batch: usize, threads: usize) -> usize {
    // SAFETY: the caller's promise.
    let image = unsafe { Image::at(program) };
    image.workspace(batch, threads).length * size_of::<f32>()
}

/// Runs a program, with the instances that come to help; gives the address of `[batch, values]`.
///
/// # Safety
///
/// A program and a workspace for it lie at the addresses; only the first instance calls this.
#[unsafe(no_mangle)]
unsafe extern "C" fn run(
    program: *mut u32,
    workspace: *mut f32,
    batch: usize,
    threads: usize,
) -> *const f32 {
    // SAFETY: the caller's promise; no instance is inside of a run before this one opens.
    unsafe {
        let image = Image::at(program);
        image.begin(workspace, batch, threads);
        SHARED.queue.reset();
        SHARED.program.store(program, Ordering::Relaxed);
        SHARED.workspace.store(workspace, Ordering::Relaxed);
        SHARED.batch.store(batch, Ordering::Relaxed);
        SHARED.threads.store(threads, Ordering::Relaxed);
        if threads > 1 {
            SHARED.turn.fetch_add(1, Ordering::SeqCst);
            wake();
        }
        image
            .job(SET, workspace, batch, threads, &SHARED.queue)
            .share(0, wait);
        if threads > 1 {
            SHARED.turn.fetch_add(1, Ordering::SeqCst);
            let mut rounds = 0;
            while SHARED.inside.load(Ordering::SeqCst) > 0 {
                wait(rounds);
                rounds += 1;
            }
        }
        image.end(workspace, batch, threads);
        workspace.add(image.workspace(batch, threads).output)
    }
}

/// Helps with runs as thread `thread`, from one on, until there was none for a while; gives the turn to sleep
/// through.
///
/// # Safety
///
/// No two instances have the same number, and all numbers are below the threads of a run.
#[unsafe(no_mangle)]
unsafe extern "C" fn serve(thread: usize) -> u32 {
    let mut served = 0;
    let mut rounds = 0;
    loop {
        let turn = SHARED.turn.load(Ordering::SeqCst);
        if turn % 2 == 1 && turn != served {
            // Announced first, looked at again second: a run that closes waits for who is inside.
            SHARED.inside.fetch_add(1, Ordering::SeqCst);
            if SHARED.turn.load(Ordering::SeqCst) == turn {
                // SAFETY: the run is open until this instance has left it.
                unsafe { help(thread) };
            }
            SHARED.inside.fetch_sub(1, Ordering::SeqCst);
            served = turn;
            rounds = 0;
        } else if rounds > LINGER {
            return turn;
        }
        pause();
        rounds += 1;
    }
}

unsafe fn help(thread: usize) {
    let program = SHARED.program.load(Ordering::Relaxed);
    let workspace = SHARED.workspace.load(Ordering::Relaxed);
    let batch = SHARED.batch.load(Ordering::Relaxed);
    let threads = SHARED.threads.load(Ordering::Relaxed);
    // SAFETY: the run that stored them is open.
    unsafe {
        Image::at(program)
            .job(SET, workspace, batch, threads, &SHARED.queue)
            .share(thread, wait);
    }
}

fn wait(rounds: u32) {
    if rounds < SPIN {
        pause();
    } else {
        rest();
    }
    assert!(
        !SHARED.has_failed.load(Ordering::Relaxed),
        "another thread has failed"
    );
}

/// Passes some tens of nanoseconds and leaves the processor's units to the thread that shares them: wasm has no
/// instruction for that, but divisions that wait for each other come close.
fn pause() {
    let mut value = black_box(u32::MAX);
    for _ in 0..PAUSE {
        value /= black_box(3) | 1;
        value |= 1 << 30;
    }
    black_box(value);
}

/// Ends the run of every instance, after one of them has trapped.
#[unsafe(no_mangle)]
extern "C" fn fail() {
    SHARED.has_failed.store(true, Ordering::Relaxed);
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    fail();
    core::arch::wasm32::unreachable()
}
