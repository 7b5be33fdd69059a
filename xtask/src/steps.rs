//! Records which steps ran, how they ended, and how long they took.

use std::time::Instant;

enum End {
    Passed,
    Failed(String),
    Skipped(String),
}

/// Steps in the order in which they ran.
#[derive(Default)]
pub struct Steps {
    done: Vec<(String, End, f64)>,
}

impl Steps {
    /// Runs a step under a heading; a failure is kept for the summary and the next step still runs.
    pub fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T, String>) -> Option<T> {
        println!("\n== {name}");
        let start = Instant::now();
        let outcome = step();
        let seconds = start.elapsed().as_secs_f64();
        let (end, value) = match outcome {
            Ok(value) => (End::Passed, Some(value)),
            Err(message) => {
                eprintln!("xtask: {name}: {message}");
                (End::Failed(message), None)
            }
        };
        self.done.push((name.to_owned(), end, seconds));
        value
    }

    /// Notes a step that cannot run here, and prints it.
    pub fn skip(&mut self, name: &str, reason: &str) {
        eprintln!("\n!! SKIPPED: {name}: {reason}");
        self.done
            .push((name.to_owned(), End::Skipped(reason.to_owned()), 0.0));
    }

    /// The summary for people, printed at the end.
    pub fn summary(&self) -> String {
        let width = self
            .done
            .iter()
            .map(|(name, ..)| name.len())
            .max()
            .unwrap_or(0);
        let mut text = String::from("\n== summary\n");
        for (name, end, seconds) in &self.done {
            let (word, note) = match end {
                End::Passed => ("ok", String::new()),
                End::Failed(message) => ("FAILED", format!("  {message}")),
                End::Skipped(reason) => ("SKIPPED", format!("  {reason}")),
            };
            text.push_str(&format!("{name:width$}  {word:7} {seconds:7.1} s{note}\n"));
        }
        text
    }

    /// An error that names the steps that failed.
    pub fn verdict(&self) -> Result<(), String> {
        let failed: Vec<&str> = self
            .done
            .iter()
            .filter(|(_, end, _)| matches!(end, End::Failed(_)))
            .map(|(name, ..)| name.as_str())
            .collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(format!("failed: {}", failed.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_whole_but_stops_nothing() {
        let mut steps = Steps::default();
        assert_eq!(steps.run("one", || Ok(7)), Some(7));
        assert_eq!(steps.verdict(), Ok(()));
        assert_eq!(
            steps.run("two", || Err::<(), _>("it broke".to_owned())),
            None
        );
        steps.skip("three", "no such tool");
        assert_eq!(steps.run("four", || Ok(())), Some(()));
        assert_eq!(steps.verdict(), Err("failed: two".to_owned()));
        let text = steps.summary();
        assert!(
            text.contains("FAILED") && text.contains("it broke"),
            "{text}"
        );
        assert!(
            text.contains("SKIPPED") && text.contains("no such tool"),
            "{text}"
        );
    }
}
