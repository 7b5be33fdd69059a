//! The figure: errors over wall time, one panel per problem.

use super::report::Line;
use super::score::{Errors, MEAN_BOUND, SD_BOUND};
use sngd_reproduce::{Axis, Corner, Figure, Layer, Mark, Panel};

/// The larger of the two errors, each divided by its bound; of a fit only the error of the means.
fn excess(e: &Errors) -> f64 {
    let sd = e.sd.map_or(0.0, |sd| sd / SD_BOUND);
    sd.max(e.mean / MEAN_BOUND)
}

/// Draws a figure of these lines.
pub fn figure(lines: &[Line]) -> Figure {
    let mut problems: Vec<&str> = lines.iter().map(|l| l.problem).collect();
    problems.dedup();
    let panels = problems
        .iter()
        .map(|problem| {
            let of: Vec<&Line> = lines
                .iter()
                .filter(|l| l.problem == *problem && !l.curve.is_empty())
                .collect();
            let times = || of.iter().flat_map(|l| l.curve.iter().map(|c| c.0));
            let (first, last) = (
                times().fold(f64::INFINITY, f64::min),
                times().fold(0.0, f64::max),
            );
            let mut layers = Vec::new();
            if last > 0.0 {
                let bound = vec![(0.7 * first, 1.0), (1.4 * last, 1.0)];
                layers.push(Layer::new("the bound", 7, Mark::Dashed, bound));
            }
            for (i, l) in of.iter().enumerate() {
                let points: Vec<(f64, f64)> = l
                    .curve
                    .iter()
                    .map(|(t, e)| (*t, excess(e)))
                    .filter(|p| p.1.is_finite() && p.1 > 0.0)
                    .collect();
                if points.len() > 1 {
                    layers.push(Layer::new("", i, Mark::Line, points.clone()));
                }
                layers.push(Layer::new(l.contender, i, Mark::Dots, points));
            }
            Panel::new(
                *problem,
                Axis::log("wall time, s"),
                Axis::log("worst error / bound"),
                layers,
            )
            .legend_at(Corner::UpperRight)
        })
        .collect();
    Figure {
        title: "Errors of means and sds over wall time".into(),
        columns: problems.len().clamp(1, 3),
        panels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contender::{End, Turn};

    #[test]
    fn every_problem_has_a_panel_and_every_contender_its_dots() {
        let turn = |end| Turn {
            curve: [(1.0, 0.8), (4.0, 0.4)]
                .map(|(t, mean)| {
                    (
                        t,
                        Errors {
                            mean,
                            sd: Some(1.0),
                        },
                    )
                })
                .to_vec(),
            end,
            ess_per_second: None,
        };
        let lines = [
            Line::of("p", "sngd", &[turn(End::Met(4.0))]),
            Line::of("p", "nuts", &[turn(End::Short(4.0, None))]),
            Line::of("q", "sngd", &[turn(End::Met(4.0))]),
        ];
        let f = figure(&lines);
        assert_eq!(f.panels.len(), 2);
        let labels: Vec<&str> = f.panels[0]
            .layers
            .iter()
            .map(|l| l.label.as_str())
            .collect();
        assert_eq!(labels, ["the bound", "", "sngd", "", "nuts"]);
        assert_eq!(f.panels[0].layers[1].points, [(1.0, 8.0), (4.0, 4.0)]);
        let dir = tempfile::tempdir().unwrap();
        f.write_svg(&dir.path().join("f.svg")).unwrap();
        assert!(
            std::fs::read_to_string(dir.path().join("f.svg"))
                .unwrap()
                .contains("<svg")
        );
    }
}
