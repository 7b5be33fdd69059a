// The panel of a factorisation, or the tile or chunk of rows, that a dispatch handles: one slice of a uniform, chosen by a
// dynamic offset.
struct Panel {
    index: u32,
}
@group(0) @binding(9) var<uniform> panel: Panel;
