//! Ranks turned into normal scores: the "rank normalisation" of Vehtari et al. (2021).

use statrs::distribution::{ContinuousCDF, Normal};

/// Values with the places they came from, ascending by value.
pub(crate) struct Order(Vec<(f64, usize)>);

impl Order {
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut pairs: Vec<_> = values.iter().copied().zip(0..).collect();
        pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        Self(pairs)
    }

    /// Median: the middle value, or the mean of the two middle ones.
    pub(crate) fn median(&self) -> f64 {
        let n = self.0.len();
        let high = self.0[n / 2].0;
        if n % 2 == 1 {
            high
        } else {
            f64::midpoint(self.0[n / 2 - 1].0, high)
        }
    }

    /// The order of the distances from the median ("folding"), by merging the two sides.
    pub(crate) fn folded(&self) -> Self {
        let median = self.median();
        let start = self.0.partition_point(|pair| pair.0 < median);
        let mut left = self.0[..start]
            .iter()
            .rev()
            .map(|&(x, i)| ((x - median).abs(), i))
            .peekable();
        let mut right = self.0[start..]
            .iter()
            .map(|&(x, i)| ((x - median).abs(), i))
            .peekable();
        let mut merged = Vec::with_capacity(self.0.len());
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(l), Some(r)) if l.0 < r.0 => left.next(),
                (_, Some(_)) => right.next(),
                _ => left.next(),
            };
            match next {
                Some(pair) => merged.push(pair),
                None => return Self(merged),
            }
        }
    }

    /// Normal scores, in the original places of the values.
    ///
    /// With average rank r (from 1) among S values the score is the normal quantile of
    /// (r - 3/8) / (S + 1/4), Blom's choice and equation 14 of Vehtari et al. (2021).
    pub(crate) fn scores(&self) -> Vec<f64> {
        let normal = Normal::standard();
        let count = self.0.len() as f64;
        let mut scores = vec![0.0; self.0.len()];
        let mut start = 0;
        for ties in self.0.chunk_by(|a, b| a.0 == b.0) {
            let end = start + ties.len();
            let rank = (start + 1 + end) as f64 / 2.0;
            let score = normal.inverse_cdf((rank - 0.375) / (count + 0.25));
            for &(_, place) in ties {
                scores[place] = score;
            }
            start = end;
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.norm.ppf` at these probabilities.
    #[test]
    fn normal_quantiles_are_scipys() {
        let known = [
            (1e-10, -6.361_340_902_404_056),
            (1e-6, -4.753_424_308_822_899),
            (0.001, -3.090_232_306_167_813),
            (0.05, -1.644_853_626_951_472_9),
            (0.3, -0.524_400_512_708_041),
            (0.499_999, -2.506_628_274_566_559_3e-6),
            (0.75, 0.674_489_750_196_081_7),
            (0.999, 3.090_232_306_167_813),
            (0.999_999_9, 5.199_337_582_290_661),
        ];
        for (p, z) in known {
            let ours = Normal::standard().inverse_cdf(p);
            assert!(
                (ours / z - 1.0).abs() < 1e-9,
                "quantile of {p}: {ours}, not {z}"
            );
        }
    }

    #[test]
    fn folding_is_the_order_of_the_distances() {
        let values = [3.0, -1.0, 2.0, 2.0, 10.0, 0.5, -4.0];
        let order = Order::of(&values);
        let distances: Vec<_> = values.iter().map(|x| (x - 2.0f64).abs()).collect();
        assert_eq!(order.median(), 2.0);
        assert_eq!(order.folded().scores(), Order::of(&distances).scores());
    }
}
