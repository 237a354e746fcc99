#!/usr/bin/env bash
# Run every benchmark but the soak, in about 16 minutes on a quiet machine, and write bench/RESULTS.md.
# A soak that was run before (python -m bench.soak --minutes 60) keeps its place there.
set -euo pipefail
cd "$(dirname "$0")/.."
./install.sh --dev
export PATH="$PWD/.venv/bin:$PATH"

failed=()
bench() {
    printf '\n== %s\n' "$1"
    python -m "bench.$1" "${@:2}" || failed+=("$1")
}

bench hop
bench chain
bench throughput
bench detector
bench cameras
bench idle
bench breakdown
python -m bench.summary >bench/results/RESULTS.md
mv bench/results/RESULTS.md bench/RESULTS.md
echo "figures: bench/RESULTS.md"
((${#failed[@]} == 0)) || { echo "failed: ${failed[*]}" >&2; exit 1; }
