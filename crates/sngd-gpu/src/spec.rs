//! A dispatch as data: which kernel, its constants, its buffers, its grid and the steps it belongs to.

/// A constant of a kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// `u32`.
    U(u32),
    /// `f32`.
    F(f32),
}

/// Steps at which a dispatch runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Every step.
    Always,
    /// Steps that compute a fresh metric.
    Fresh,
    /// Steps that compute a fresh residual.
    Stale,
    /// Before the first step of the engine.
    Once,
    /// Steps whose state is a kept draw, after warm-up.
    Kept,
}

/// One dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Root file of the kernel.
    pub root: &'static str,
    /// Entry point.
    pub entry: &'static str,
    /// Constants beyond those of every kernel.
    pub consts: Vec<(&'static str, Value)>,
    /// Variable of the kernel -> buffer, where the names differ.
    pub bind: Vec<(&'static str, &'static str)>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Steps.
    pub when: When,
    /// Panel of a blocked factorisation.
    pub panel: u32,
}

/// A dispatch of `entry` in `root` over `grid`, at every step.
pub fn spec(root: &'static str, entry: &'static str, grid: [usize; 3]) -> Spec {
    Spec {
        root,
        entry,
        consts: Vec::new(),
        bind: Vec::new(),
        grid: grid.map(|g| g as u32),
        when: When::Always,
        panel: 0,
    }
}

impl Spec {
    /// The stage it belongs to: its file's name without folder and ending.
    pub fn stage(&self) -> &'static str {
        let name = self.root.rsplit('/').next().unwrap_or(self.root);
        name.strip_suffix(".wgsl").unwrap_or(name)
    }

    /// Adds an integer constant.
    pub fn u(mut self, name: &'static str, v: usize) -> Spec {
        self.consts.push((name, Value::U(v as u32)));
        self
    }

    /// Adds a floating-point constant.
    pub fn f(mut self, name: &'static str, v: f64) -> Spec {
        self.consts.push((name, Value::F(v as f32)));
        self
    }

    /// Names the buffer of a variable.
    pub fn b(mut self, variable: &'static str, buffer: &'static str) -> Spec {
        self.bind.push((variable, buffer));
        self
    }

    /// Sets the steps.
    pub fn at(mut self, when: When) -> Spec {
        self.when = when;
        self
    }

    /// Sets the panel.
    pub fn panel(mut self, index: usize) -> Spec {
        self.panel = index as u32;
        self
    }

    /// The buffer of a variable: the one named, or the one of the same name.
    pub fn buffer<'a>(&'a self, variable: &'a str) -> &'a str {
        self.bind
            .iter()
            .find(|(v, _)| *v == variable)
            .map_or(variable, |(_, b)| b)
    }
}
