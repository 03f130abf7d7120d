#!/usr/bin/env bash
# Runs tools/test.py with Slurm: tools/slurm_test.sh PARTITION JOB_NAME CONFIG [CHECKPOINT] [options of tools/test.py]
# CHECKPOINT may be left out for a config whose weights are all pre-trained.
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS may be set; the default is 4 GPUs of one machine.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG [CHECKPOINT] [options of tools/test.py]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
shift 2
GPUS=${GPUS:-4}
GPUS_PER_NODE=${GPUS_PER_NODE:-$((GPUS < 8 ? GPUS : 8))}

# Word splitting of SRUN_ARGS is wanted: it holds several options.
# shellcheck disable=SC2086
PYTHONPATH="$(dirname "$0")/..${PYTHONPATH:+:$PYTHONPATH}" srun \
    --partition="$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres="gpu:$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-8}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$(dirname "$0")/test.py" "$@" --launcher slurm
