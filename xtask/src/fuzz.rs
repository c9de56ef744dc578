//! Readers on damaged files, for minutes or hours.

use std::{process::Stdio, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::shell::{command, minutes, run, step};

/// The tests whose names begin so damage files: those of `affectlens-fuzz` targets.
const TARGETS: &str = "fuzz_";
/// Test binaries that targets are in.
const BUILT: [&str; 5] = ["test", "--workspace", "--lib", "--test", "fuzz"];

/// Runs all targets, which share the time and the processor's cores evenly.
///
/// # Errors
///
/// If a reader panics, hangs, takes too long or too much memory; the output names the input.
pub fn run_for(time: u64) -> Result<()> {
    step("building the readers and their targets");
    run(
        &mut command("cargo", [&BUILT[..], &["--no-run"]].concat()),
        minutes(60),
    )?;
    let targets = count()?;
    let threads = thread::available_parallelism()?.get();
    let seconds = (time * 60 * threads as u64).div_ceil(targets);
    step(&format!(
        "{targets} targets on damaged files, {seconds} s each, {threads} at a time"
    ));
    let arguments = [
        &BUILT[..],
        &["--no-fail-fast", TARGETS, "--", "--nocapture"],
    ]
    .concat();
    run(
        command("cargo", arguments)
            .arg(format!("--test-threads={threads}"))
            .env("AFFECTLENS_FUZZ_SECONDS", seconds.to_string())
            // Each run goes a way of its own.
            .env("AFFECTLENS_FUZZ_SEED", std::process::id().to_string()),
        // A target that runs alone at the end of its binary takes its whole time.
        minutes(10) + Duration::from_secs(60 * time + 4 * seconds),
    )
}

/// Number of targets.
fn count() -> Result<u64> {
    let arguments = [&BUILT[..], &[TARGETS, "--", "--list"]].concat();
    let listed = command("cargo", arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("cargo")?;
    ensure!(listed.status.success(), "the targets cannot be listed");
    let text = String::from_utf8_lossy(&listed.stdout);
    let targets = text.lines().filter(|line| line.ends_with(": test")).count();
    ensure!(targets > 0, "no test has a name that begins with {TARGETS}");
    Ok(targets as u64)
}
