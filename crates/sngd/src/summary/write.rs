//! Writes a summary as text and columns.

use super::{Measured, Report};
use std::io::{self, Write};

/// Lines of priors that are written where the table is cut.
const FIRST_PRIORS: usize = 6;
/// Nats per row below which a network says next to nothing: half a hundredth is a share of 1% of a variance.
const LITTLE: f64 = 0.005;

impl Report {
    /// Writes the priors, the table, at most `limit` rows of it, and the thermometers.
    ///
    /// # Errors
    /// The errors of the writer.
    pub fn write(&self, out: &mut dyn Write, limit: usize) -> io::Result<()> {
        crate::priors::write(
            out,
            &self.priors,
            if self.rows.len() > limit {
                FIRST_PRIORS
            } else {
                limit.max(FIRST_PRIORS)
            },
        )?;
        let nested = self.rows.iter().any(|r| r.nested_rhat.is_some());
        let width = self
            .rows
            .iter()
            .take(limit)
            .map(|r| r.name.chars().count())
            .max()
            .unwrap_or(0)
            .max(9);
        write!(
            out,
            "{:width$} {:>10} {:>9} {:>9} {:>10} {:>10} {:>8} {:>8} {:>6}",
            "parameter", "mean", "sd", "mcse", "hdi 3%", "hdi 97%", "ess bulk", "ess tail", "r-hat"
        )?;
        writeln!(out, "{}", if nested { " nested" } else { "" })?;
        for r in self.rows.iter().take(limit) {
            write!(
                out,
                "{:width$} {:>10} {:>9} {:>9} {:>10} {:>10} {:>8} {:>8} {:>6}",
                r.name,
                scaled(r.mean, r.sd),
                scaled(r.sd, r.sd),
                scaled(r.mcse_mean, 0.1 * r.sd),
                scaled(r.hdi_low, r.sd),
                scaled(r.hdi_high, r.sd),
                fixed(r.ess_bulk, 0),
                fixed(r.ess_tail, 0),
                fixed(r.rhat, 3)
            )?;
            match r.nested_rhat {
                Some(v) => writeln!(out, " {:>6}", fixed(v, 3))?,
                None => writeln!(out)?,
            }
        }
        if self.rows.len() > limit {
            writeln!(out, "... and {} more parameters", self.rows.len() - limit)?;
        }
        self.write_reasons(out)?;
        self.write_thermometers(out)
    }

    /// Writes each reason once, with the first parameter that has it.
    fn write_reasons(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut said: Vec<(&str, &str, usize)> = Vec::new();
        for r in &self.rows {
            let Some(reason) = &r.reason else { continue };
            match said.iter_mut().find(|(known, ..)| known == reason) {
                Some((_, _, count)) => *count += 1,
                None => said.push((reason, &r.name, 1)),
            }
        }
        for (reason, name, count) in said {
            let more = if count > 1 {
                format!(" and {} more", count - 1)
            } else {
                String::new()
            };
            writeln!(out, "no number for {name}{more}: {reason}")?;
        }
        Ok(())
    }

    fn write_thermometers(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{} chains x {} draws, {}; max r-hat {}, min ess {} bulk, {} tail; {} divergences",
            self.chains,
            self.draws,
            self.status,
            fixed(self.max_rhat, 3),
            fixed(self.min_ess_bulk, 0),
            fixed(self.min_ess_tail, 0),
            self.divergences
        )?;
        if let Some(scores) = &self.predictions {
            scores.write(out)?;
        }
        if let Some(share) = self.fallback_share.filter(|s| *s > 0.0) {
            writeln!(
                out,
                "in {:.3}% of the steps the minibatch noise was hotter than the target; those had full noise",
                100.0 * share
            )?;
        }
        if let Some(fault) = &self.fault {
            writeln!(out, "the run failed: {fault}")?;
        }
        let t = &self.thermometers;
        // Beside temperatures of each parameter, which assume nothing, these two assume a Gaussian posterior.
        let shape = t.gaussian == Some(false);
        let line = |m: &Measured| match &m.reason {
            None if shape => format!(
                "{}, by its shape: the posterior is not Gaussian",
                fixed(m.value, 4)
            ),
            None => format!("{} +- {}", fixed(m.value, 4), fixed(m.mcse, 4)),
            Some(r) if m.value.is_finite() => format!("{} (no error: {r})", fixed(m.value, 4)),
            Some(r) => format!("not known ({r})"),
        };
        if let Some(target) = t.target {
            writeln!(out, "temperature: target {target}")?;
            writeln!(
                out,
                "  from the spread, tr(S M)/P      {}",
                line(&t.covariance)
            )?;
            writeln!(out, "  from the cost, 2(E[C] - C*)/P   {}", line(&t.cost))?;
        }
        if let Some(law) = t.law {
            writeln!(
                out,
                "  of minibatch noise alone        {} (the law)",
                fixed(law, 4)
            )?;
        }
        self.write_gauges(out)?;
        self.write_gain(out)?;
        match (
            t.fisher_mismatch,
            t.fisher_eigenvalues,
            &t.fisher_mismatch_reason,
        ) {
            (Some(m), Some([low, high]), _) => writeln!(
                out,
                "fisher mismatch at the mode: {}, eigenvalues of F^-1 S_g from {} to {} (the law assumes 1)",
                fixed(m, 3),
                fixed(low, 3),
                fixed(high, 3)
            )?,
            (.., Some(why)) => writeln!(out, "fisher mismatch: not known ({why})")?,
            _ => {}
        }
        writeln!(out, "{}", self.verdict.sentence)
    }

    /// Writes the worst configurational temperature and the certificate of the means, one line each.
    fn write_gauges(&self, out: &mut dyn Write) -> io::Result<()> {
        let (Some(g), Some(target)) = (&self.gauges, self.thermometers.target) else {
            return Ok(());
        };
        let name = |i: usize| self.rows.get(i).map_or("?", |r| r.name.as_str());
        if let Some(i) = g.worst_temperature(target) {
            writeln!(
                out,
                "  of the spread of each parameter {} +- {} for {}, the furthest off",
                fixed(g.temperature[i], 4),
                fixed(g.temperature_error[i], 4),
                name(i)
            )?;
        }
        if let Some(i) = g.worst_shift() {
            writeln!(
                out,
                "certificate: without their Monte Carlo error and first-order bias the means move by {} sd at most ({}), known to {} sd; `sngd summary --exact` moves them",
                fixed(g.shift_sds[i].abs(), 3),
                name(i),
                fixed(g.shift_error[i], 4)
            )?;
        }
        Ok(())
    }

    /// Writes how much a network says of the response.
    fn write_gain(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(gain) = self.gain else { return Ok(()) };
        let little = match gain < LITTLE {
            true => {
                ": it says next to nothing of the response, as where features or priors have the wrong scale, or too few draws were taken"
            }
            false => "",
        };
        writeln!(
            out,
            "fit: {} nats per row above the same prediction for every row{little}",
            fixed(gain, 3)
        )
    }

    /// Prints the whole table; a closed standard output is no error.
    pub fn print(&self) {
        let _ = self.write(&mut io::stdout().lock(), usize::MAX);
    }
}

fn fixed(x: f64, decimals: usize) -> String {
    if x.is_nan() {
        "-".into()
    } else {
        format!("{x:.decimals$}")
    }
}

/// Formats `x` with the decimals that show three digits of `scale`.
fn scaled(x: f64, scale: f64) -> String {
    if x.is_nan() {
        return "-".into();
    }
    let digits = 2.0 - scale.abs().log10().floor();
    if x.abs() >= 1e8 || !(-6.0..=7.0).contains(&digits) {
        return format!("{x:.2e}");
    }
    format!("{x:.*}", digits.max(0.0) as usize)
}
