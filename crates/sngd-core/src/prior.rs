//! Priors: densities on the natural scale, one per coefficient.

use crate::real::Real;
use std::fmt;

/// Prior of a coefficient θ on the natural scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Prior {
    /// Improper prior, constant.
    Flat,
    /// Normal: mean, sd.
    Normal(f64, f64),
    /// Student-t: degrees of freedom, location, scale.
    StudentT(f64, f64, f64),
    /// Cauchy: location, scale.
    Cauchy(f64, f64),
    /// Laplace: location, scale.
    Laplace(f64, f64),
}

/// Prior of a positive scale σ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScalePrior {
    /// Improper prior, constant in σ > 0.
    Flat,
    /// Normal truncated to σ > 0: location, scale.
    HalfNormal(f64, f64),
    /// Cauchy truncated to σ > 0: location, scale.
    HalfCauchy(f64, f64),
    /// Exponential: rate.
    Exponential(f64),
    /// Inverse gamma: shape, scale.
    InvGamma(f64, f64),
}

/// Parses `name(a, b)` into its name and numbers.
fn call(text: &str) -> Option<(String, Vec<f64>)> {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('(') else {
        return Some((text.to_string(), Vec::new()));
    };
    let inner = rest.strip_suffix(')')?;
    let args = inner
        .split(',')
        .map(|a| a.trim().parse().ok())
        .collect::<Option<Vec<f64>>>()?;
    Some((name.trim().to_string(), args))
}

/// In the notation of a run file.
impl fmt::Display for Prior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Prior::Flat => f.write_str("flat"),
            Prior::Normal(m, s) => write!(f, "normal({m}, {s})"),
            Prior::StudentT(nu, m, s) => write!(f, "student_t({nu}, {m}, {s})"),
            Prior::Cauchy(m, s) => write!(f, "cauchy({m}, {s})"),
            Prior::Laplace(m, s) => write!(f, "laplace({m}, {s})"),
        }
    }
}

/// In the notation of a run file.
impl fmt::Display for ScalePrior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScalePrior::Flat => f.write_str("flat"),
            ScalePrior::HalfNormal(m, s) => write!(f, "half_normal({m}, {s})"),
            ScalePrior::HalfCauchy(m, s) => write!(f, "half_cauchy({m}, {s})"),
            ScalePrior::Exponential(rate) => write!(f, "exponential({rate})"),
            ScalePrior::InvGamma(a, b) => write!(f, "inv_gamma({a}, {b})"),
        }
    }
}

impl Prior {
    /// Reads `flat`, `normal(m, s)`, `student_t(nu, m, s)`, `cauchy(m, s)` or `laplace(m, s)`.
    pub fn parse(text: &str) -> Result<Prior, String> {
        let wrong = || {
            format!(
                "found \"{text}\", expected flat, normal(m, s), student_t(nu, m, s), cauchy(m, s) or laplace(m, s) with finite numbers and s, nu > 0"
            )
        };
        let (name, a) = call(text).ok_or_else(wrong)?;
        let finite = a.iter().all(|x| x.is_finite());
        let ok = |s: f64| finite && s > 0.0;
        match (name.as_str(), a.as_slice()) {
            ("flat", []) => Ok(Prior::Flat),
            ("normal", &[m, s]) if ok(s) => Ok(Prior::Normal(m, s)),
            ("student_t", &[nu, m, s]) if ok(s) && nu > 0.0 => Ok(Prior::StudentT(nu, m, s)),
            ("cauchy", &[m, s]) if ok(s) => Ok(Prior::Cauchy(m, s)),
            ("laplace", &[m, s]) if ok(s) => Ok(Prior::Laplace(m, s)),
            _ => Err(wrong()),
        }
    }

    /// Degrees of freedom ν, location and scale, as the kernels read them.
    pub fn arguments(self) -> [f64; 3] {
        match self {
            Prior::Flat => [0.0, 0.0, 1.0],
            Prior::Normal(m, s) | Prior::Laplace(m, s) => [0.0, m, s],
            Prior::StudentT(nu, m, s) => [nu, m, s],
            Prior::Cauchy(m, s) => [1.0, m, s],
        }
    }

    /// −ln density in nats, without its constant, and the derivative in θ.
    #[inline]
    pub fn cost<T: Real>(self, theta: T) -> (T, T) {
        let [nu, m, s] = self.arguments();
        let inv = T::of(1.0 / s);
        let r = (theta - T::of(m)) * inv;
        match self {
            Prior::Flat => (T::zero(), T::zero()),
            Prior::Normal(..) => (T::of(0.5) * r * r, r * inv),
            Prior::StudentT(..) | Prior::Cauchy(..) => {
                let a = T::of(0.5 * (nu + 1.0));
                let q = r * r / T::of(nu);
                (
                    a * q.ln_1p(),
                    T::of(2.0) * a * r * inv / (T::of(nu) * (T::one() + q)),
                )
            }
            Prior::Laplace(..) => (
                r.abs(),
                if r > T::zero() {
                    inv
                } else if r < T::zero() {
                    -inv
                } else {
                    T::zero()
                },
            ),
        }
    }

    /// The prior's Fisher information for its location: its contribution to Λ.
    pub fn information(self) -> f64 {
        match self {
            Prior::Flat => 0.0,
            Prior::Normal(_, s) | Prior::Laplace(_, s) => 1.0 / (s * s),
            Prior::StudentT(nu, _, s) => (nu + 1.0) / ((nu + 3.0) * s * s),
            Prior::Cauchy(_, s) => 0.5 / (s * s),
        }
    }

    /// The constant that `cost` leaves out of −ln density, in nats; 0 for the improper flat prior.
    pub fn log_norm(self) -> f64 {
        use std::f64::consts::{PI, TAU};
        match self {
            Prior::Flat => 0.0,
            Prior::Normal(_, s) => 0.5 * TAU.ln() + s.ln(),
            Prior::StudentT(nu, _, s) => {
                libm::lgamma(0.5 * nu) - libm::lgamma(0.5 * (nu + 1.0))
                    + 0.5 * (nu * PI).ln()
                    + s.ln()
            }
            Prior::Cauchy(_, s) => (PI * s).ln(),
            Prior::Laplace(_, s) => (2.0 * s).ln(),
        }
    }

    /// A draw from the prior: `u` is uniform in (0,1), `z` normal, `more` gives further uniforms. `None` for the flat prior.
    pub fn draw(self, u: f64, z: f64, more: &mut dyn FnMut() -> f64) -> Option<f64> {
        Some(match self {
            Prior::Flat => return None,
            Prior::Normal(m, s) => m + s * z,
            Prior::Cauchy(m, s) => m + s * (std::f64::consts::PI * (u - 0.5)).tan(),
            Prior::Laplace(m, s) => m - s * (u - 0.5).signum() * (1.0 - 2.0 * (u - 0.5).abs()).ln(),
            // Bailey's polar method: t = sqrt(ν(w^{−2/ν} − 1)/w)·v for (v, ·) in the unit disc.
            Prior::StudentT(nu, m, s) => loop {
                let (a, b) = (2.0 * more() - 1.0, 2.0 * more() - 1.0);
                let w = a * a + b * b;
                if w > 0.0 && w < 1.0 {
                    break m + s * a * (nu * (w.powf(-2.0 / nu) - 1.0) / w).sqrt();
                }
            },
        })
    }
}

impl ScalePrior {
    /// Reads `flat`, `half_normal(m, s)`, `half_cauchy(m, s)`, `exponential(rate)` or `inv_gamma(a, b)`.
    pub fn parse(text: &str) -> Result<ScalePrior, String> {
        let wrong = || {
            format!(
                "found \"{text}\", expected flat, half_normal(m, s), half_cauchy(m, s), exponential(rate) or inv_gamma(shape, scale) with finite numbers and s, rate, shape, scale > 0"
            )
        };
        let (name, a) = call(text).ok_or_else(wrong)?;
        if !a.iter().all(|x| x.is_finite()) {
            return Err(wrong());
        }
        match (name.as_str(), a.as_slice()) {
            ("flat", []) => Ok(ScalePrior::Flat),
            ("half_normal", &[s]) if s > 0.0 => Ok(ScalePrior::HalfNormal(0.0, s)),
            ("half_normal", &[m, s]) if s > 0.0 => Ok(ScalePrior::HalfNormal(m, s)),
            ("half_cauchy", &[s]) if s > 0.0 => Ok(ScalePrior::HalfCauchy(0.0, s)),
            ("half_cauchy", &[m, s]) if s > 0.0 => Ok(ScalePrior::HalfCauchy(m, s)),
            ("exponential", &[r]) if r > 0.0 => Ok(ScalePrior::Exponential(r)),
            ("inv_gamma", &[a, b]) if a > 0.0 && b > 0.0 => Ok(ScalePrior::InvGamma(a, b)),
            _ => Err(wrong()),
        }
    }

    /// Three numbers as the kernels read them: 0, then location and scale, or 0 and rate, or shape and scale.
    pub fn arguments(self) -> [f64; 3] {
        match self {
            ScalePrior::Flat => [0.0, 0.0, 1.0],
            ScalePrior::HalfNormal(m, s) | ScalePrior::HalfCauchy(m, s) => [0.0, m, s],
            ScalePrior::Exponential(rate) => [0.0, 0.0, rate],
            ScalePrior::InvGamma(a, b) => [0.0, a, b],
        }
    }

    /// −ln density of σ = e^u in nats, without its constant, and the derivative in u. The log-Jacobian is not included.
    #[inline]
    pub fn cost<T: Real>(self, u: T) -> (T, T) {
        let [_, m, s] = self.arguments();
        let sigma = u.exp();
        let (m, s) = (T::of(m), T::of(s));
        match self {
            ScalePrior::Flat => (T::zero(), T::zero()),
            ScalePrior::HalfNormal(..) => {
                let r = (sigma - m) / s;
                (T::of(0.5) * r * r, r * sigma / s)
            }
            ScalePrior::HalfCauchy(..) => {
                let r = (sigma - m) / s;
                let q = r * r;
                (q.ln_1p(), T::of(2.0) * r * sigma / (s * (T::one() + q)))
            }
            ScalePrior::Exponential(_) => (s * sigma, s * sigma),
            ScalePrior::InvGamma(..) => ((m + T::one()) * u + s / sigma, m + T::one() - s / sigma),
        }
    }

    /// A draw of log σ for a starting position, from the prior or a simpler law like it. `None` for the flat prior.
    pub fn draw_log(self, u: f64, z: f64) -> Option<f64> {
        let sigma = match self {
            ScalePrior::Flat => return None,
            ScalePrior::HalfNormal(m, s) => (m + s * z).abs(),
            ScalePrior::HalfCauchy(m, s) => (m + s * (std::f64::consts::FRAC_PI_2 * u).tan()).abs(),
            ScalePrior::Exponential(r) => -u.ln() / r,
            // The mode of the inverse gamma, jittered: a start need not follow the prior exactly.
            ScalePrior::InvGamma(a, b) => b / (a + 1.0) * (0.5 * z).exp(),
        };
        Some(sigma.max(1e-12).ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::slope;

    #[test]
    fn derivatives_match_finite_differences() {
        for p in [
            "flat",
            "normal(1, 2)",
            "student_t(3, -1, 0.5)",
            "cauchy(0, 2.5)",
            "laplace(1, 3)",
        ] {
            let p = Prior::parse(p).unwrap();
            for x in [-3.0, -0.4, 0.9, 7.0] {
                let fd = slope(|x| p.cost(x).0, x, 1e-6);
                assert!((fd - p.cost::<f64>(x).1).abs() < 1e-7, "{p:?} at {x}");
            }
        }
        for p in [
            "flat",
            "half_normal(0.5, 2)",
            "half_cauchy(2.5)",
            "exponential(0.3)",
            "inv_gamma(2, 3)",
        ] {
            let p = ScalePrior::parse(p).unwrap();
            for x in [-2.0, 0.1, 1.7] {
                let fd = slope(|x| p.cost(x).0, x, 1e-6);
                assert!((fd - p.cost::<f64>(x).1).abs() < 1e-6, "{p:?} at {x}");
            }
        }
    }

    /// Information of the location by quadrature of the squared score.
    #[test]
    fn information_is_the_expected_squared_score() {
        for p in [
            Prior::Normal(0.3, 1.7),
            Prior::StudentT(4.0, 0.0, 1.3),
            Prior::Cauchy(1.0, 0.8),
            Prior::Laplace(0.0, 2.0),
        ] {
            let (mut total, mut info) = (0.0, 0.0);
            let dt = 1e-4;
            let mut t: f64 = -1.0 + 0.5 * dt;
            while t < 1.0 {
                // x = t/(1 − t²) maps (−1, 1) to the line.
                let x = t / (1.0 - t * t);
                let jac = (1.0 + t * t) / (1.0 - t * t).powi(2);
                let (c, g) = p.cost::<f64>(x);
                let density = (-c - p.log_norm()).exp() * jac * dt;
                total += density;
                info += g * g * density;
                t += dt;
            }
            assert!((total - 1.0).abs() < 1e-3, "{p:?} {total}");
            assert!((info / p.information() - 1.0).abs() < 2e-3, "{p:?} {info}");
        }
    }

    #[test]
    fn a_wrong_prior_is_named() {
        let e = Prior::parse("norml(0, 1)").unwrap_err();
        assert!(e.contains("norml(0, 1)") && e.contains("student_t(nu, m, s)"));
        assert!(Prior::parse("normal(0, -1)").is_err());
        assert!(Prior::parse("normal(0, nan)").is_err());
        assert!(ScalePrior::parse("half_cauchy(0, 0)").is_err());
    }
}
