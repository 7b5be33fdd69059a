//! Standard output and standard error. A closed pipe is no error: whoever closed it has read enough.

use std::io::{self, ErrorKind, Write};

/// Gives standard output to `f` to write to.
pub fn with_stdout(f: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match f(&mut out).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(anyhow::anyhow!(
            "standard output cannot be written ({e}); check the space there"
        )),
        // The rest of the buffer has no reader.
        Err(_) => {
            let _ = out.into_parts();
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Writes a value as JSON to standard output.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    with_stdout(|out| writeln!(out, "{text}"))
}

/// Writes one sentence to standard error.
pub fn error(sentence: &str) {
    note(&format!("sngd: {sentence}"));
}

/// Writes a line to standard error.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The exit code that a report's verdict asks for.
pub fn verdict(report: &sngd::Report) -> u8 {
    match report.verdict.converged {
        true => 0,
        false => crate::NOT_CONVERGED,
    }
}
