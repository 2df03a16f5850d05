#!/usr/bin/env bash
# Commands of a file ("name<TAB>command"), each on two cores and one GPU of its own, WORKERS at once (default: all cores):
# bench/gpu/queue.sh FILE. With CORES and FIRST_CORE, and GPUS (their numbers), on a part of the machine. Every command has a log; what is done or has failed is told in one line.
set -uo pipefail
: "${WORK:=/tmp/work}"
file=$1 cores=${CORES:-$(env -u OMP_NUM_THREADS nproc)}
read -r -a gpus <<<"${GPUS-$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | tr '\n' ' ')}"
pairs=$((cores > 1 ? cores / 2 : 1))
mkdir -p "$WORK/log"
worker() {
  local from=$((${FIRST_CORE:-0} + 2 * ($1 % pairs))) line name began
  local to=$((cores > 1 ? from + 1 : from))
  [ ${#gpus[@]} -gt 0 ] && export CUDA_VISIBLE_DEVICES=${gpus[$(($1 % ${#gpus[@]}))]}
  while line=$(flock "$file.lock" bash -c 'head -n 1 "$0" && sed -i 1d "$0"' "$file") && [ -n "$line" ]; do
    name=${line%%$'\t'*} began=$SECONDS
    if taskset -c "$from-$to" bash -c "${line#*$'\t'}" >"$WORK/log/$name.log" 2>&1; then how=done; else how=FAILED; fi
    echo "$(date +%T) $name $how in $((SECONDS - began)) s: $(grep -vE '^ *$' "$WORK/log/$name.log" | tail -n 1 | cut -c1-150)"
  done
}
for i in $(seq 0 $((${WORKERS:-$pairs} - 1))); do worker "$i" & done
wait
