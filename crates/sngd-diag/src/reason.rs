//! Why a quantity has no diagnostics, in one sentence.

use std::fmt;

/// Why some diagnostics of a quantity are NaN.
///
/// Chains and draws count from 0. `Display` is the sentence to print.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// A draw is NaN or infinite. Nothing is computed from such draws, the mean included.
    NonFinite {
        /// First chain with such a draw.
        chain: usize,
        /// Its first draw that is not finite.
        draw: usize,
        /// That draw.
        value: f64,
    },
    /// Fewer than four draws per chain: a chain cannot be split into halves that vary.
    TooFewDraws {
        /// Draws per chain.
        draws: usize,
    },
    /// Every draw of every chain is the same number.
    Constant {
        /// That number.
        value: f64,
    },
    /// A chain never moved while another did, or none moved and they are at different values.
    Stuck {
        /// First chain that never moved.
        chain: usize,
        /// The value where it stays.
        value: f64,
        /// Number of its draws.
        draws: usize,
        /// How many further chains never moved.
        others: usize,
    },
    /// A chain of 20 or more draws stopped moving in its first half, at a value that no other
    /// draw has.
    Froze {
        /// First chain that stopped.
        chain: usize,
        /// First draw of the run of equal draws that lasts to its end.
        from: usize,
        /// The value where it stays.
        value: f64,
    },
    /// The draws are finite, but their squares or their sum is not.
    Overflow {
        /// The draw furthest from zero.
        value: f64,
    },
    /// There is only one chain, and R-hat compares chains. Only R-hat is NaN.
    OneChain,
    /// At least 95% of the draws equal the largest one, so no draw is above either tail quantile and
    /// the mixing of the tails cannot be seen. Only the tail ESS is NaN.
    FlatTails {
        /// The 5% quantile, which is also the 95% quantile.
        value: f64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NonFinite { chain, draw, value } => {
                write!(
                    f,
                    "chain {chain} holds {value} at draw {draw}, so nothing can be computed"
                )
            }
            Self::TooFewDraws { draws } => write!(
                f,
                "{draws} draws per chain are too few: the diagnostics need at least 4"
            ),
            Self::Constant { value } => {
                write!(
                    f,
                    "every draw of every chain is {value}: the quantity never varied"
                )
            }
            Self::Stuck {
                chain,
                value,
                draws,
                others,
            } => {
                write!(
                    f,
                    "chain {chain} is stuck at {value} for all its {draws} draws"
                )?;
                match others {
                    0 => Ok(()),
                    1 => write!(f, ", and so is 1 other chain"),
                    _ => write!(f, ", and so are {others} other chains"),
                }
            }
            Self::Froze { chain, from, value } => {
                write!(
                    f,
                    "chain {chain} froze at {value} from draw {from} to its end"
                )
            }
            Self::Overflow { value } => {
                write!(
                    f,
                    "the draws reach {value:e}, whose square is beyond double precision"
                )
            }
            Self::OneChain => {
                write!(f, "there is one chain, and R-hat compares at least 2")
            }
            Self::FlatTails { value } => write!(
                f,
                "the 5% and 95% quantiles are both {value}, the largest draw, so the tails hold \
                 nothing to measure"
            ),
        }
    }
}
