//! The device buffers, by name. A buffer has the name of the kernel variable that it is bound to where a dispatch says nothing else.

/// Declares [`Buffer`] from a list of variants, their names in kernels, and what they hold.
macro_rules! buffers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A device buffer. Sizes are in 32-bit words, which hold f32 where nothing else is said; rows of a pass are `[C,R]`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Buffer {
            $($(#[$doc])* $variant,)*
        }

        impl Buffer {
            /// All buffers there are.
            pub const ALL: &'static [Buffer] = &[$(Buffer::$variant,)*];

            /// Its name: in kernels, in messages, in what `sngd check` prints.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Buffer::$variant => $name,)*
                }
            }
        }
    };
}

buffers! {
    /// Features of the fitted rows, then of held-out rows, `[N + M,D]` in the storage's width.
    X = "x",
    /// Response, trials, and offset and weight where rows have one, `[N + M,ROW_PAIRS,2]`.
    Obs = "obs",
    /// Kind and arguments of every parameter's prior, `[P,4]`.
    Prior = "prior",
    /// Information of every parameter's prior, `[P]`.
    Information = "information",
    /// Mean and scale of the affine map of every design column, or parameter of a network, `[D,2]`.
    Affine = "affine",
    /// Where a network's parameter lies: layer, unit, input; `[P,4]` of u32.
    Place = "place",
    /// What is added to the Fisher matrix: Λ and damping, the blocks' squares one after another.
    Added = "added",
    /// Λ alone, laid out as `Added`.
    AddedUndamped = "added_undamped",
    /// Damping alone, laid out as `Added`.
    Ridge = "ridge",
    /// Tiles of the Gram matrix, `[tiles,4]` of u32.
    Tiles = "tiles",
    /// Scalars of the steps of a submission, a slice each (uniform).
    Now = "now",
    /// The numbers 0, 1, 2, …, a slice each (uniform): which panel, tile or chunk a dispatch is at.
    Panel = "panel",
    /// Position of every chain, `[C,P]`.
    Omega = "omega",
    /// What became of every chain, `[C,STATUS]` of u32.
    Status = "status",
    /// Kept draws with their statistics, `[slots,C,P + STATS]`.
    Kept = "kept",
    /// Row numbers of the gradient's pass, `[C,R]` of u32.
    BatchIndex = "batch_index",
    /// Outputs η there, `[C,R,H]`.
    BatchEta = "batch_eta",
    /// Scores there, `[C,R,H]`.
    BatchScores = "batch_scores",
    /// Fisher weights there, `[C,R,width]`.
    BatchWeight = "batch_weight",
    /// Partial sums of ln p there.
    BatchLik = "batch_lik",
    /// A network's activations there and their derivatives, `[C,R,2·hidden]`.
    BatchActs = "batch_acts",
    /// A network's δ there, `[C,R,units]`.
    BatchDelta = "batch_delta",
    /// Row numbers of the metric's pass, where it has rows of its own; as the next six, which are as those of the gradient's.
    MetricIndex = "metric_index",
    /// Outputs η there.
    MetricEta = "metric_eta",
    /// Scores there.
    MetricScores = "metric_scores",
    /// Fisher weights there.
    MetricWeight = "metric_weight",
    /// Partial sums of ln p there.
    MetricLik = "metric_lik",
    /// A network's activations there.
    MetricActs = "metric_acts",
    /// A network's δ there.
    MetricDelta = "metric_delta",
    /// Row numbers of a tile of held-out rows, `[C,tile]` of u32.
    HeldIndex = "held_index",
    /// A network's activations there.
    HeldActs = "held_acts",
    /// Outputs η there, `[C,tile,H]`.
    HeldEta = "held_eta",
    /// ln p and whether the likeliest class is right, `[C,tile,2]`.
    HeldTerms = "held_terms",
    /// Sums over draws of every held-out row, `[splits,M,width]`.
    HeldSums = "held_sums",
    /// Sums over held-out rows of every kept draw, `[slots,C,2]`.
    HeldDraws = "held_draws",
    /// A network's δ for the seeds of the metric, `[C,R·seeds,units]`.
    SeedDelta = "seed_delta",
    /// Parts of Σ Jᵀs over the gradient's pass, `[splits,C,P]`.
    BatchSum = "batch_sum",
    /// Gradient of the cost, `[C,P]`.
    Gradient = "gradient",
    /// Cost, ln-likelihoods and so on of every chain, `[C,4]`.
    Cost = "cost",
    /// The step's move, `[C,P]`; at the mode a chunk's residuals, `[C,K,chunk]`.
    Delta = "delta",
    /// Squares for the statistics, `[C,P,2]`.
    Squares = "squares",
    /// The whitened move, `[C,P]`.
    White = "white",
    /// Standard normals of the step's noise, `[C,P]`.
    Z = "z",
    /// Noise beside that of the metric, before L⁻ᵀ, `[C,P]`.
    Extra = "extra",
    /// Parts of the leverages, `[splits,C,R,HH]`.
    Lever = "lever",
    /// Coefficients c whose sum Σ Jᵀc is the correction, `[C,R,H]`.
    Coefficient = "coefficient",
    /// Parts of the correction (r/N)·v, `[parts,C,P]`.
    Drift = "drift",
    /// Parts of a diagonal metric, `[2,splits,C,P]`.
    DiagonalSum = "diagonal_sum",
    /// A diagonal metric and what goes with it, `[C,P,4]`.
    Metric = "metric",
    /// Outcomes of the factorisations of every block, `[C,blocks,2]` of u32.
    Outcome = "outcome",
    /// The Fisher metric, the chains' squares one after another.
    Fisher = "fisher",
    /// Inverse of its Cholesky factor.
    Linv = "linv",
    /// Square roots of the metric's diagonal, `[C,P]`.
    Scale = "scale",
    /// The target's volume, which has no damping, as `Fisher`.
    Volume = "volume",
    /// Inverse of its Cholesky factor.
    LinvVolume = "linv_volume",
    /// Parts of a sum of squares of matrices.
    Parts = "parts",
    /// Cholesky factor that a factorisation by panels works in.
    PanelL = "panel_l",
    /// Diagonal blocks of a panel.
    PanelBlock = "panel_block",
    /// A panel's columns, copied.
    PanelStrip = "panel_strip",
    /// Which factorisations by panels failed, of u32.
    PanelFailed = "panel_failed",
    /// Inverse of the metric.
    Inverse = "inverse",
    /// Standard normals of the probes, `[probes,C,P]`.
    ProbeZ = "probe_z",
    /// L⁻ᵀ times these.
    Probes = "probes",
    /// Second moment of the rows' gradients, as `Fisher`.
    Second = "second",
    /// Parts of the sum of the rows' gradients, `[splits,C,P]`.
    SecondSum = "second_sum",
    /// That sum, `[C,P]`.
    SecondMean = "second_mean",
    /// Covariance of the residual noise, as `Fisher`.
    Q = "q",
    /// Its Cholesky factor.
    QFactor = "q_factor",
    /// Standard normals of nominal noise and damping, `[C,P,2]`.
    PriorZ = "prior_z",
    /// Direction of a random finite difference, `[C,P]`.
    RfdZ = "rfd_z",
    /// L⁻ᵀ times it.
    RfdU = "rfd_u",
    /// The metric times that, here.
    RfdHere = "rfd_here",
    /// The metric there times that.
    RfdThere = "rfd_there",
    /// Position of the other end of a finite difference, `[C,P]`.
    Moved = "moved",
    /// The metric there.
    FisherMoved = "fisher_moved",
    /// Inverse of its Cholesky factor.
    LinvMoved = "linv_moved",
    /// MALA's proposal, `[C,P]`.
    Proposal = "proposal",
    /// Gradient there, `[C,P]`.
    GradientNext = "gradient_next",
    /// Natural gradient there, `[C,P]`.
    Natural = "natural",
    /// Whitened gradient there, `[C,P]`.
    NaturalWhite = "natural_white",
    /// The move back from there, less its mean, `[C,P]`.
    Back = "back",
    /// The metric times that, `[C,P]`.
    Product = "product",
    /// Inverse of the metric's Cholesky factor there.
    LinvNext = "linv_next",
    /// The same of the volume's.
    LinvVolumeNext = "linv_volume_next",
    /// Cost there, as `Cost`.
    CostNext = "cost_next",
    /// Terms of the Metropolis ratio, `[C,4]`.
    Terms = "terms",
    /// Whether the proposal is accepted, `[C]` of u32.
    Accepted = "accepted",
    /// At the mode: every row's numbers there, `[N,width]`.
    Rows = "rows",
    /// At the mode: u of every chain and what a step hands to the next, `[C,state]`.
    State = "state",
    /// At the mode: L⁻¹ and its transpose where they are needed, then priors beyond second order.
    Fixed = "fixed",
    /// At the mode: alias table of the rows, `[N,2]`.
    Influence = "influence",
    /// At the mode: slope, then the step sizes of a dispatch.
    Pace = "pace",
    /// At the mode: gradient there, whitened, `[P]`.
    Slope = "slope",
    /// At the mode: the proposal u′, `[C,P]`.
    There = "there",
    /// At the mode: what is left of the Metropolis ratio, `[C]`.
    Rest = "rest",
    /// At the mode: sums of ρ over 64 rows, `[C,tiles,2]`.
    TileSums = "tile_sums",
    /// At the mode: ∇R and R, `[C,P + 2]`.
    Sums = "sums",
    /// At the mode: the proposal in the design's coordinates, `[C,P]`.
    Design = "design",
    /// At the mode: ∇R and R, taken back from the design's coordinates, `[C,P + 2]`.
    Slopes = "slopes",
}

impl Buffer {
    /// The buffer of that name, if there is one.
    pub fn named(name: &str) -> Option<Buffer> {
        Buffer::ALL.iter().copied().find(|b| b.name() == name)
    }

    /// Whether kernels read it as a uniform, a slice at a time.
    pub const fn is_uniform(self) -> bool {
        matches!(self, Buffer::Now | Buffer::Panel)
    }
}
