//! Progress on standard error: a bar on a terminal, a plain line now and then elsewhere, nothing when quiet.

use crate::output::note;
use indicatif::{ProgressBar, ProgressStyle};
use sngd::{Event, Progress};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two plain lines.
const EVERY: Duration = Duration::from_secs(10);

/// Where events are shown.
pub enum Shown {
    /// Nowhere.
    Quiet,
    /// A bar.
    Bar(ProgressBar),
    /// Plain lines, with the time when the last one was written.
    Lines(Instant),
}

impl Shown {
    /// The kind of display that fits standard error.
    pub fn new(quiet: bool) -> Shown {
        if quiet {
            Shown::Quiet
        } else if std::io::stderr().is_terminal() {
            Shown::Bar(ProgressBar::hidden())
        } else {
            Shown::Lines(Instant::now())
        }
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event) {
        match (self, event) {
            (Shown::Quiet, _) => {}
            (
                Shown::Bar(bar),
                Event::Started {
                    note: line, steps, ..
                },
            ) => {
                note(&format!("sngd: {line}"));
                *bar = ProgressBar::new(*steps);
                // No colours, so NO_COLOR needs no special case.
                let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            }
            (Shown::Bar(bar), Event::Progress(p)) => {
                bar.set_position(p.steps);
                bar.set_message(words(p));
            }
            (Shown::Bar(bar), Event::Finished(_)) => bar.finish_and_clear(),
            (Shown::Lines(_), Event::Started { note: line, .. }) => note(&format!("sngd: {line}")),
            (Shown::Lines(last), Event::Progress(p)) => {
                if last.elapsed() > EVERY {
                    *last = Instant::now();
                    note(&format!(
                        "sngd: step {} of {}, {}",
                        p.steps,
                        p.steps_total,
                        words(p)
                    ));
                }
            }
            (Shown::Lines(_), Event::Finished(o)) => note(&format!(
                "sngd: {} after {} steps and {} draws in {:.1} s",
                o.ending.name(),
                o.steps,
                o.draws,
                o.seconds
            )),
        }
    }
}

fn words(p: &Progress) -> String {
    let mut text = format!(
        "{}, {} steps/s, {} to go",
        if p.warmup { "warm-up" } else { "draws" },
        rate(p.steps_per_second),
        duration(p.eta_seconds)
    );
    if p.temperature.is_finite() {
        text += &format!(", T̂ {:.2}", p.temperature);
    }
    text + &format!(", {} divergences", p.divergences)
}

/// Three digits, in thousands from ten thousand on.
fn rate(per_second: f64) -> String {
    match per_second {
        r if !r.is_finite() => "?".into(),
        r if r < 10.0 => format!("{r:.2}"),
        r if r < 1e4 => format!("{r:.0}"),
        r => format!("{:.0}k", r / 1e3),
    }
}

fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".into();
    }
    let s = seconds.round() as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}
