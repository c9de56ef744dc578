//! Bars on standard error.

use std::io::{IsTerminal as _, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
