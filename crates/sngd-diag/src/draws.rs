//! The view that every diagnostic takes: one scalar quantity, chains x draws.

use crate::{DiagError, Reason};

/// The numbers behind a view: 64-bit floats, or the 32-bit floats of a device.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Double precision.
    F64(&'a [f64]),
    /// Single precision, widened as it is read.
    F32(&'a [f32]),
}

impl Values<'_> {
    /// Number of elements, of all quantities.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F64(v) => v.len(),
            Self::F32(v) => v.len(),
        }
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, index: usize) -> f64 {
        match self {
            Self::F64(v) => v[index],
            Self::F32(v) => f64::from(v[index]),
        }
    }
}

impl<'a> From<&'a [f64]> for Values<'a> {
    fn from(values: &'a [f64]) -> Self {
        Self::F64(values)
    }
}

impl<'a> From<&'a Vec<f64>> for Values<'a> {
    fn from(values: &'a Vec<f64>) -> Self {
        Self::F64(values)
    }
}

impl<'a, const N: usize> From<&'a [f64; N]> for Values<'a> {
    fn from(values: &'a [f64; N]) -> Self {
        Self::F64(values)
    }
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::F32(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Values<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Self::F32(values)
    }
}

/// The draws of one scalar quantity, chains x draws, read in place.
///
/// Draw `n` of chain `c` is `data[offset + c * chain_stride + n * draw_stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Draws<'a> {
    data: Values<'a>,
    chains: usize,
    draws: usize,
    chain_stride: usize,
    draw_stride: usize,
    offset: usize,
}

impl<'a> Draws<'a> {
    /// Draws per chain that the diagnostics need.
    pub(crate) const MIN: usize = 4;
    /// Shortest chain for which a constant second half counts as frozen rather than as a run of ties.
    const MIN_TO_FREEZE: usize = 20;

    /// A view of `chains` x `draws` values of `data`, with strides and offset in elements.
    ///
    /// # Errors
    /// [`DiagError::Empty`] with no chains, [`DiagError::OutOfBounds`] if the view would read past
    /// the end of `data`. No draws is no error: the diagnostics then say so.
    pub fn new(
        data: impl Into<Values<'a>>,
        chains: usize,
        draws: usize,
        chain_stride: usize,
        draw_stride: usize,
        offset: usize,
    ) -> Result<Self, DiagError> {
        let data = data.into();
        if chains == 0 {
            return Err(DiagError::Empty { axis: "chains" });
        }
        if draws > 0 {
            let last = (chains - 1)
                .checked_mul(chain_stride)
                .zip((draws - 1).checked_mul(draw_stride))
                .and_then(|(a, b)| a.checked_add(b)?.checked_add(offset))
                .unwrap_or(usize::MAX);
            if last >= data.len() {
                let len = data.len();
                return Err(DiagError::OutOfBounds {
                    chains,
                    draws,
                    reach: last,
                    len,
                });
            }
        }
        Ok(Self {
            data,
            chains,
            draws,
            chain_stride,
            draw_stride,
            offset,
        })
    }

    /// Draws stored chain after chain: `data[chains, draws]`, row-major.
    ///
    /// # Errors
    /// As [`Draws::new`].
    pub fn chain_major(
        data: impl Into<Values<'a>>,
        chains: usize,
        draws: usize,
    ) -> Result<Self, DiagError> {
        Self::new(data, chains, draws, draws, 1, 0)
    }

    /// Draws stored chain after chain, whose shape is known to fit.
    pub(crate) fn dense(values: &'a [f64], chains: usize, draws: usize) -> Self {
        debug_assert_eq!(values.len(), chains * draws);
        let data = Values::F64(values);
        Self {
            data,
            chains,
            draws,
            chain_stride: draws,
            draw_stride: 1,
            offset: 0,
        }
    }

    /// Quantity `index` of a block `data[n, C, P]`, row-major: n draws, C chains, P quantities.
    ///
    /// # Errors
    /// As [`Draws::new`]; [`DiagError::OutOfBounds`] also if `index` is not below `quantities`.
    pub fn from_block(
        data: impl Into<Values<'a>>,
        draws: usize,
        chains: usize,
        quantities: usize,
        index: usize,
    ) -> Result<Self, DiagError> {
        let data = data.into();
        let row = chains.checked_mul(quantities);
        match row {
            Some(row) if index < quantities => {
                Self::new(data, chains, draws, quantities, row, index)
            }
            _ => Err(DiagError::OutOfBounds {
                chains,
                draws,
                reach: usize::MAX,
                len: data.len(),
            }),
        }
    }

    /// Number of chains, C.
    #[must_use]
    pub fn chains(&self) -> usize {
        self.chains
    }

    /// Number of draws in each chain, n.
    #[must_use]
    pub fn draws(&self) -> usize {
        self.draws
    }

    /// Draw `draw` of chain `chain`, both from 0.
    ///
    /// # Panics
    /// If either is out of range.
    #[must_use]
    pub fn get(&self, chain: usize, draw: usize) -> f64 {
        assert!(
            chain < self.chains && draw < self.draws,
            "draw {draw} of chain {chain} is outside {} chains x {} draws",
            self.chains,
            self.draws
        );
        self.data
            .get(self.offset + chain * self.chain_stride + draw * self.draw_stride)
    }

    /// The draws of one chain, in order.
    pub fn chain(&self, chain: usize) -> impl DoubleEndedIterator<Item = f64> + '_ {
        (0..self.draws).map(move |draw| self.get(chain, draw))
    }

    /// Why no diagnostic of these draws can be trusted; `None` if they can.
    ///
    /// The checks, in order: a draw that is not finite, fewer than four draws, all draws equal, a
    /// chain that never moved, a chain of 20 or more draws whose second half stays at a value
    /// that no other draw has.
    #[must_use]
    pub fn fault(&self) -> Option<Reason> {
        self.non_finite().or_else(|| {
            if self.draws < Self::MIN {
                return Some(Reason::TooFewDraws { draws: self.draws });
            }
            self.unmoved().or_else(|| self.frozen())
        })
    }

    /// The first draw that is NaN or infinite.
    pub(crate) fn non_finite(&self) -> Option<Reason> {
        (0..self.chains).find_map(|chain| {
            let draw = self.chain(chain).position(|x| !x.is_finite())?;
            Some(Reason::NonFinite {
                chain,
                draw,
                value: self.get(chain, draw),
            })
        })
    }

    /// The reason if every draw of every chain is the same number.
    pub(crate) fn constant(&self) -> Option<Reason> {
        if self.draws == 0 {
            return None;
        }
        let value = self.get(0, 0);
        let all = (0..self.chains).all(|chain| self.chain(chain).all(|x| x == value));
        all.then_some(Reason::Constant { value })
    }

    fn unmoved(&self) -> Option<Reason> {
        if let Some(reason) = self.constant() {
            return Some(reason);
        }
        let mut still = (0..self.chains).filter(|&chain| {
            let first = self.get(chain, 0);
            self.chain(chain).all(|x| x == first)
        });
        let chain = still.next()?;
        let others = still.count();
        Some(Reason::Stuck {
            chain,
            value: self.get(chain, 0),
            draws: self.draws,
            others,
        })
    }

    fn frozen(&self) -> Option<Reason> {
        if self.draws < Self::MIN_TO_FREEZE {
            return None;
        }
        (0..self.chains).find_map(|chain| {
            let value = self.get(chain, self.draws - 1);
            let run = self.chain(chain).rev().take_while(|&x| x == value).count();
            let from = self.draws - run;
            if 2 * run < self.draws {
                return None;
            }
            // A quantity with few values, such as a rare event, may have a long run that is no freeze.
            let equal = |c| self.chain(c).filter(|&x| x == value).count();
            let met = (0..self.chains).map(equal).sum::<usize>() > run;
            (!met).then_some(Reason::Froze { chain, from, value })
        })
    }
}
