// Meaning of a chain's status words, STATUS words per chain.
const STATUS = 12u;
const FAULT = 0u;          // kind of the first fault (FaultKind), 0 if none
const FAULT_STEP = 1u;
const FAULT_PIVOT = 2u;
const FALLBACKS = 3u;      // steps since the start whose noise fell back
const PENDING = 4u;        // fault of this step, 0 if none
const PENDING_PIVOT = 5u;
const LEVEL = 6u;          // jitter level of the metric's last factorisation
const FELL_BACK = 7u;      // 1 while the residual's factor is not usable
const VOLUME_LEVEL = 8u;   // jitter level of the target's volume |N·F + Λ|; also above 0 where MALA does not trust it

const METRIC_NOT_POSITIVE = 1u;
const RESIDUAL_NOT_POSITIVE = 2u;
const DIVERGED = 3u;
