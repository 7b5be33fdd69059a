//! Figures: panels of lines and points, drawn as SVG and PNG with an embedded font, so that no machine needs fonts.

use crate::error::Error;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::path::Path;
use std::sync::OnceLock;

static FONT: &[u8] = include_bytes!("../assets/DejaVuSans-subset.ttf");
const FAMILY: &str = "sans-serif";
const PANEL: (u32, u32) = (470, 350);
const TITLE: u32 = 34;
/// Pixels of the PNG per unit of the SVG.
const PNG_SCALE: u32 = 2;

/// Colours that colour-blind readers can distinguish (Okabe and Ito).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(140, 140, 140),
];

/// Black, for exact curves.
pub(crate) const BLACK_LINE: usize = 0;
/// Grey, for guide lines.
pub(crate) const GREY: usize = 7;

/// A figure: panels in rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Title above all panels.
    pub title: String,
    /// Panels per row.
    pub columns: usize,
    /// Panels in reading order.
    pub panels: Vec<Panel>,
}

/// One pair of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Title above the panel.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Layers from back to front.
    pub layers: Vec<Layer>,
    /// Where the legend is.
    pub legend: Corner,
}

/// A corner of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corner {
    /// Top left.
    UpperLeft,
    /// Top right.
    UpperRight,
    /// Bottom left.
    LowerLeft,
    /// Bottom right.
    LowerRight,
}

impl Panel {
    /// A panel with its legend at the top right.
    pub fn new(title: impl Into<String>, x: Axis, y: Axis, layers: Vec<Layer>) -> Panel {
        Panel {
            title: title.into(),
            x,
            y,
            layers,
            legend: Corner::UpperRight,
        }
    }

    /// Puts the legend in another corner.
    #[must_use]
    pub fn legend_at(mut self, corner: Corner) -> Panel {
        self.legend = corner;
        self
    }
}

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    label: String,
    log: bool,
    range: Option<(f64, f64)>,
}

impl Axis {
    /// A linear axis whose range covers the points.
    pub fn linear(label: impl Into<String>) -> Axis {
        Axis {
            label: label.into(),
            log: false,
            range: None,
        }
    }

    /// A logarithmic axis whose range covers the points.
    pub fn log(label: impl Into<String>) -> Axis {
        Axis {
            log: true,
            ..Axis::linear(label)
        }
    }

    /// Uses this range instead of that of the points.
    #[must_use]
    pub fn over(mut self, low: f64, high: f64) -> Axis {
        self.range = Some((low, high));
        self
    }

    fn place(&self, v: f64) -> f64 {
        if self.log { v.log10() } else { v }
    }

    /// Range of the axis, in logarithms if it is logarithmic, with a margin if it comes from the points.
    fn span(&self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        if let Some((a, b)) = self.range {
            return (self.place(a), self.place(b));
        }
        let (a, b) = values
            .map(|v| self.place(v))
            .filter(|v| v.is_finite())
            .fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        if a > b {
            return (0.0, 1.0);
        }
        let margin = if b > a {
            0.04 * (b - a)
        } else {
            0.5 * (1.0 + a.abs())
        };
        (a - margin, b + margin)
    }

    /// Round positions for labels, in the same coordinates as `span`.
    fn ticks(&self, (a, b): (f64, f64)) -> Vec<f64> {
        if self.log {
            let decades = (a.floor() as i32)..=(b.ceil() as i32);
            let steps: &[f64] = if b - a > 2.5 {
                &[1.0]
            } else {
                &[1.0, 2.0, 5.0]
            };
            return decades
                .flat_map(|e| steps.iter().map(move |s| f64::from(e) + s.log10()))
                .filter(|t| (a..=b).contains(t))
                .collect();
        }
        let rough = (b - a) / 5.0;
        let unit = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .iter()
            .map(|m| m * unit)
            .find(|s| *s >= rough)
            .unwrap_or(10.0 * unit);
        let first = (a / step).ceil() as i64;
        let last = (b / step).floor() as i64;
        (first..=last).map(|k| k as f64 * step).collect()
    }

    fn text(&self, v: f64) -> String {
        let v = if self.log { 10f64.powf(v) } else { v };
        if v.abs() < 1e-12 {
            return "0".into();
        }
        let digits = (2.0 - v.abs().log10().floor()).clamp(0.0, 6.0) as usize;
        let text = format!("{v:.digits$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').into()
        } else {
            text
        }
    }
}

/// How a layer is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A line through the points.
    Line,
    /// A dashed line.
    Dashed,
    /// Dots, with bars of one standard error where there are errors.
    Dots,
    /// Small faint dots.
    Cloud,
}

/// Points drawn in one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Label in the legend; no entry if empty.
    pub label: String,
    /// Index into the palette.
    pub colour: usize,
    /// How the points are drawn.
    pub mark: Mark,
    /// Coordinates x and y of each point.
    pub points: Vec<(f64, f64)>,
    /// Standard error of each y; empty if there are none.
    pub errors: Vec<f64>,
}

impl Layer {
    /// A layer without errors.
    pub fn new(
        label: impl Into<String>,
        colour: usize,
        mark: Mark,
        points: Vec<(f64, f64)>,
    ) -> Layer {
        Layer {
            label: label.into(),
            colour,
            mark,
            points,
            errors: Vec::new(),
        }
    }

    /// Dots with standard errors.
    pub fn dots(label: impl Into<String>, colour: usize, points: &[(f64, f64, f64)]) -> Layer {
        Layer {
            errors: points.iter().map(|p| p.2).collect(),
            ..Layer::new(
                label,
                colour,
                Mark::Dots,
                points.iter().map(|p| (p.0, p.1)).collect(),
            )
        }
    }

    fn rgb(&self) -> RGBColor {
        COLOURS[self.colour % COLOURS.len()]
    }
}

impl Figure {
    fn size(&self) -> (u32, u32) {
        let columns = self.columns.max(1) as u32;
        let rows = (self.panels.len() as u32).div_ceil(columns).max(1);
        (columns * PANEL.0, rows * PANEL.1 + TITLE)
    }

    /// Writes the figure as SVG.
    ///
    /// # Errors
    /// If it cannot be drawn or the file cannot be written.
    pub fn write_svg(&self, path: &Path) -> Result<(), Error> {
        register()?;
        let mut text = String::new();
        self.draw(SVGBackend::with_string(&mut text, self.size()), 1)
            .map_err(|why| Error::Draw {
                path: path.display().to_string(),
                why,
            })?;
        std::fs::write(path, text).map_err(|e| Error::Write {
            path: path.display().to_string(),
            why: e.to_string(),
        })
    }

    pub(crate) fn write_png(&self, path: &Path) -> Result<(), Error> {
        register()?;
        let (w, h) = self.size();
        let (w, h) = (w * PNG_SCALE, h * PNG_SCALE);
        let mut rgb = vec![0; 3 * (w * h) as usize];
        self.draw(BitMapBackend::with_buffer(&mut rgb, (w, h)), PNG_SCALE)
            .map_err(|why| Error::Draw {
                path: path.display().to_string(),
                why,
            })?;
        encode(path, &rgb, (w, h)).map_err(|why| Error::Write {
            path: path.display().to_string(),
            why,
        })
    }

    fn draw<B: DrawingBackend>(&self, backend: B, s: u32) -> Result<(), String> {
        let text = |e: DrawingAreaErrorKind<B::ErrorType>| e.to_string();
        let root = backend.into_drawing_area();
        root.fill(&WHITE).map_err(text)?;
        let below = root
            .margin(6 * s, 0, 0, 0)
            .titled(&self.title, (FAMILY, 16 * s).into_font())
            .map_err(text)?;
        let columns = self.columns.max(1);
        let cells = below.split_evenly((self.panels.len().div_ceil(columns).max(1), columns));
        for (panel, cell) in self.panels.iter().zip(&cells) {
            panel.draw(cell, s).map_err(text)?;
        }
        root.present().map_err(text)
    }
}

/// Writes pixels of three bytes as PNG.
fn encode(path: &Path, rgb: &[u8], (width, height): (u32, u32)) -> Result<(), String> {
    let file = std::fs::File::create(path).map_err(|e| e.to_string())?;
    let mut png = png::Encoder::new(std::io::BufWriter::new(file), width, height);
    png.set_color(png::ColorType::Rgb);
    png.set_depth(png::BitDepth::Eight);
    let mut writer = png.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(rgb).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())
}

impl Panel {
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        s: u32,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        let place = |&(x, y): &(f64, f64)| (self.x.place(x), self.y.place(y));
        let points = || self.layers.iter().flat_map(|l| &l.points);
        let (xs, ys) = (
            self.x.span(points().map(|p| p.0)),
            self.y.span(points().map(|p| p.1)),
        );
        let mut chart = ChartBuilder::on(area)
            .margin(8 * s)
            .caption(&self.title, (FAMILY, 13 * s))
            .x_label_area_size(38 * s)
            .y_label_area_size(56 * s)
            .build_cartesian_2d(
                Scale::new(xs, self.x.ticks(xs)),
                Scale::new(ys, self.y.ticks(ys)),
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(COLOURS[GREY].mix(0.25).stroke_width(s))
            .axis_style(COLOURS[GREY].stroke_width(s))
            .label_style((FAMILY, 11 * s))
            .axis_desc_style((FAMILY, 12 * s))
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .x_label_formatter(&|v| self.x.text(*v))
            .y_label_formatter(&|v| self.y.text(*v))
            .draw()?;
        for layer in &self.layers {
            let colour = layer.rgb();
            let line = colour.stroke_width(2 * s);
            let placed: Vec<(f64, f64)> = layer
                .points
                .iter()
                .map(place)
                .filter(|p| p.0.is_finite() && p.1.is_finite())
                .collect();
            let drawn = match layer.mark {
                Mark::Line => chart.draw_series(LineSeries::new(placed, line))?,
                Mark::Dashed => chart.draw_series(DashedLineSeries::new(
                    placed,
                    5 * s as i32,
                    4 * s as i32,
                    line,
                ))?,
                Mark::Cloud => {
                    let dot = |p| Circle::new(p, (3 * s / 2) as i32, colour.mix(0.35).filled());
                    chart.draw_series(placed.into_iter().map(dot))?
                }
                Mark::Dots => {
                    let bars = layer.points.iter().zip(&layer.errors).map(|(&(x, y), e)| {
                        let low = if self.y.log {
                            (y - e).max(y * 1e-3)
                        } else {
                            y - e
                        };
                        PathElement::new(
                            vec![place(&(x, low)), place(&(x, y + e))],
                            colour.stroke_width(s),
                        )
                    });
                    chart.draw_series(bars)?;
                    let dot = |p| Circle::new(p, 3 * s as i32, colour.filled());
                    chart.draw_series(placed.into_iter().map(dot))?
                }
            };
            if layer.label.is_empty() {
                continue;
            }
            let (mark, s) = (layer.mark, s as i32);
            drawn.label(&layer.label).legend(move |(x, y)| match mark {
                Mark::Line => PathElement::new(vec![(x, y), (x + 16 * s, y)], line).into_dyn(),
                // A single dash.
                Mark::Dashed => {
                    PathElement::new(vec![(x + 4 * s, y), (x + 11 * s, y)], line).into_dyn()
                }
                _ => Circle::new((x + 8 * s, y), 3 * s, colour.filled()).into_dyn(),
            });
        }
        if self.layers.iter().any(|l| !l.label.is_empty()) {
            chart
                .configure_series_labels()
                .position(match self.legend {
                    Corner::UpperLeft => SeriesLabelPosition::UpperLeft,
                    Corner::UpperRight => SeriesLabelPosition::UpperRight,
                    Corner::LowerLeft => SeriesLabelPosition::LowerLeft,
                    Corner::LowerRight => SeriesLabelPosition::LowerRight,
                })
                .legend_area_size(22 * s)
                .margin(6 * s)
                .background_style(WHITE.mix(0.8))
                .border_style(COLOURS[GREY].mix(0.5))
                .label_font((FAMILY, 11 * s))
                .draw()?;
        }
        Ok(())
    }
}

/// A linear scale with labels at chosen places.
struct Scale {
    range: (f64, f64),
    ticks: Vec<f64>,
}

impl Scale {
    fn new(range: (f64, f64), ticks: Vec<f64>) -> Scale {
        Scale { range, ticks }
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.0) / (self.range.1 - self.range.0);
        // Points outside the axes are drawn at their edge.
        let share = share.clamp(-0.02, 1.02);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.range.0..self.range.1
    }
}

/// Density of a distribution as a line: histogram of sorted draws in equal bins.
pub(crate) fn histogram(sorted: &[f64], low: f64, high: f64, bins: usize) -> Vec<(f64, f64)> {
    let width = (high - low) / bins as f64;
    let below = |x: f64| sorted.partition_point(|v| *v < x) as f64;
    (0..bins)
        .map(|i| {
            let a = low + i as f64 * width;
            let share = (below(a + width) - below(a)) / sorted.len() as f64;
            (a + 0.5 * width, share / width)
        })
        .collect()
}

/// Registers the font under the name that figures use; only once.
fn register() -> Result<(), Error> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| register_font(FAMILY, FontStyle::Normal, FONT).is_ok());
    if *done {
        return Ok(());
    }
    Err(Error::Numbers(
        "the embedded font does not load; this is a defect of sngd, please report it".into(),
    ))
}
