// The chunk of CHUNK rows that a dispatch handles.
#import "lib/panel.wgsl"

// Its first row, and one past its last.
fn chunk_rows() -> vec2<u32> {
    let first = panel.index * CHUNK;
    return vec2<u32>(first, min(first + CHUNK, N));
}
