// Meaning of a chain's status words, MODE_STATUS words per chain.
const MODE_STATUS: u32 = 4u;
const MODE_FAULT: u32 = 0u;      // kind of the first fault (FaultKind), 0 if none
const MODE_FAULT_STEP: u32 = 1u;
const MODE_UNFIT: u32 = 2u;      // steps since the start that were not made
const MODE_DIVERGED: u32 = 3u;   // FaultKind::Diverged

// Values stored with a kept draw: u [P], ∇C in u [P], then R, Σz² and the probability of acceptance.
const MODE_KEPT: u32 = 2u * P + 3u;
