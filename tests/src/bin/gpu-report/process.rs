//! Runs a program under a time limit, whatever it starts itself included.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How a program ended, and what it printed.
#[derive(Debug, Default)]
pub struct Ended {
    /// Whether it ended by itself with exit status 0.
    pub success: bool,
    /// Whether it was ended at its time limit.
    pub over_limit: bool,
    /// How it ended, in words: `exit status: 1`.
    pub status: String,
    /// Wall time.
    pub seconds: f64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long a killed program may take to go: one that waits in a driver cannot be ended, and must not hold up the rest.
const GOING: Duration = Duration::from_secs(3);

/// Runs a program to its end or to its limit. Both outputs are kept in `log` and in a file beside it.
pub fn run(command: &mut Command, limit: Duration, log: &Path) -> Ended {
    let begun = Instant::now();
    let shown = format!("{command:?}");
    let errors = log.with_extension("stderr.txt");
    // Files rather than pipes: a grandchild that outlives its parent holds a pipe open.
    let started = File::create(log).and_then(|out| {
        let command = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(File::create(&errors)?);
        in_its_own_group(command).spawn()
    });
    let mut child = match started {
        Ok(child) => child,
        Err(e) => {
            return Ended {
                status: format!("could not be started: {e}"),
                ..Ended::default()
            };
        }
    };
    let status = wait(&mut child, begun + limit);
    if status.is_none() {
        end(&mut child);
        let _ = wait(&mut child, Instant::now() + GOING);
    }
    let read = |path: &Path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = (read(log), read(&errors));
    if let Ok(mut file) = File::options().append(true).open(&errors) {
        let _ = writeln!(file, "$ {shown}");
    }
    Ended {
        success: status.is_some_and(|s| s.success()),
        over_limit: status.is_none(),
        status: status.map_or("ended at its limit".into(), |s| s.to_string()),
        seconds: begun.elapsed().as_secs_f64(),
        stdout,
        stderr,
    }
}

/// Waits for a program's end until a time.
fn wait(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Err(_) => return None,
            Ok(None) if Instant::now() >= until => return None,
            Ok(None) => std::thread::sleep(LOOK),
        }
    }
}

/// A process group of its own, so that what it starts can be ended with it.
fn in_its_own_group(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// Ends a program and, on Unix, all of its process group.
fn end(child: &mut Child) {
    if cfg!(unix) {
        // the shell's own kill: a minimal machine may have no other
        let group = format!("kill -9 -{}", child.id());
        let _ = Command::new("sh").args(["-c", &group]).status();
    }
    let _ = child.kill();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(text: &str, seconds: f64) -> Ended {
        let name = format!("gpu-report-{}-{}", std::process::id(), text.len());
        let log = std::env::temp_dir().join(name);
        let ended = run(
            Command::new("sh").args(["-c", text]),
            Duration::from_secs_f64(seconds),
            &log,
        );
        let _ = std::fs::remove_file(&log);
        let _ = std::fs::remove_file(log.with_extension("stderr.txt"));
        ended
    }

    #[test]
    fn what_a_program_says_and_how_it_ends_is_kept() {
        let e = shell("echo one; echo two >&2; exit 3", 20.0);
        assert!(!e.success && !e.over_limit, "{e:?}");
        assert_eq!((e.stdout.as_str(), e.stderr.as_str()), ("one\n", "two\n"));
        assert!(e.status.contains('3'), "{e:?}");
        assert!(shell("true", 20.0).success);
    }

    #[test]
    fn a_hang_costs_its_limit_and_no_more() {
        // the child of the child holds the output open, and ends with it
        let e = shell("sleep 61 & echo $!; sleep 62", 0.3);
        assert!(e.over_limit && !e.success && e.seconds < 10.0, "{e:?}");
        let grandchild = e.stdout.trim().to_owned();
        std::thread::sleep(Duration::from_millis(200));
        let state = std::fs::read_to_string(format!("/proc/{grandchild}/stat"));
        assert!(
            !cfg!(target_os = "linux") || state.is_err() || state.unwrap().contains(" Z "),
            "process {grandchild} still runs"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_a_row_too() {
        let e = run(
            &mut Command::new("/no/such/program"),
            Duration::from_secs(1),
            &std::env::temp_dir().join("gpu-report-none"),
        );
        assert!(
            !e.success && e.status.contains("could not be started"),
            "{e:?}"
        );
    }
}
