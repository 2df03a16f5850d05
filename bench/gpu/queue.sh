#!/usr/bin/env bash
# Commands of a file ("name<TAB>command"), each on two cores and one GPU of its own, WORKERS at once (default: all cores):
# bench/gpu/queue.sh FILE. Every command has a log; what is done or has failed is told in one line.
set -uo pipefail
: "${WORK:=/tmp/work}"
file=$1 cores=$(env -u OMP_NUM_THREADS nproc)
gpus=$(nvidia-smi -L 2>/dev/null | wc -l) pairs=$((cores > 1 ? cores / 2 : 1))
mkdir -p "$WORK/log"
worker() {
  local from=$((2 * ($1 % pairs))) line name began
  local to=$((cores > 1 ? from + 1 : from))
  [ "$gpus" -gt 0 ] && export CUDA_VISIBLE_DEVICES=$(($1 % gpus))
  while line=$(flock "$file.lock" bash -c 'head -n 1 "$0" && sed -i 1d "$0"' "$file") && [ -n "$line" ]; do
    name=${line%%$'\t'*} began=$SECONDS
    if taskset -c "$from-$to" bash -c "${line#*$'\t'}" >"$WORK/log/$name.log" 2>&1; then how=done; else how=FAILED; fi
    echo "$(date +%T) $name $how in $((SECONDS - began)) s: $(grep -vE '^ *$' "$WORK/log/$name.log" | tail -n 1 | cut -c1-150)"
  done
}
for i in $(seq 0 $((${WORKERS:-$pairs} - 1))); do worker "$i" & done
wait
