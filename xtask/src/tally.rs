//! Adds up the result lines of `cargo test`, and remembers the slowest tests.

/// How the line begins in which the runner names the package of the tests that follow.
pub const PACKAGE: &str = "tests of ";

/// How many of the slowest tests are listed.
const SLOWEST: usize = 10;

/// Counts of tests over all test binaries of a run.
#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
    heading: String,
    package: String,
    /// Seconds and name of every test.
    times: Vec<(f64, String)>,
}

impl Tally {
    /// Names what the tests that follow run on.
    pub fn under(&mut self, heading: &str) {
        heading.clone_into(&mut self.heading);
    }

    /// Reads one line of output: `test NAME ... ok <1.2s>`, `test result: ...`, or a package's name.
    pub fn read(&mut self, line: &str) {
        if let Some(package) = line.strip_prefix(PACKAGE) {
            self.package = package.trim().to_owned();
        } else if let Some((_, counts)) = line.split_once("test result: ") {
            self.count(counts);
        } else if let Some((name, seconds)) = time(line) {
            let name = format!("{} {name}, {}", self.package, self.heading);
            self.times.push((seconds, name));
        }
    }

    fn count(&mut self, counts: &str) {
        for part in counts.split(['.', ';']) {
            let Some((number, what)) = part.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// The slowest tests, one a line.
    pub fn slowest(&self) -> String {
        let mut times: Vec<&(f64, String)> = self.times.iter().collect();
        times.sort_by(|a, b| b.0.total_cmp(&a.0));
        let all: f64 = times.iter().map(|t| t.0).sum();
        let mut text = format!("== slowest of {} tests, {all:.0} s in all\n", times.len());
        for (seconds, name) in times.into_iter().take(SLOWEST) {
            text.push_str(&format!("{seconds:7.1} s  {name}\n"));
        }
        text
    }
}

/// Name and seconds of a test in a line of the test harness with its times.
fn time(line: &str) -> Option<(&str, f64)> {
    let (rest, seconds) = line.trim_end().strip_suffix("s>")?.rsplit_once('<')?;
    // other threads' words may stand before, colours around the verdict
    let (_, rest) = rest.split_once("test ")?;
    let (name, _) = rest.split_once(" ... ")?;
    Some((name, seconds.parse().ok()?))
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "total: {} passed, {} failed, {} skipped",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let mut tally = Tally::default();
        tally.read("test philox ... ok\n");
        tally.read("test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 7 filtered out; finished in 0.01s\n");
        tally.read("test result: \u{1b}[31mFAILED\u{1b}[0m. 4 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n");
        assert_eq!((tally.passed, tally.failed, tally.ignored), (16, 1, 3));
        assert_eq!(tally.to_string(), "total: 16 passed, 1 failed, 3 skipped");
        assert!(tally.times.is_empty());
    }

    #[test]
    fn the_slowest_tests_are_told_with_crate_and_heading() {
        let mut tally = Tally::default();
        tally.under("lavapipe");
        tally.read("tests of sngd-gpu\n");
        for i in 0..SLOWEST {
            tally.read(&format!("test quick{i} ... ok <0.00{i}s>\n"));
        }
        tally.read("test parity::mala ... \u{1b}[32mok\u{1b}[0m <12.345s>\n");
        tally.read("test long ... ignored\n");
        let text = tally.slowest();
        assert!(
            text.starts_with("== slowest of 11 tests, 12 s in all\n"),
            "{text}"
        );
        let first = text.lines().nth(1);
        assert_eq!(first, Some("   12.3 s  sngd-gpu parity::mala, lavapipe"));
        assert!(!text.contains("quick0"), "{text}");
    }
}
