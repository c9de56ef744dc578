//! Bars and complaints on standard error.

use std::{
    cell::RefCell,
    fmt::Display,
    io::{IsTerminal as _, stderr},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use affectlens_data::Observer;

/// A bar that says what is done, how fast, and the time left; nothing where standard error is no terminal.
pub(super) fn progress(doing: &str, things: &str, count: Option<u64>) -> ProgressBar {
    let target = if stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let template =
        format!("{{msg}} {{bar:30}} {{pos}}/{{len}} {things}, {{per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).expect("a valid template");
    ProgressBar::with_draw_target(count, target)
        .with_style(style)
        .with_message(doing.to_owned())
}

/// Shows a long task as a bar, and complaints above it.
#[derive(Default)]
pub(super) struct Terminal {
    bar: RefCell<Option<ProgressBar>>,
}

impl Terminal {
    fn print(&self, line: &str) {
        match &*self.bar.borrow() {
            Some(bar) => bar.suspend(|| complain!("{line}")),
            None => complain!("{line}"),
        }
    }
}

impl Observer for Terminal {
    fn begin(&self, task: &str, unit: &str, total: Option<u64>) {
        self.bar.replace(Some(progress(task, unit, total)));
    }

    fn reach(&self, done: u64) {
        if let Some(bar) = &*self.bar.borrow() {
            bar.set_position(done);
        }
    }

    fn end(&self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn complain(&self, complaint: &dyn Display) {
        self.print(&format!("affectlens: {complaint}"));
    }

    fn note(&self, note: &dyn Display) {
        self.print(&note.to_string());
    }
}
