#!/usr/bin/env bash
# The comparison on a machine with one GPU or more, in the background: bench/gpu/compare.sh SERVED.gguf [LARGE], then
# bench/gpu/poll.sh OUT until it says done. LARGE is a folder or a GGUF, and may arrive later. What is done is not done again.
# $WORK is what pack.sh packed. PLAN is a file with a process a line, what matters most first: a set (compare-SET.yaml), an arm, an epsilon or "-" for all. Several lines of one arm share its parts.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${WORK:=/tmp/work}" "${SLOTS:=1024}" "${PLAN:=$here/plan.txt}" "${CORPORA_OF:=debian}" "${EPSILONS:=7.58 1.29 Infinity}" "${CORPORA:=0 1 2}"
app=$WORK/app
export PATH=$WORK/bin:$PATH PRETEXT_CACHE=$WORK/cache PRETEXT_OFFLINE=1 PYTHONPATH=$WORK/site PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
export PRETEXT_PYTHON=${PRETEXT_PYTHON:-$(command -v python3)} TOKENIZERS_PARALLELISM=false PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
if [ "${1:-}" != --stages ]; then
  set -- "$(realpath -m "${1:?name the model to serve}")" ${2:+"$(realpath -m "$2")"}
  PLAN=$(realpath "$PLAN") && export PLAN
  rm -f "$WORK/all.done"
  "$here/run.sh" install || exit 1
  setsid nohup "$here/compare.sh" --stages "$@" >"$WORK/all.log" 2>&1 </dev/null &
  echo "started as $!"
  exit 0
fi
stage() { local began=$SECONDS; echo "$(date +%T) $* begins"; "${@}"; echo "$(date +%T) $* ended after $((SECONDS - began)) s"; }
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
cd "$app" || exit 1
gpus=$(nvidia-smi -L 2>/dev/null | wc -l)
# Small kernels of many processes run beside each other instead of in turn, where the driver has the service for that.
mps=off
if command -v nvidia-cuda-mps-control >/dev/null && [ "${MPS:-1}" = 1 ]; then
  export CUDA_MPS_PIPE_DIRECTORY=$WORK/mps CUDA_MPS_LOG_DIRECTORY=$WORK/mps
  mkdir -p "$WORK/mps" && nvidia-cuda-mps-control -d
  if timeout 60 "$PRETEXT_PYTHON" -c 'import torch; print(float(torch.ones(9, device="cuda").sum()))' >"$WORK/mps.log" 2>&1; then mps=on; else
    echo quit | timeout 10 nvidia-cuda-mps-control
    unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
  fi
fi
echo "MPS $mps: $(cat "$WORK/mps.log" 2>/dev/null | tail -n 1)"

# A server on every GPU, all on one port: connections are spread over them.
serve() { # GPU
  (cd bench/gpu && CUDA_VISIBLE_DEVICES=$1 setsid nohup nice -n -5 "$PRETEXT_PYTHON" serve.py "$MODEL" --slots "$SLOTS" >"$WORK/serve-$1.log" 2>&1 </dev/null & echo $! >"$WORK/serve-$1.pid")
}
MODEL=$2
# With WHOLE=1 the first GPU and half of the cores are kept for whole.sh, until that is done.
half=$(($(env -u OMP_NUM_THREADS nproc) / 2))
for gpu in $(seq "${WHOLE:-0}" $((gpus > 0 ? gpus - 1 : 0))); do serve "$gpu"; done
as_folder() { # GGUF FOLDER: once it is there; minutes, where all processes begin at once
  until [ -e "$1" ]; do sleep 1; done
  PYTHONPATH=trainer:$PYTHONPATH "$PRETEXT_PYTHON" bench/gpu/dequantise.py "$1" "$2.part" >"$WORK/$(basename "$2").log" 2>&1 && mv "$2.part" "$2"
}
case ${3:-} in *.gguf)
  [ -d "$WORK/large" ] || as_folder "$3" "$WORK/large" &
  set -- "$1" "$2" "$WORK/large"
  ;;
esac
# The larger model writes too, for the set "generator": on the last GPU, once it is there.
if grep -q '^generator ' "$PLAN" && [ -n "${3:-}" ]; then
  (
    until [ -e "$3/config.json" ]; do sleep 1; done
    cd bench/gpu && CUDA_VISIBLE_DEVICES=$((gpus > 0 ? gpus - 1 : 0)) setsid nohup nice -n -5 "$PRETEXT_PYTHON" serve.py "$3" --port 8002 --slots "$((SLOTS / 2))" >"$WORK/serve-large.log" 2>&1 </dev/null &
    echo $! >"$WORK/serve-large.pid"
  ) &
fi

# A set that begins from the start of another waits for it.
started="until [ -e runs/gpu/compare-debian/start/result.json ]; do sleep 1; done;"
declare -A BEFORE=([hint]=$started [labels]=$started [limits]=$started [noise-debian]=$started [noise-changes]=${started//debian/changes} [noise-mild]=${started//debian/changes}
  [generator]="$started for _ in {1..600}; do (exec 3<>/dev/tcp/127.0.0.1/8002) 2>/dev/null && break; sleep 1; done;" [systems]="until [ -d runs/gpu/smollm2 ]; do sleep 1; done;")
# The four systems begin from the served model, as a folder.
if grep -q '^systems ' "$PLAN" && [ ! -d runs/gpu/smollm2 ]; then
  if [ -d "$2" ]; then cp -r "$2" runs/gpu/smollm2; else
    as_folder "$2" runs/gpu/smollm2 &
  fi
fi
# Of processes that begin together the first one trains the start, the others wait for it. "all-gpus" after the epsilon: on all of them.
line=0
while read -r set arm epsilon how; do
  case $set in "" | "#"*) continue ;; esac
  line=$((line + 1))
  [ "$epsilon" = - ] && epsilon=
  # SET@SEED: the same with another seed and in a folder of its own, for a second release of every choice.
  case $set in *@*) sed "s/^seeds: .*/seeds: [${set#*@}]/; s#^  folder: .*#&-${set#*@}#" "bench/gpu/${CONFIG:-compare}-${set%@*}.yaml" >"bench/gpu/${CONFIG:-compare}-$set.yaml" ;; esac
  printf '%s\t%s\n' "$line-$set-$arm${epsilon:+-$epsilon}" "${BEFORE[${set%@*}]:-} ${how:+env -u CUDA_VISIBLE_DEVICES} node bin/pretext.js baseline $arm \
    bench/gpu/${CONFIG:-compare}-$set.yaml ${epsilon:+--epsilon $epsilon}"
done <"$PLAN" >"$WORK/queue"
if [ "${WHOLE:-0}" = 1 ]; then
  (
    (GPUS=$(seq -s ' ' 1 $((gpus - 1))) FIRST_CORE=$half CORES=$half WORKERS=$((WORKERS / 2)) stage "$here/queue.sh" "$WORK/queue") &
    CUDA_VISIBLE_DEVICES=0 stage taskset -c "0-$((half - 1))" "$here/whole.sh" "$MODEL" "$WORK/whole" >"$WORK/whole.log" 2>&1
    serve 0
    GPUS=0 FIRST_CORE=0 CORES=$half WORKERS=$((WORKERS / 2)) stage "$here/queue.sh" "$WORK/queue"
    wait
  ) &
else
  stage "$here/queue.sh" "$WORK/queue" &
fi
compared=$!

# The larger model, and how near the corpora are: on the corpora of one set, once those of CORPORA are there at each epsilon.
arms=runs/gpu/compare-$CORPORA_OF/arms
made() { ls -d "$arms/pretext/shared/epsilon-$1-corpus-$2"-*/run/synthetic.jsonl 2>/dev/null | head -n 1; }
expansion() { ls -d "$arms/expand-only/shared/corpus-$1"-*/corpus.jsonl 2>/dev/null | head -n 1; }
awaited() { # COMMAND...: until it prints something, or nothing can come any more
  until [ -n "$("$@")" ] || ! kill -0 $compared 2>/dev/null; do sleep 2; done
}
links=$WORK/corpora
export RUNS=$links MODELS=$WORK/models JOBS=${LARGE_JOBS:-4}
for seed in $CORPORA; do for epsilon in $EPSILONS; do
  awaited made "$epsilon" "$seed"
  from=$(made "$epsilon" "$seed") to=$links/eps-${epsilon/Infinity/inf}_seed-$((seed + 1))
  [ -n "$from" ] && [ ! -e "$to/run" ] && mkdir -p "$to" && ln -s "$(realpath "$(dirname "$from")")" "$to/run"
done; done
for seed in $CORPORA; do
  grep -q "^$CORPORA_OF expand-only" "$PLAN" && awaited expansion "$seed"
  only=$(expansion "$seed")
  [ -s "$only" ] && for run in "$links"/*_seed-$((seed + 1))/run; do mkdir -p "$run/evaluation" && cp "$only" "$run/evaluation/expand-only.jsonl"; done
done
[ "${FIDELITY:-1}" = 1 ] && (JOBS=${FIDELITY_JOBS:-3} stage "$here/train.sh" fidelity) &
if [ -n "${3:-}" ]; then
  until [ -e "$3/config.json" ] || ! kill -0 $compared 2>/dev/null; do sleep 2; done
  [ -e "$3/config.json" ] && stage "$here/train.sh" large "$3" && stage "$here/train.sh" tell large "$3"
fi
wait
for pid in "$WORK"/serve-*.pid; do kill "$(cat "$pid")" 2>/dev/null; done
touch "$WORK/all.done"
