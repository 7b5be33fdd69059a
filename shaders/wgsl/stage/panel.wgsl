// Which panel of a factorisation, or tile of rows, a dispatch is about: one slice of a uniform, chosen by a dynamic offset.
struct Panel {
    index: u32,
}
@group(0) @binding(9) var<uniform> panel: Panel;
