#!/usr/bin/env bash
# Runs tools/index.py with Slurm: tools/slurm_index.sh PARTITION JOB_NAME CONFIG CHECKPOINT VIDEOS... GALLERY [options of tools/index.py]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS may be set; the default is 4 GPUs of one machine.
# The processes do not wait for each other: one that is killed can be started again alone.
set -euo pipefail

if [ $# -lt 6 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT VIDEOS... GALLERY [options of tools/index.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
shift 2
GPUS=${GPUS:-4}
GPUS_PER_NODE=${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}

# Word splitting of SRUN_ARGS is wanted: it holds several options.
# The variables of a process are set where it runs.
# shellcheck disable=SC2016,SC2086
PYTHONPATH="$(dirname "$0")/..${PYTHONPATH:+:$PYTHONPATH}" srun \
    --partition="$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres="gpu:$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-8}" \
    ${SRUN_ARGS:-} \
    bash -c 'RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS LOCAL_RANK=$SLURM_LOCALID \
        LOCAL_WORLD_SIZE=$SLURM_NTASKS_PER_NODE exec python -u "$@"' \
    index "$(dirname "$0")/index.py" "$@"
