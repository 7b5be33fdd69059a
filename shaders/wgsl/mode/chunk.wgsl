// Which CHUNK of rows a dispatch is about.
#import "stage/panel.wgsl"

// Its first row, and the row behind its last.
fn chunk_rows() -> vec2<u32> {
    let first = panel.index * CHUNK;
    return vec2<u32>(first, min(first + CHUNK, N));
}
