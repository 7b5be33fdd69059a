//! One turn of one contender: a whole process is timed, and its moments are judged as they come.

use super::likelihood::Likelihood;
use super::problem::{Files, Problem};
use super::python;
use super::score::{Checkpoint, Errors, Reference, extrapolated};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A program that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    /// Name on the command line and in the table.
    pub name: &'static str,
    /// Script in `benches/peers`; none for `sngd` itself.
    script: Option<&'static str>,
    arguments: &'static [&'static str],
}

const fn peer(
    name: &'static str,
    script: &'static str,
    arguments: &'static [&'static str],
) -> Contender {
    Contender {
        name,
        script: Some(script),
        arguments,
    }
}

/// `sngd` itself.
pub const SNGD: Contender = Contender {
    name: "sngd",
    script: None,
    arguments: &[],
};

/// All programs that `sngd` is compared with.
pub const PEERS: [Contender; 6] = [
    peer("numpyro-nuts", "numpyro_nuts.py", &[]),
    peer("blackjax-nuts", "blackjax_nuts.py", &[]),
    peer("blackjax-sgld", "blackjax_sgld.py", &[]),
    peer(
        "sklearn-newton-cholesky",
        "sklearn_fit.py",
        &["--solver", "newton-cholesky"],
    ),
    peer("sklearn-lbfgs", "sklearn_fit.py", &["--solver", "lbfgs"]),
    peer("statsmodels", "statsmodels_fit.py", &[]),
];

/// The contenders of a bench: `sngd`, and with `peers` the named peers, or all if none are named.
pub fn chosen(peers: bool, names: &[String]) -> anyhow::Result<Vec<Contender>> {
    let mut all = vec![SNGD];
    if names.is_empty() && peers {
        all.extend(PEERS);
    }
    for n in names {
        let found = PEERS.iter().find(|p| p.name.eq_ignore_ascii_case(n));
        all.push(*found.ok_or_else(|| {
            let known: Vec<&str> = PEERS.iter().map(|p| p.name).collect();
            anyhow::anyhow!("--peer: found {n}, expected one of {}", known.join(", "))
        })?);
    }
    Ok(all)
}

/// Result of one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Wall time in seconds with the errors at that time.
    pub curve: Vec<(f64, Errors)>,
    /// How it ended.
    pub end: End,
    /// Smallest effective sample size of a parameter per second of wall time.
    pub ess_per_second: Option<f64>,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// Within the bounds after so many seconds.
    Met(f64),
    /// Not within the bounds at its end: the seconds it took, and those it would need by extrapolation.
    Short(f64, Option<f64>),
    /// It gave no moments to judge, for this reason.
    Failed(String),
}

impl Turn {
    fn failed(why: String) -> Turn {
        Turn {
            curve: Vec::new(),
            end: End::Failed(why),
            ess_per_second: None,
        }
    }
}

impl Contender {
    /// Whether the contender can fit this problem's model.
    pub fn takes(&self, problem: &Problem) -> bool {
        self.script != Some("statsmodels_fit.py") || problem.likelihood != Likelihood::Softmax
    }

    /// Runs one turn. `reference` judges it; `budget` is in seconds; `device` is that of `sngd`, its own choice where none is given.
    pub fn turn(
        &self,
        files: &Files,
        reference: &Reference,
        budget: f64,
        device: Option<&str>,
    ) -> anyhow::Result<Turn> {
        match self.script {
            None => sngd(files, reference, device),
            Some(script) => {
                let python = python::find(script)?;
                let mut command = Command::new(&python.program);
                command.arg(&python.script).args(self.arguments);
                let log = files.peer.with_extension(format!("{}.log", self.name));
                watch(
                    command.arg("--problem").arg(&files.peer),
                    &log,
                    reference,
                    budget,
                )
            }
        }
    }
}

/// Runs `sngd sample` with default settings, from its start to its end.
fn sngd(files: &Files, reference: &Reference, device: Option<&str>) -> anyhow::Result<Turn> {
    let program = std::env::current_exe()
        .map_err(|e| anyhow::anyhow!("the path of this program is not known ({e})"))?;
    let begun = Instant::now();
    let out = Command::new(program)
        .arg("sample")
        .arg(&files.run)
        .arg("--out")
        .arg(&files.trace)
        .args(["--force", "--quiet"])
        .args(device.into_iter().flat_map(|name| ["--device", name]))
        .output()?;
    let seconds = begun.elapsed().as_secs_f64();
    if !out.status.success() {
        return Ok(Turn::failed(last_line(&String::from_utf8_lossy(
            &out.stderr,
        ))));
    }
    let report = sngd::summarize_trace(&files.trace)?;
    let by_name = |name: &String| {
        report.rows.iter().find(|r| r.name == *name).ok_or_else(|| {
            anyhow::anyhow!(
                "{}: found no parameter {name}, expected it as in the reference",
                files.trace.display()
            )
        })
    };
    let rows = reference
        .names
        .iter()
        .map(by_name)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mean: Vec<f64> = rows.iter().map(|r| r.mean).collect();
    let sd: Vec<f64> = rows.iter().map(|r| r.sd).collect();
    let errors = Errors::of(&mean, Some(&sd), reference)?;
    Ok(Turn {
        curve: vec![(seconds, errors)],
        end: if errors.within() {
            End::Met(seconds)
        } else {
            // This run ends by itself, and the errors of a longer one are not known.
            End::Short(seconds, None)
        },
        ess_per_second: Some(report.min_ess_bulk / seconds),
    })
}

/// Starts a peer and judges each line of its output until one is within the bounds or the time is up.
pub fn watch(
    command: &mut Command,
    log: &Path,
    reference: &Reference,
    budget: f64,
) -> anyhow::Result<Turn> {
    let said = File::create(log).map_err(|e| {
        anyhow::anyhow!(
            "{} cannot be written ({e}); choose another folder with --dir",
            log.display()
        )
    })?;
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64());
    let deadline = Instant::now() + Duration::from_secs_f64(budget);
    let child = command
        .env("SNGD_BENCH_STARTED", format!("{started:.6}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(said)
        .spawn()?;
    let mut child = Ended(child);
    let lines = lines(&mut child.0);
    let mut curve = Vec::new();
    let mut last: Option<(Checkpoint, Errors)> = None;
    let mut rate = None;
    let mut out_of_time = false;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = match lines.recv_timeout(left) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                out_of_time = true;
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let Ok(point) = serde_json::from_str::<Checkpoint>(&line) else {
            continue;
        };
        let errors = Errors::of(&point.mean, point.sd.as_deref(), reference)?;
        curve.push((point.seconds, errors));
        // Not every checkpoint has an effective sample size.
        rate = point.ess.map(|ess| ess / point.seconds).or(rate);
        let met = errors.within();
        last = Some((point, errors));
        if met {
            break;
        }
    }
    let ended = if out_of_time || last.as_ref().is_some_and(|(_, e)| e.within()) {
        None
    } else {
        Some(child.0.wait()?)
    };
    drop(child);
    let Some((point, errors)) = last else {
        return Ok(Turn::failed(match ended {
            None => format!("no draw within {budget:.0} s"),
            Some(_) => last_line(&std::fs::read_to_string(log).unwrap_or_default()),
        }));
    };
    Ok(Turn {
        ess_per_second: rate,
        end: if errors.within() {
            End::Met(point.seconds)
        } else {
            End::Short(point.seconds, extrapolated(&point, &errors))
        },
        curve,
    })
}

/// A process that is killed at the end of its turn.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines that a process writes, read by a separate thread.
fn lines(child: &mut Child) -> Receiver<String> {
    let (send, receive) = channel();
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receive
}

fn last_line(text: &str) -> String {
    let last = text.lines().rev().find(|l| !l.trim().is_empty());
    last.map_or_else(
        || "it ended without a word".into(),
        |l| l.trim().to_string(),
    )
}

/// Makes the reference moments of a problem once, with `laplace_reference.py`.
pub fn make_reference(files: &Files) -> anyhow::Result<()> {
    let python = python::find("laplace_reference.py")?;
    let part = PathBuf::from(format!("{}.part", files.reference.display()));
    let out = Command::new(&python.program)
        .arg(&python.script)
        .arg("--problem")
        .arg(&files.peer)
        .arg("--out")
        .arg(&part)
        .output()?;
    if !out.status.success() {
        anyhow::bail!(
            "{} failed on {}: {}",
            python.script.display(),
            files.peer.display(),
            last_line(&String::from_utf8_lossy(&out.stderr))
        );
    }
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        crate::output::note(line);
    }
    Ok(std::fs::rename(&part, &files.reference)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_told_by_name() {
        assert_eq!(chosen(false, &[]).unwrap(), [SNGD]);
        assert_eq!(chosen(true, &[]).unwrap().len(), 7);
        let one = chosen(true, &["statsmodels".into()]).unwrap();
        assert_eq!((one.len(), one[1].name), (2, "statsmodels"));
        let e = chosen(true, &["stan".into()]).unwrap_err().to_string();
        assert!(
            e.contains("found stan") && e.contains("numpyro-nuts"),
            "{e}"
        );
    }

    #[cfg(unix)]
    mod processes {
        use super::*;

        fn reference() -> Reference {
            Reference {
                names: vec!["a".into()],
                mean: vec![1.0],
                sd: vec![0.5],
            }
        }

        fn shell(text: &str, budget: f64) -> Turn {
            let dir = tempfile::tempdir().unwrap();
            let log = dir.path().join("log");
            watch(
                Command::new("sh").args(["-c", text]),
                &log,
                &reference(),
                budget,
            )
            .unwrap()
        }

        #[test]
        fn the_first_moments_within_the_bound_end_a_turn() {
            let begun = Instant::now();
            let turn = shell(
                r#"echo a word; echo '{"seconds":1.0,"mean":[2.0],"sd":[0.5],"ess":50}'
                   echo '{"seconds":2.0,"mean":[1.01],"sd":[0.51]}'; sleep 60"#,
                30.0,
            );
            assert_eq!(turn.end, End::Met(2.0));
            assert!(begun.elapsed() < Duration::from_secs(20), "it went on");
            assert_eq!(turn.curve.len(), 2);
            assert_eq!(turn.ess_per_second, Some(50.0));
        }

        #[test]
        fn a_turn_that_is_out_of_time_is_extrapolated() {
            let turn = shell(
                r#"echo '{"seconds":12.0,"before_draws":10.0,"mean":[1.1],"sd":[0.5]}'; sleep 60"#,
                0.5,
            );
            let End::Short(12.0, Some(t)) = turn.end else {
                panic!("{turn:?}")
            };
            assert!((t - 18.0).abs() < 1e-9, "{t}");
            let turn = shell("sleep 60", 0.2);
            assert_eq!(turn.end, End::Failed("no draw within 0 s".into()));
        }

        #[test]
        fn a_peer_that_fails_is_quoted() {
            let turn = shell("echo one >&2; echo no such module >&2; exit 1", 30.0);
            assert_eq!(turn.end, End::Failed("no such module".into()));
        }
    }
}
