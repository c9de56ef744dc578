//! Runs the programs that fetch packages.

use std::io::{Read, Seek, SeekFrom};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::WeightsError;

/// Lines of the program's error output that go into a message.
const QUOTED_LINES: usize = 5;

/// Bytes of the program's error output, at its end, that are looked at for a message.
const QUOTED_BYTES: u64 = 1 << 16;

/// Runs a program to its end, without input and without output on the terminal. It is ended with this process.
///
/// # Errors
///
/// [`WeightsError::Command`] if it cannot start, fails, or is not done after `limit`; then it is ended.
pub(crate) fn run(mut program: Command, limit: Duration) -> Result<(), WeightsError> {
    let words: Vec<_> = std::iter::once(program.get_program())
        .chain(program.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let failed = |reason: String| WeightsError::Command {
        command: words.join(" "),
        reason,
    };
    // A file instead of a pipe: a program that writes much cannot block on a reader that waits for it.
    let mut errors =
        tempfile::tempfile().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let stderr = errors
        .try_clone()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    program
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr);
    let mut child = affectlens_process::spawn(program).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let name = &words[0];
            failed(format!("cannot be started: `{name}` is not installed"))
        }
        _ => failed(format!("cannot be started: {error}")),
    })?;
    let start = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(20)),
            ended => {
                // Nothing more can be done about a program that does not even end.
                let _ = child.kill().and_then(|()| child.wait().map(drop));
                let reason = match ended {
                    Err(error) => format!("cannot be watched: {error}"),
                    Ok(_) => format!("is not done after {} s", limit.as_secs()),
                };
                return Err(failed(reason));
            }
        }
    };
    if status.success() {
        return Ok(());
    }
    Err(failed(format!(
        "failed ({status}): {}",
        last_lines(&mut errors)
    )))
}

fn last_lines(file: &mut std::fs::File) -> String {
    let mut bytes = Vec::new();
    let read = file.metadata().and_then(|found| {
        let start = found.len().saturating_sub(QUOTED_BYTES);
        file.seek(SeekFrom::Start(start))?;
        file.take(QUOTED_BYTES).read_to_end(&mut bytes)
    });
    if read.is_err() {
        return "its error output is lost".to_owned();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn run(program: &str, arguments: &[&str], limit: Duration) -> Result<(), WeightsError> {
        let mut command = Command::new(program);
        command.args(arguments);
        super::run(command, limit)
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run("no-such-program-here", &["x"], LIMIT).expect_err("not installed");
        assert_eq!(
            error.to_string(),
            "`no-such-program-here x` cannot be started: `no-such-program-here` is not installed"
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_last_lines_of_a_failure_are_quoted() {
        let script = "for i in 1 2 3 4 5 6 7; do echo line $i >&2; done; exit 3";
        let text = run("sh", &["-c", script], LIMIT)
            .expect_err("exit 3")
            .to_string();
        assert!(
            text.ends_with("failed (exit status: 3): line 3 / line 4 / line 5 / line 6 / line 7"),
            "{text}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_hangs_is_ended() {
        let start = Instant::now();
        let error = run("sleep", &["60"], Duration::from_millis(100)).expect_err("hangs");
        assert_eq!(error.to_string(), "`sleep 60` is not done after 0 s");
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
