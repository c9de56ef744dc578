//! Runs other programs: visibly, and never for ever.

use std::{
    cell::RefCell,
    ffi::OsStr,
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::paths;

thread_local! {
    /// Where this thread's words and its programs' output go instead of ours.
    static LOG: RefCell<Option<File>> = const { RefCell::new(None) };
}

/// Says what is about to happen.
pub fn step(what: &str) {
    say(&format!("\n==> {what}"));
}

fn say(line: &str) {
    LOG.with_borrow_mut(|log| match log {
        // A log that cannot be written is no reason to stop.
        Some(log) => drop(writeln!(log, "{line}")),
        None => eprintln!("{line}"),
    });
}

/// Work that goes on beside other work, its output kept until it is asked for.
pub struct Beside {
    thread: thread::JoinHandle<Result<()>>,
    log: PathBuf,
}

impl Beside {
    /// Starts it; `name` is that of its log.
    ///
    /// # Errors
    ///
    /// If there is no place for the log.
    pub fn start(name: &str, work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<Self> {
        let folder = paths::target().join("beside");
        fs::create_dir_all(&folder)?;
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| log.display().to_string())?;
        let thread = thread::spawn(move || {
            LOG.set(Some(file));
            work()
        });
        Ok(Self { thread, log })
    }

    /// Waits for its end and shows its output.
    ///
    /// # Errors
    ///
    /// That of the work.
    pub fn finish(self) -> Result<()> {
        let result = self.thread.join();
        eprint!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        result.unwrap_or_else(|_| bail!("the work beside stopped"))
    }
}

/// A program with arguments, in the checkout, with cargo's output directory set.
pub fn command<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(paths::root())
        .env("CARGO_TARGET_DIR", paths::target())
        .env("AFFECTLENS_CACHE", paths::cache())
        .stdin(Stdio::null());
    command
}

/// Runs a program to its end, its output going where ours goes.
///
/// # Errors
///
/// If it cannot start, fails, or takes longer than `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = show(command);
    say(&format!("    {shown}"));
    LOG.with_borrow(|log| -> Result<()> {
        if let Some(log) = log {
            command.stdout(log.try_clone()?).stderr(log.try_clone()?);
        }
        Ok(())
    })?;
    let child = command
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start `{shown}`"))?;
    let started = Instant::now();
    let status = wait(child, limit).with_context(|| format!("`{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    let seconds = started.elapsed().as_secs();
    if seconds > 5 {
        say(&format!("    done in {seconds} s"));
    }
    Ok(())
}

/// Whether a program is there and answers `--version` (or the given arguments) with success.
pub fn answers(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn wait(mut child: Child, limit: Duration) -> Result<ExitStatus> {
    let started = Instant::now();
    let mut announced = 1;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > limit {
            end_group(&mut child);
            bail!(
                "did not end within {} minutes and was stopped",
                limit.as_secs() / 60
            );
        }
        if started.elapsed().as_secs() / 60 >= announced {
            say(&format!("    ... still at it after {announced} min"));
            announced += 1;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Ends a program together with those that it started.
pub fn end_group(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill")
        .args(["-KILL", "--", &group])
        .stderr(Stdio::null())
        .status();
    let _ = child.wait();
}

fn show(command: &Command) -> String {
    let mut shown = String::new();
    for (name, value) in command.get_envs() {
        let name = name.to_string_lossy();
        if let (Some(value), false) = (
            value,
            name == "CARGO_TARGET_DIR" || name == "AFFECTLENS_CACHE",
        ) {
            let _ = write!(shown, "{name}={} ", value.to_string_lossy());
        }
    }
    shown.push_str(&command.get_program().to_string_lossy());
    for argument in command.get_args() {
        let _ = write!(shown, " {}", argument.to_string_lossy());
    }
    shown
}

/// Minutes as a [`Duration`].
pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Copies a folder's files, folders within included.
///
/// # Errors
///
/// If the file system refuses.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_beside_keeps_its_output_and_its_error() {
        let beside = Beside::start("test", || {
            step("beside");
            run(&mut command("sh", ["-c", "echo out; exit 3"]), minutes(1))
        });
        let beside = beside.expect("a place for the log");
        let log = beside.log.clone();
        let error = beside.finish().expect_err("the program fails");
        assert!(error.to_string().contains("exit status: 3"), "{error}");
        let said = fs::read_to_string(log).expect("was written");
        assert!(said.contains("==> beside\n"), "{said}");
        assert!(said.ends_with("\nout\n"), "{said}");
    }
}
