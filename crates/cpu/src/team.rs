//! Threads that run a program together.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError, Weak};
use std::thread::{self, JoinHandle};

/// Rounds of waiting that burn the processor before a thread gives way to others.
const SPIN: u32 = 2000;

/// Passes time while a thread awaits another, which is some microseconds behind.
pub(crate) fn wait(rounds: u32) {
    if rounds < SPIN {
        std::hint::spin_loop();
    } else {
        thread::yield_now();
    }
}

/// A job that every thread of a team runs; it gets the number of the thread.
type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// Threads beside the calling one. They sleep between jobs.
#[derive(Debug)]
pub(crate) struct Team {
    /// Held during a job.
    is_busy: Mutex<()>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The job that is on offer, and how many were before it.
    offer: Mutex<Offer>,
    is_offered: Condvar,
    /// Counts offers, so that threads that still spin see one without the lock.
    count: AtomicU32,
    /// Threads inside of a job.
    inside: AtomicU32,
    is_over: AtomicBool,
}

#[derive(Debug, Default)]
struct Offer {
    count: u32,
    job: Option<Pointer>,
}

/// A job whose lifetime [`Team::run`] looks after.
#[derive(Clone, Copy)]
struct Pointer(*const Job<'static>);

impl std::fmt::Debug for Pointer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pointer")
    }
}

// SAFETY: the job behind it is `Sync`.
unsafe impl Send for Pointer {}

impl Team {
    /// The process's team of this size; it lasts as long as somebody has it.
    pub(crate) fn of_size(size: usize) -> Arc<Self> {
        static TEAMS: Mutex<Vec<(usize, Weak<Team>)>> = Mutex::new(Vec::new());
        let mut teams = TEAMS.lock().unwrap_or_else(PoisonError::into_inner);
        teams.retain(|(_, team)| team.strong_count() > 0);
        let mut known = teams.iter().filter(|(known, _)| *known == size);
        if let Some(team) = known.find_map(|(_, team)| team.upgrade()) {
            return team;
        }
        let team = Arc::new(Self::new(size));
        teams.push((size, Arc::downgrade(&team)));
        team
    }

    /// Starts threads, so that with the calling one there are `size`.
    fn new(size: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let threads = (1..size)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                let name = format!("affectlens-cpu-{index}");
                // A system that gives no more threads leaves a smaller team.
                thread::Builder::new()
                    .name(name)
                    .spawn(move || shared.serve(index))
                    .ok()
            })
            .collect();
        Self {
            is_busy: Mutex::new(()),
            shared,
            threads,
        }
    }

    /// Threads, the calling one included.
    pub(crate) fn size(&self) -> usize {
        self.threads.len() + 1
    }

    /// Runs the job on the calling thread and on every other that is in time, until all of them are back. While
    /// the team has another job, the calling thread is alone with it.
    pub(crate) fn run(&self, job: &Job<'_>) {
        if self.threads.is_empty() {
            return job(0);
        }
        let _busy = match self.is_busy.try_lock() {
            Ok(busy) => busy,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return job(0),
        };
        let pointer: *const Job<'_> = job;
        // SAFETY: only the lifetime changes. The offer is withdrawn and every thread that took it is awaited
        // before this function returns or unwinds.
        let pointer =
            unsafe { std::mem::transmute::<*const Job<'_>, *const Job<'static>>(pointer) };
        let withdrawal = Withdrawal(&self.shared);
        {
            let mut offer = self.shared.lock();
            offer.job = Some(Pointer(pointer));
            offer.count = offer.count.wrapping_add(1);
            self.shared.count.store(offer.count, Ordering::Release);
        }
        self.shared.is_offered.notify_all();
        job(0);
        drop(withdrawal);
    }
}

/// Ends an offer.
struct Withdrawal<'a>(&'a Shared);

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.0.lock().job = None;
        let mut rounds = 0;
        while self.0.inside.load(Ordering::Acquire) > 0 {
            wait(rounds);
            rounds += 1;
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        {
            let mut offer = self.shared.lock();
            offer.count = offer.count.wrapping_add(1);
            self.shared.count.store(offer.count, Ordering::Release);
        }
        self.shared.is_offered.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Offer> {
        self.offer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, index: usize) {
        let mut seen = 0;
        while let Some(Pointer(job)) = self.take(&mut seen) {
            let leave = Leave(&self.inside);
            // SAFETY: the job lives until `inside` is back at zero.
            let job = unsafe { &*job };
            // A job that panics has said so, and fails on the thread that offered it; this one goes on.
            drop(panic::catch_unwind(AssertUnwindSafe(|| job(index))));
            drop(leave);
        }
    }

    /// Waits for an offer that this thread has not seen, and enters it.
    fn take(&self, seen: &mut u32) -> Option<Pointer> {
        let mut rounds = 0;
        while self.count.load(Ordering::Acquire) == *seen && rounds < SPIN {
            std::hint::spin_loop();
            rounds += 1;
        }
        let mut offer = self.lock();
        loop {
            if self.is_over.load(Ordering::Acquire) {
                return None;
            }
            if offer.count != *seen {
                *seen = offer.count;
                if offer.job.is_some() {
                    self.inside.fetch_add(1, Ordering::Relaxed);
                    return offer.job;
                }
            }
            offer = self
                .is_offered
                .wait(offer)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Leave<'a>(&'a AtomicU32);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Queue;

    #[test]
    fn engines_share_a_team() {
        let team = Team::of_size(2);
        assert!(Arc::ptr_eq(&team, &Team::of_size(2)));
        assert!(!Arc::ptr_eq(&team, &Team::of_size(3)));
    }

    #[test]
    fn a_busy_team_leaves_the_caller_alone_with_the_job() {
        let team = Team::of_size(2);
        let inner = AtomicU32::new(0);
        team.run(&|thread| {
            if thread == 0 {
                team.run(&|thread| {
                    assert_eq!(thread, 0);
                    inner.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(inner.into_inner(), 1);
    }

    #[test]
    fn a_chunk_that_panics_ends_the_run_and_not_the_team() {
        let team = Team::new(2);
        let starts: Vec<u32> = (0..=40).collect();
        for bad in [0, 1, 39] {
            let queue = Queue::new();
            let run = panic::catch_unwind(AssertUnwindSafe(|| {
                team.run(&|thread| {
                    queue.work(&starts, |step, _| assert_ne!(step, bad), wait);
                    if thread == 0 {
                        queue.wait_for(40, &wait);
                    }
                });
            }));
            assert!(run.is_err(), "chunk {bad}");
        }
        let queue = Queue::new();
        team.run(&|_| queue.work(&starts, |_, _| (), wait));
        queue.wait_for(40, &wait);
    }
}
