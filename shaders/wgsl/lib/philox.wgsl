// Philox4x32-10 (Salmon et al. 2011), as in core::philox: the counter is (index, step, chain, stream), the key the seed.
#import <consts>

// High word of a·b from 16-bit products: WGSL has no 64-bit integers.
fn mul_high(a: u32, b: u32) -> u32 {
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let low = al * bl;
    let cross = ah * bl + (low >> 16u);
    let middle = al * bh + (cross & 0xffffu);
    return ah * bh + (cross >> 16u) + (middle >> 16u);
}

fn philox_round(c: vec4<u32>, k: vec2<u32>) -> vec4<u32> {
    return vec4<u32>(
        mul_high(0xCD9E8D57u, c.z) ^ c.y ^ k.x,
        0xCD9E8D57u * c.z,
        mul_high(0xD2511F53u, c.x) ^ c.w ^ k.y,
        0xD2511F53u * c.x,
    );
}

// The ten-round bijection: counter, key -> four u32.
fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    let w = vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round++) {
        c = philox_round(c, k);
        k += w;
    }
    return c;
}
