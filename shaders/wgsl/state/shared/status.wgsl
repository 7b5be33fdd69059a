// The STATUS words of a chain have the places FAULT, FAULT_STEP and so on (`codes.rs`).
#import <consts>
