//! The figure of the workloads: time per chain-step over the number of rows.

use super::Line;
use sngd_reproduce::{Axis, Corner, Figure, Layer, Mark, Panel};

/// The start of a workload's name; workloads of one kind differ only in size.
fn kind(line: &Line) -> &'static str {
    line.workload.split('-').next().unwrap_or(line.workload)
}

/// Draws a figure of these lines, a layer for each kind of workload and engine.
pub fn figure(lines: &[Line]) -> Figure {
    let mut groups: Vec<(&str, &str, Vec<(f64, f64)>)> = Vec::new();
    for l in lines {
        let point = (l.rows as f64, 1e6 / l.chain_steps_per_second);
        match groups
            .iter_mut()
            .find(|(k, e, _)| *k == kind(l) && *e == l.engine)
        {
            Some((_, _, points)) => points.push(point),
            None => groups.push((kind(l), &l.engine, vec![point])),
        }
    }
    let mut layers = Vec::new();
    for (i, (kind, engine, mut points)) in groups.into_iter().enumerate() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if points.len() > 1 {
            layers.push(Layer::new("", i, Mark::Line, points.clone()));
        }
        layers.push(Layer::new(
            format!("{kind}, {engine}"),
            i,
            Mark::Dots,
            points,
        ));
    }
    let panel = Panel::new(
        "",
        Axis::log("rows, N"),
        Axis::log("time per chain-step, µs"),
        layers,
    );
    Figure {
        title: "Time per step over the number of rows".into(),
        columns: 1,
        panels: vec![panel.legend_at(Corner::UpperLeft)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_for_each_kind_and_engine() {
        let line = |workload, engine: &str, rows, rate| Line {
            workload,
            rows,
            engine: engine.into(),
            steps_per_second: 1.0,
            chain_steps_per_second: rate,
            gflops: 1.0,
            gbytes: 1.0,
            dispatches: None,
            gemm_share: 0.1,
            over_peer: None,
        };
        let f = figure(&[
            line("W8-n1e6", "cpu f32", 1_000_000, 1e5),
            line("W8-n1e4", "cpu f32", 10_000, 2e5),
            line("W9-n1e4", "cpu f32", 10_000, 1e3),
        ]);
        let layers = &f.panels[0].layers;
        assert_eq!(layers.len(), 3);
        assert_eq!(layers[0].points, [(1e4, 5.0), (1e6, 10.0)]);
        assert_eq!(layers[2].label, "W9, cpu f32");
    }
}
