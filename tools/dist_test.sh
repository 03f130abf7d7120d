#!/usr/bin/env bash
# Runs tools/test.py on several GPUs (or CPU processes): tools/dist_test.sh CONFIG [CHECKPOINT] GPUS [options of tools/test.py]
# CHECKPOINT may be left out for a config whose weights are all pre-trained.
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail

if [ $# -lt 2 ] || [[ $# -lt 3 && ! $2 =~ ^[0-9]+$ ]]; then
    echo "usage: $0 CONFIG [CHECKPOINT] GPUS [options of tools/test.py]" >&2
    exit 2
fi
MODEL=("$1")
shift
if [[ ! $1 =~ ^[0-9]+$ ]]; then
    MODEL+=("$1")
    shift
fi
GPUS=$1
shift

PYTHONPATH="$(dirname "$0")/..${PYTHONPATH:+:$PYTHONPATH}" torchrun \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$(dirname "$0")/test.py" "${MODEL[@]}" --launcher pytorch "$@"
