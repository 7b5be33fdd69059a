// What a chain's words say; MODE_STATUS words a chain.
const MODE_STATUS: u32 = 4u;
const MODE_FAULT: u32 = 0u;      // kind of the first fault (FaultKind), 0 while alive
const MODE_FAULT_STEP: u32 = 1u;
const MODE_UNFIT: u32 = 2u;      // steps that were not made, ever
const MODE_DIVERGED: u32 = 3u;   // FaultKind::Diverged

// Numbers of a kept draw: u [P], ∇C in u [P], then R, Σz² and the probability of acceptance.
const MODE_KEPT: u32 = 2u * P + 3u;
