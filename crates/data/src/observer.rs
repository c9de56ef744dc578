//! Who follows a long task.

use std::fmt::Display;

/// Follows a long task: the command line draws a bar and prints complaints, a test collects them.
pub trait Observer {
    /// A task begins. `task` says what is done (`embedding training`), `unit` what is counted (`pictures`), `total` how
    /// many of them there are, where that is known.
    fn begin(&self, task: &str, unit: &str, total: Option<u64>);

    /// The number of units of the task that are done.
    fn reach(&self, done: u64);

    /// The task is over.
    fn end(&self);

    /// One unit was skipped or is damaged; the task goes on.
    fn complain(&self, complaint: &dyn Display);

    /// Something worth knowing about the data.
    fn note(&self, note: &dyn Display);
}

/// Nobody follows.
impl Observer for () {
    fn begin(&self, _: &str, _: &str, _: Option<u64>) {}

    fn reach(&self, _: u64) {}

    fn end(&self) {}

    fn complain(&self, _: &dyn Display) {}

    fn note(&self, _: &dyn Display) {}
}

/// Collects complaints, for tests.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Complaints(pub(crate) std::cell::RefCell<Vec<String>>);

#[cfg(test)]
impl Observer for Complaints {
    fn begin(&self, _: &str, _: &str, _: Option<u64>) {}

    fn reach(&self, _: u64) {}

    fn end(&self) {}

    fn complain(&self, complaint: &dyn Display) {
        self.0.borrow_mut().push(complaint.to_string());
    }

    fn note(&self, _: &dyn Display) {}
}
