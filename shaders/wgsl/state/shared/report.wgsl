// Updates the status words of a chain after its metric (INVERT) or residual is factored. REPORTS: whose jitter level it is.
#import <consts>
#import "state/shared/status.wgsl"

@group(0) @binding(3) var<storage, read_write> status: array<u32>; // status[C,STATUS]

const NONE = 0xffffffffu;

fn report(chain: u32, level: u32, pivot: u32) {
    let at = chain * STATUS;
    let failed = pivot != NONE;
    let first = failed && status[at + PENDING] == 0u;
    if first {
        status[at + PENDING_PIVOT] = pivot;
    }
    if INVERT == 0u {
        status[at + FELL_BACK] = u32(failed);
        return;
    }
    if REPORTS == REPORTS_METRIC || REPORTS == REPORTS_BOTH {
        status[at + LEVEL] = level;
    }
    if REPORTS == REPORTS_VOLUME || REPORTS == REPORTS_BOTH {
        status[at + VOLUME_LEVEL] = level;
    }
    if first {
        status[at + PENDING] = METRIC_NOT_POSITIVE;
    }
}
