//! Children that die with this process, however it ends: a decoder of a file that never ends, or a download, would go on.
//!
//! Linux can do it; elsewhere a child ends when it writes into a pipe that nobody reads.

#[cfg(target_os = "linux")]
pub use linux::spawn;

/// Starts a process.
///
/// # Errors
///
/// If it cannot be started.
#[cfg(not(target_os = "linux"))]
pub fn spawn(mut command: std::process::Command) -> std::io::Result<std::process::Child> {
    command.spawn()
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "only the child itself can ask the system to be ended with its parent"
)]
mod linux {
    use std::{
        io,
        os::unix::process::CommandExt as _,
        process::{Child, Command},
        sync::{
            OnceLock,
            mpsc::{Sender, SyncSender, channel, sync_channel},
        },
        thread,
    };

    struct Order {
        command: Command,
        reply: SyncSender<io::Result<Child>>,
    }

    /// Starts a process that is ended with this one. A child dies with the thread that started it, so one thread that never
    /// ends starts them all.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn(mut command: Command) -> io::Result<Child> {
        static NURSERY: OnceLock<Sender<Order>> = OnceLock::new();
        bind(&mut command);
        let nursery = NURSERY.get_or_init(|| {
            let (sender, orders) = channel::<Order>();
            thread::spawn(move || {
                for Order { mut command, reply } in orders {
                    // Whoever ordered waits for it.
                    let _ = reply.send(command.spawn());
                }
            });
            sender
        });
        let (reply, child) = sync_channel(1);
        let gone = || io::Error::other("the thread that starts programs has ended");
        nursery.send(Order { command, reply }).map_err(|_| gone())?;
        child.recv().map_err(|_| gone())?
    }

    /// Lets the child ask to be killed with its parent.
    fn bind(command: &mut Command) {
        let parent = std::process::id();
        // SAFETY: between fork and exec the closure makes two system calls and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // It may have died just before.
                match u32::try_from(libc::getppid()) == Ok(parent) {
                    true => Ok(()),
                    false => Err(io::Error::from_raw_os_error(libc::ESRCH)),
                }
            });
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        path::Path,
        process::{Command, Stdio},
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    /// Set for the copy of this test that stands in for the program.
    const ROLE: &str = "AFFECTLENS_TEST_PARENT";

    #[test]
    fn a_child_dies_with_its_parent_and_not_with_a_thread() {
        if let Some(file) = std::env::var_os(ROLE) {
            let mut command = Command::new("sleep");
            command
                .arg("100")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            // Started by a thread that ends at once.
            let child = thread::spawn(|| spawn(command)).join().expect("no panic");
            let child = child.expect("sleep is there");
            thread::sleep(Duration::from_millis(100));
            std::fs::write(file, child.id().to_string()).expect("writable");
            // Dies without any chance to tidy up.
            std::process::abort();
        }
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("child");
        let this = std::env::current_exe().expect("is running");
        let status = Command::new(this)
            .args([
                "--exact",
                "tests::a_child_dies_with_its_parent_and_not_with_a_thread",
            ])
            .env(ROLE, &file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(!status.expect("runs").success());
        let child = std::fs::read_to_string(&file).expect("was started and lived on");
        let place = Path::new("/proc").join(child);
        let started = Instant::now();
        // A dead child may stay as a zombie until whoever inherits it looks.
        let is_alive = || {
            let state = std::fs::read_to_string(place.join("stat")).unwrap_or_default();
            !state.is_empty() && !state.contains(") Z ")
        };
        while is_alive() {
            assert!(started.elapsed() < Duration::from_secs(20), "it lives on");
            thread::sleep(Duration::from_millis(10));
        }
    }
}
