// The key of every stream.
#import <consts>
const SEED = vec2<u32>(SEED0, SEED1);
