#!/bin/sh
# run.sh OUT [--short]: writes OUT/report.md and OUT/report.json about this machine's GPU, within eight minutes.
exec "$(dirname -- "$0")/bin/gpu-report" "$@"
