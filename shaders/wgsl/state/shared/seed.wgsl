// The Philox key of all streams.
#import <consts>
const SEED = vec2<u32>(SEED0, SEED1);
