//! Child processes that can neither hang the caller nor fill its memory, and that do not outlive it.

use std::{
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// Complaints that are kept of a process; what it writes beyond is read and dropped.
const MOST_COMPLAINTS: u64 = 1 << 20;

/// How often a process is asked whether it has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// A process that is ended when nobody needs it any more.
#[derive(Debug)]
pub(crate) struct Process(Child);

/// What a process wrote before it ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts a process without input whose output is read by the caller.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        affectlens_process::spawn(command).map(Self)
    }

    /// Both outputs; the caller reads them in threads of their own.
    pub(crate) fn outputs(&mut self) -> (impl Read + Send + use<>, impl Read + Send + use<>) {
        let stdout = self.0.stdout.take().expect("standard output is piped");
        let stderr = self.0.stderr.take().expect("standard error is piped");
        (stdout, stderr)
    }

    /// Ends the process.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] if it still runs then.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        // A killed process ends at once; without this it would stay as a zombie.
        let _ = self.0.wait();
    }
}

/// Runs a process to its end, and keeps the first `most` bytes of its output.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] if it takes longer than `limit`, others if it cannot be started.
pub(crate) fn run(command: Command, limit: Duration, most: u64) -> io::Result<Finished> {
    let deadline = Instant::now() + limit;
    let mut process = Process::start(command)?;
    let (stdout, stderr) = process.outputs();
    let (stdout, stderr) = (collect(stdout, most), collect(stderr, MOST_COMPLAINTS));
    let wait = |output: Receiver<Vec<u8>>| {
        let left = deadline.saturating_duration_since(Instant::now());
        output
            .recv_timeout(left)
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
    };
    let (stdout, stderr) = (wait(stdout)?, wait(stderr)?);
    Ok(Finished {
        status: process.wait_until(deadline)?,
        stdout,
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    })
}

/// Reads an output to its end in a thread of its own.
fn collect(mut output: impl Read + Send + 'static, most: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut kept = Vec::new();
        // An output that breaks off is as good as one that ends.
        let _ = output.by_ref().take(most).read_to_end(&mut kept);
        let _ = io::copy(&mut output, &mut io::sink());
        // Nobody waits any more once the limit is over.
        let _ = sender.send(kept);
    });
    receiver
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> io::Result<Finished> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, limit, 1 << 20)
    }

    #[test]
    fn outputs_longer_than_a_pipe_are_read_and_bounded() {
        let script = "head -c 3000000 /dev/zero; head -c 200000 /dev/zero >&2; exit 3";
        let finished = shell(script, Duration::from_secs(30)).expect("ends");
        assert_eq!(finished.stdout.len(), 1 << 20);
        assert_eq!(finished.stderr.len(), 200_000);
        assert_eq!(finished.status.code(), Some(3));
    }

    #[test]
    fn a_process_that_goes_on_is_ended() {
        for script in ["exec sleep 100", "exec >&- 2>&-; exec sleep 100"] {
            let started = Instant::now();
            let error = shell(script, Duration::from_millis(50)).expect_err("sleeps on");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(started.elapsed() < Duration::from_secs(50), "was ended");
        }
    }
}
