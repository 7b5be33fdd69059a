//! The likelihoods of the timed posteriors, and what their parameters are called.

/// The kind of response, with its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likelihood {
    /// Labels 0 or 1, logit link.
    Bernoulli,
    /// Labels 0 to classes − 1, one vector of weights for each class.
    Softmax,
    /// Counts whose mean is a rate times an exposure, log link.
    Poisson,
}

impl Likelihood {
    /// Its name in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Likelihood::Bernoulli => "bernoulli",
            Likelihood::Softmax => "softmax",
            Likelihood::Poisson => "poisson",
        }
    }
}

/// Names of the parameters as in `sngd summary`: class by class, the intercept first. `columns` is the number of features; `y` are the
/// responses, which say how many classes there are.
pub fn names(likelihood: Likelihood, columns: usize, y: &[f64]) -> Vec<String> {
    let classes = match likelihood {
        Likelihood::Softmax => y.iter().map(|&y| y as usize + 1).max().unwrap_or(1),
        Likelihood::Bernoulli | Likelihood::Poisson => 1,
    };
    let label = |k: usize, rest: &str| match (likelihood, rest) {
        (Likelihood::Softmax, "") => format!("intercept[{k}]"),
        (Likelihood::Softmax, x) => format!("weights[{k}, {x}]"),
        (_, "") => "intercept".into(),
        (_, x) => format!("weights[{x}]"),
    };
    (0..classes)
        .flat_map(|k| (0..=columns).map(move |j| (k, j)))
        .map(|(k, j)| match j {
            0 => label(k, ""),
            j => label(k, &format!("x{}", j - 1)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_named_class_by_class() {
        let y = [0.0, 1.0];
        assert_eq!(
            names(Likelihood::Softmax, 1, &y),
            [
                "intercept[0]",
                "weights[0, x0]",
                "intercept[1]",
                "weights[1, x0]"
            ]
        );
        assert_eq!(
            names(Likelihood::Bernoulli, 1, &y),
            ["intercept", "weights[x0]"]
        );
    }
}
