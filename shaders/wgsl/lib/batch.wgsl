// Rows of a batch at one step, as in core::batch: a rule, made once per thread or workgroup, then gives any row j alone.
#import <consts>
#import "lib/philox.wgsl"

struct RowRule {
    // Uniform: the Philox counter of block 0 and the key.
    counter: vec4<u32>,
    // Permuted: the eight round keys.
    keys_low: vec4<u32>,
    keys_high: vec4<u32>,
    key: vec2<u32>,
    mode: u32, // ROWS_ALL, ROWS_WITH_REPLACEMENT, else permuted
    n: u32,
    half: u32,
    offset: u32,
}

// The rule for the b of n rows of `chain` at `step`. A batch of all rows is in order, unless drawn with replacement.
fn batch_rule(mode: u32, n: u32, b: u32, chain: u32, step: u32, key: vec2<u32>) -> RowRule {
    if mode == ROWS_WITHOUT_REPLACEMENT && b < n {
        return permuted_rule(n, STREAM_BATCH, chain, step, 0u, key);
    }
    if mode == ROWS_EPOCHS && b < n {
        let per_epoch = n / b;
        return permuted_rule(n, STREAM_BATCH, chain, step / per_epoch, (step % per_epoch) * b, key);
    }
    var rule: RowRule;
    rule.mode = select(ROWS_ALL, ROWS_WITH_REPLACEMENT, mode == ROWS_WITH_REPLACEMENT);
    rule.n = n;
    rule.counter = vec4<u32>(0u, step, chain, STREAM_BATCH);
    rule.key = key;
    return rule;
}

// The rule for a subset without replacement, for a subsampled Fisher matrix.
fn fisher_rule(n: u32, chain: u32, step: u32, key: vec2<u32>) -> RowRule {
    return permuted_rule(n, STREAM_FISHER_ROWS, chain, step, 0u, key);
}

fn permuted_rule(n: u32, stream: u32, chain: u32, step: u32, offset: u32, key: vec2<u32>) -> RowRule {
    var rule: RowRule;
    rule.mode = ROWS_WITHOUT_REPLACEMENT;
    rule.n = n;
    rule.offset = offset;
    rule.half = feistel_half(n);
    rule.keys_low = philox(vec4<u32>(0u, step, chain, stream), key);
    rule.keys_high = philox(vec4<u32>(1u, step, chain, stream), key);
    return rule;
}

// Number of the data row at place j of the batch.
fn batch_row(rule: RowRule, j: u32) -> u32 {
    if rule.mode == ROWS_ALL {
        return j;
    }
    if rule.mode == ROWS_WITH_REPLACEMENT {
        var four = uniform_rows(rule, j / 4u);
        return four[j % 4u];
    }
    return feistel_permute(rule, rule.offset + j);
}

// Rows 4·block .. 4·block + 3 of draws with replacement, from one Philox call.
fn uniform_rows(rule: RowRule, block: u32) -> vec4<u32> {
    let bits = philox(rule.counter + vec4<u32>(block, 0u, 0u, 0u), rule.key);
    return vec4<u32>(
        mul_high(bits.x, rule.n),
        mul_high(bits.y, rule.n),
        mul_high(bits.z, rule.n),
        mul_high(bits.w, rule.n),
    );
}

// Bits of a half block: at least three, since fewer give too few distinct permutations.
fn feistel_half(n: u32) -> u32 {
    let bits = 32u - countLeadingZeros(max(n, 1u) - 1u);
    return max((bits + 1u) / 2u, 3u);
}

// The 32-bit finaliser of MurmurHash3 (Appleby).
fn feistel_mix(x: u32) -> u32 {
    var h = x;
    h ^= h >> 16u;
    h *= 0x85ebca6bu;
    h ^= h >> 13u;
    h *= 0xc2b2ae35u;
    return h ^ (h >> 16u);
}

// Image of i < n under the permutation: eight Feistel rounds, repeated until the result is below n.
fn feistel_permute(rule: RowRule, i: u32) -> u32 {
    let half = rule.half;
    let mask = (1u << half) - 1u;
    let a = rule.keys_low;
    let b = rule.keys_high;
    var x = i;
    loop {
        // Eight rounds, one per line, with alternating halves in place of swaps.
        var l = x >> half;
        var r = x & mask;
        l ^= feistel_mix(r ^ a.x) & mask;
        r ^= feistel_mix(l ^ a.y) & mask;
        l ^= feistel_mix(r ^ a.z) & mask;
        r ^= feistel_mix(l ^ a.w) & mask;
        l ^= feistel_mix(r ^ b.x) & mask;
        r ^= feistel_mix(l ^ b.y) & mask;
        l ^= feistel_mix(r ^ b.z) & mask;
        r ^= feistel_mix(l ^ b.w) & mask;
        x = (l << half) | r;
        if x < rule.n {
            break;
        }
    }
    return x;
}
