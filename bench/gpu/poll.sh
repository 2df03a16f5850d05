#!/usr/bin/env bash
# Waits for all.sh, at most SECONDS (280), says how far it is, and copies what there is: bench/gpu/poll.sh OUT [SECONDS]
set -uo pipefail
: "${WORK:=/tmp/work}"
here=$(cd "$(dirname "$0")" && pwd) end=$((SECONDS + ${2:-280}))
while [ $SECONDS -lt $end ] && [ ! -e "$WORK/all.done" ]; do sleep 2; done
tail -n 30 "$WORK/all.log"
"$here/run.sh" status
mkdir -p "$1" && out=$(realpath "$1")
"$here/run.sh" collect "$out"
[ -d "${MODELS:-$WORK/models}" ] && "$here/train.sh" collect "$out"
cp "$WORK/all.log" "$out/"
[ -e "$WORK/all.done" ] && echo done
