#!/usr/bin/env bash
# Every stage in its order, in the background: bench/gpu/all.sh SERVED.gguf [LARGE-FOLDER]; then bench/gpu/poll.sh OUT until it says done.
# What is done is not done again, so it can be started anew. Stages and their seconds: bench/gpu/README.md. What is missing is told
# before anything begins. bench/gpu/dry.sh runs it all on a CPU.
set -uo pipefail
: "${WORK:=/tmp/work}" "${SLOTS:=2048}" "${SHARES:=9}"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$WORK"
if [ "${1:-}" != --stages ]; then
  # The stages work in another folder than whoever starts them.
  set -- "$(realpath -m "${1:?name the model to serve}")" ${2:+"$(realpath -m "$2")"}
  rm -f "$WORK/all.done"
  "$here/run.sh" install && "$here/run.sh" check "$@" || exit 1
  setsid nohup "$here/all.sh" --stages "$@" >"$WORK/all.log" 2>&1 </dev/null &
  echo "started as $!"
  exit 0
fi
stage() { local began=$SECONDS; echo "$(date +%T) $* begins"; "${@}"; echo "$(date +%T) $* ended after $((SECONDS - began)) s"; }
small() { JOBS=6 "$here/train.sh" small; }

stage "$here/run.sh" serve "$2" --slots "$SLOTS" || exit 1
(JOBS=3 stage "$here/train.sh" base) &
base=$!
stage "$here/run.sh" generate "$SHARES"
stage "$here/run.sh" wait 900
wait "$base"
# The corpora without votes ask the server while the first small models train; the server then goes, and its memory with it.
(JOBS=3 stage "$here/train.sh" expand) &
expand=$!
stage small
wait "$expand"
stage "$here/run.sh" stop
stage small
[ -n "${3:-}" ] && JOBS=4 stage "$here/train.sh" large "$3"
JOBS=4 stage "$here/train.sh" tell small
[ -n "${3:-}" ] && JOBS=4 stage "$here/train.sh" tell large "$3"
JOBS=7 stage "$here/train.sh" fidelity
touch "$WORK/all.done"
