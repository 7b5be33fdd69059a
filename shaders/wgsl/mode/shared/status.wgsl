// The MODE_STATUS words of a chain have the places MODE_FAULT, MODE_FAULT_STEP and MODE_UNMADE (`codes.rs`).
#import <consts>

// Values stored with a kept draw: u [P], ∇C in u [P], then R, Σz² and the probability of acceptance.
const MODE_KEPT: u32 = 2u * P + 3u;
