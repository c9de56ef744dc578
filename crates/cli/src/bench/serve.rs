//! One network kept loaded for a benchmark that takes turns with other engines.
//!
//! A line of JSON when the first output is there, then one for each line of standard input: `run N`, `output`, `quit`.

use std::{
    fs,
    io::{self, BufRead as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::json;

use super::{
    Args,
    memory::{PEAK, memory},
    sound::StartedSound,
    timing::Started,
};
use affectlens::{audio::SAMPLE_RATE, kernel::Counters};

/// Answers until `quit` or the end of standard input.
pub(super) fn answer(file: &Path, input: &Path, batch: usize, args: &Args) -> Result<()> {
    let start_memory = memory("VmRSS:");
    let (mut started, output) = Started::new(
        file,
        batch,
        || args.open(),
        |facts, batch| {
            let wanted = batch * facts.input_len();
            read_floats(input, wanted)
        },
    )?;
    say(&json!({ "first_ms": started.first_ms, "adapter": started.adapter }))?;
    answer_lines(start_memory, &output, |count| match count {
        None => Ok((Vec::new(), started.network.counters())),
        Some(count) => {
            let times = (0..count).map(|_| started.run());
            Ok((times.collect::<Result<_>>()?, Counters::default()))
        }
    })
}

/// The same for a network that embeds sound.
pub(super) fn answer_sound(file: &Path, input: &Path, args: &Args) -> Result<()> {
    let start_memory = memory("VmRSS:");
    let samples = read_floats(input, usize::from(args.seconds) * SAMPLE_RATE as usize)?;
    let opened = args.open()?;
    let (mut started, output) = StartedSound::new(file, &opened, samples)?;
    say(&json!({ "first_ms": started.first_ms, "adapter": opened.adapter }))?;
    answer_lines(start_memory, &output, |count| {
        let times = (0..count.unwrap_or_default()).map(|_| started.run());
        Ok((times.collect::<Result<_>>()?, Counters::default()))
    })
}

/// `run` gives the times of some runs, or what the last run asked of the device.
fn answer_lines(
    start_memory: Option<u64>,
    output: &[f32],
    mut run: impl FnMut(Option<u32>) -> Result<(Vec<f64>, Counters)>,
) -> Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("run", count) => {
                let count: u32 = count.parse().with_context(|| format!("`{line}`"))?;
                say(&json!({ "times_ms": run(Some(count))?.0 }))?;
            }
            ("output", _) => say(&json!({ "output": output }))?,
            ("quit", _) => {
                let (_, stats) = run(None)?;
                return say(&json!({
                    "start_memory_bytes": start_memory,
                    "peak_memory_bytes": memory(PEAK),
                    "dispatches": stats.dispatches,
                    "read_backs": stats.read_backs,
                    "bytes_read_back": stats.bytes_read_back,
                }));
            }
            _ => bail!("`{line}`, expected `run N`, `output` or `quit`"),
        }
    }
    Ok(())
}

/// The first `wanted` values of a file.
fn read_floats(file: &Path, wanted: usize) -> Result<Vec<f32>> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let (values, _) = bytes.as_chunks::<4>();
    if values.len() < wanted {
        bail!(
            "`{}` has {} values, expected at least {wanted}",
            file.display(),
            values.len()
        );
    }
    Ok(values[..wanted]
        .iter()
        .map(|&value| f32::from_le_bytes(value))
        .collect())
}

fn say(answer: &impl Serialize) -> Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
