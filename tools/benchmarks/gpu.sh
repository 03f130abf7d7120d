#!/usr/bin/env bash
# Tests and measures what needs a GPU: bash tools/benchmarks/gpu.sh [FOLDER [options of gpu.py]]
# Writes gpu.md into FOLDER, which is docs unless given, beside gpu.json and gpu_tests.xml. Needs one
# card of 80 GB or more, the extra "test", and no network.
set -uo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
OUT="$(mkdir -p "${1:-$ROOT/docs}" && cd "${1:-$ROOT/docs}" && pwd)" || exit 1
shift $(($# > 0 ? 1 : 0))
cd "$ROOT" || exit 1
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"

status=0
python -m pytest -n 0 -m gpu --junitxml="$OUT/gpu_tests.xml" || status=$?
python tools/benchmarks/gpu.py --out "$OUT" --tests "$OUT/gpu_tests.xml" "$@" || status=$?
exit "$status"
