//! To which side the likelihood of a row stays above 0, where it has one output.

use sngd_core::likelihood::Likelihood;
use sngd_core::problem::Problem;

/// What a row asks of the movement aᵢᵀd of its one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It may grow: the likelihood of the row falls to 0 only the other way.
    Up,
    /// It may fall.
    Down,
    /// It must stay: the likelihood of the row falls to 0 both ways.
    Fixed,
}

/// The sides of a problem's rows. Every link of a binomial response has the same: its mean is 1 at one end, and 0 at the other.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    problem: &'a Problem,
    /// Of softmax, the class that is set against the others.
    class: Option<usize>,
}

impl<'a> Sides<'a> {
    /// The sides of a likelihood with one output; `None` where the likelihood has no sides, or is not known.
    pub fn new(problem: &'a Problem) -> Option<Sides<'a>> {
        let known = matches!(
            problem.likelihood,
            Likelihood::Binomial(_) | Likelihood::Poisson
        );
        known.then_some(Sides {
            problem,
            class: None,
        })
    }

    /// One class of softmax against the others.
    pub fn of_class(problem: &'a Problem, class: usize) -> Sides<'a> {
        Sides {
            problem,
            class: Some(class),
        }
    }

    /// The side of row i.
    pub fn of(self, i: usize) -> Side {
        let observed = self.problem.observed(i);
        match (self.class, &self.problem.likelihood) {
            (Some(class), _) if observed.y as usize == class => Side::Up,
            (Some(_), _) => Side::Down,
            (None, Likelihood::Binomial(_)) if observed.y >= observed.trials => Side::Up,
            (None, Likelihood::Binomial(_) | Likelihood::Poisson) if observed.y <= 0.0 => {
                Side::Down
            }
            _ => Side::Fixed,
        }
    }
}
