//! An engine in a process of its own, kept loaded: a line in, a line of JSON out.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A process that has given its first output.
pub struct Engine {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// From the weights file's bytes to the first output.
    pub first_ms: f64,
    /// What it runs on, in its own words.
    pub adapter: String,
}

impl Engine {
    /// Starts the process and waits for its first output.
    ///
    /// # Errors
    ///
    /// If it does not start or ends before.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("a process without pipes");
        };
        let mut engine = Self {
            child,
            input,
            output: BufReader::new(output),
            first_ms: 0.0,
            adapter: String::new(),
        };
        let hello = engine.read()?;
        engine.first_ms = hello["first_ms"].as_f64().context("no first_ms")?;
        engine.adapter = hello["adapter"].as_str().unwrap_or_default().to_owned();
        Ok(engine)
    }

    /// Milliseconds of each of `count` runs.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub fn run(&mut self, count: usize) -> Result<Vec<f64>> {
        let answer = self.ask(&format!("run {count}"))?;
        floats(&answer["times_ms"])
    }

    /// The first output.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub fn output(&mut self) -> Result<Vec<f64>> {
        floats(&self.ask("output")?["output"])
    }

    /// Ends the process; gives what it says about itself.
    ///
    /// # Errors
    ///
    /// If it has ended before.
    pub fn quit(mut self) -> Result<Value> {
        self.ask("quit")
    }

    fn ask(&mut self, line: &str) -> Result<Value> {
        writeln!(self.input, "{line}")?;
        self.input.flush()?;
        self.read()
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the process ended: {}", self.child.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn floats(values: &Value) -> Result<Vec<f64>> {
    let values = values.as_array().context("no list of numbers")?;
    Ok(values.iter().filter_map(Value::as_f64).collect())
}
