//! A column of category labels: one index per row, and the sorted levels.

use sngd_core::table::{canonical_label, number_label};
use std::collections::HashMap;

/// Labels in the order of their first use; numbers are labels too, and `1`, `1.0` and `+1` are the same label.
#[derive(Debug, Default)]
pub(crate) struct LabelColumn {
    index: Vec<u32>,
    levels: Vec<String>,
    level_of: HashMap<String, u32>,
    /// Level of each spelling seen so far, so that a cell is only looked up, not parsed.
    level_of_spelling: HashMap<Box<[u8]>, u32>,
}

impl LabelColumn {
    pub fn grow(&mut self, rows: usize) {
        self.index.resize(rows, 0);
    }

    /// Stores the label of a row by its spelling. The caller must refuse empty and missing cells.
    pub fn set_text(&mut self, row: usize, cell: &[u8]) {
        let level = match self.level_of_spelling.get(cell) {
            Some(&level) => level,
            None => {
                let level = self.level(canonical_label(&String::from_utf8_lossy(cell)));
                self.level_of_spelling.insert(cell.into(), level);
                level
            }
        };
        self.index[row] = level;
    }

    pub fn set_number(&mut self, row: usize, value: f64) {
        self.index[row] = self.level(number_label(value));
    }

    fn level(&mut self, label: String) -> u32 {
        if let Some(&level) = self.level_of.get(&label) {
            return level;
        }
        // Memory is full long before a table has 2^32 distinct labels.
        let level = self.levels.len() as u32;
        self.levels.push(label.clone());
        self.level_of.insert(label, level);
        level
    }

    /// Index of each row `[N]` and the levels that occur, sorted by number if all are numbers, else as text; of the rows `kept`
    /// alone, which ascend, where they are given.
    pub fn finish(self, kept: Option<&[usize]>) -> (Vec<u32>, Vec<String>) {
        let Self {
            mut index,
            mut levels,
            ..
        } = self;
        if let Some(kept) = kept {
            index = kept.iter().map(|&row| index[row]).collect();
            let mut occurs = vec![false; levels.len()];
            index
                .iter()
                .for_each(|&level| occurs[level as usize] = true);
            let mut next = 0;
            let mut place = |occurs: &bool| {
                next += u32::from(*occurs);
                next.saturating_sub(1)
            };
            let place: Vec<u32> = occurs.iter().map(&mut place).collect();
            index
                .iter_mut()
                .for_each(|level| *level = place[*level as usize]);
            let mut at = occurs.iter();
            levels.retain(|_| at.next().copied().unwrap_or(true));
        }
        let numbers: Option<Vec<f64>> = levels.iter().map(|level| finite(level)).collect();
        let mut order: Vec<usize> = (0..levels.len()).collect();
        match numbers {
            Some(numbers) => order.sort_by(|&a, &b| {
                numbers[a]
                    .total_cmp(&numbers[b])
                    .then_with(|| levels[a].cmp(&levels[b]))
            }),
            None => order.sort_by(|&a, &b| levels[a].cmp(&levels[b])),
        }
        let mut rank = vec![0_u32; levels.len()];
        for (position, &level) in order.iter().enumerate() {
            rank[level] = position as u32;
        }
        for level in &mut index {
            *level = rank[*level as usize];
        }
        (
            index,
            order
                .into_iter()
                .map(|level| levels[level].clone())
                .collect(),
        )
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_sort_by_number_only_if_all_are_numbers() {
        let sorted = |cells: &[&str]| {
            let mut column = LabelColumn::default();
            column.grow(cells.len());
            for (row, cell) in cells.iter().enumerate() {
                column.set_text(row, cell.as_bytes());
            }
            column.finish(None)
        };
        assert_eq!(
            sorted(&["10", "9", "-1", "9.0"]),
            (vec![2, 1, 0, 1], vec!["-1".into(), "9".into(), "10".into()])
        );
        assert_eq!(
            sorted(&["10", "9", "b"]),
            (vec![0, 1, 2], vec!["10".into(), "9".into(), "b".into()])
        );
    }
}
