//! What is running, for the reports of those who end it.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// An input that takes longer than this hangs.
const HANG: Duration = Duration::from_secs(60);
/// How often somebody looks.
const LOOK: Duration = Duration::from_secs(1);

/// The execution of a target.
#[derive(Debug)]
pub(crate) struct Running {
    target: &'static str,
    input: Mutex<Vec<u8>>,
    pub(crate) executions: AtomicU64,
    is_over: AtomicBool,
}

thread_local! {
    static RUNNING: Cell<Option<&'static Running>> = const { Cell::new(None) };
}

/// Watches a target until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch(pub(crate) &'static Running);

impl Watch {
    pub(crate) fn over(target: &'static str) -> Self {
        Self(Running::begin(target))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
        RUNNING.set(None);
    }
}

impl Running {
    /// A target that runs on this thread, and somebody who ends the program if it hangs.
    fn begin(target: &'static str) -> &'static Self {
        let running: &'static Self = Box::leak(Box::new(Self {
            target,
            input: Mutex::default(),
            executions: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }));
        RUNNING.set(Some(running));
        thread::spawn(|| running.end_if_it_hangs());
        running
    }

    /// Notes the next input.
    pub(crate) fn next(&self, input: &[u8]) {
        let mut noted = self.input.lock().expect("nobody panics with it");
        noted.clear();
        noted.extend(input);
        self.executions.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps the input as a file and gives its place.
    pub(crate) fn keep(&self) -> PathBuf {
        let input = self.input.lock().expect("nobody panics with it");
        let folder = std::env::temp_dir().join("affectlens-fuzz");
        let number = self.executions.load(Ordering::Relaxed);
        let path = folder.join(format!("{}-{number}", self.target.replace(' ', "-")));
        let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, &*input));
        kept.unwrap_or_else(|error| complain(&format!("`{}`: {error}", path.display())));
        path
    }

    fn end_if_it_hangs(&self) {
        let mut seen = (0, 0);
        while !self.is_over.load(Ordering::Relaxed) {
            thread::sleep(LOOK);
            let number = self.executions.load(Ordering::Relaxed);
            seen = match number == seen.0 {
                true => (number, seen.1 + 1),
                false => (number, 0),
            };
            if Duration::from_secs(seen.1) > HANG {
                abort(self, "hangs");
            }
        }
    }
}

/// Ends the program with a report about what runs on this thread.
pub(crate) fn end(fault: &str) {
    if let Some(running) = RUNNING.get() {
        complain(&std::backtrace::Backtrace::force_capture().to_string());
        abort(running, fault);
    }
}

fn abort(running: &Running, fault: &str) -> ! {
    let path = running.keep();
    complain(&format!(
        "{}: an input {fault}: `{}`",
        running.target,
        path.display()
    ));
    std::process::abort()
}

/// Past the harness, which keeps what a test says until the test is over.
fn complain(text: &str) {
    // Nobody is left to hear that it failed.
    let _ = writeln!(std::io::stderr(), "{text}");
}
