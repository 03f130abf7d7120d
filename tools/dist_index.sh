#!/usr/bin/env bash
# Runs tools/index.py on several GPUs (or CPU processes): tools/dist_index.sh GPUS CONFIG CHECKPOINT VIDEOS... GALLERY [options of tools/index.py]
# Several machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail

if [ $# -lt 5 ]; then
    echo "usage: $0 GPUS CONFIG CHECKPOINT VIDEOS... GALLERY [options of tools/index.py]" >&2
    exit 2
fi
GPUS=$1
shift

PYTHONPATH="$(dirname "$0")/..${PYTHONPATH:+:$PYTHONPATH}" torchrun \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$(dirname "$0")/index.py" "$@"
