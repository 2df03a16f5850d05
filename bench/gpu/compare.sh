#!/usr/bin/env bash
# The comparison on a machine with one GPU or more, in the background: bench/gpu/compare.sh SERVED.gguf [LARGE-FOLDER], then
# bench/gpu/poll.sh OUT until it says done. What is done is not done again. $WORK is what pack.sh packed.
set -uo pipefail
: "${WORK:=/tmp/work}" "${SLOTS:=1024}" "${STUDY=limits}" "${EPSILONS:=7.58 1.29 Infinity}" "${CORPORA:=0 1 2}"
here=$(cd "$(dirname "$0")" && pwd) app=$WORK/app
export PATH=$WORK/bin:$PATH PRETEXT_CACHE=$WORK/cache PRETEXT_OFFLINE=1 PYTHONPATH=$WORK/site PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
export PRETEXT_PYTHON=${PRETEXT_PYTHON:-$(command -v python3)} TOKENIZERS_PARALLELISM=false PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
# What runs: a set (compare-SET.yaml) and its arms; +b, +c are further processes for the same arm.
PLAN=${PLAN:-debian pretext pretext+b pretext+c dp-fedavg expand-only expand-only+b dp-fedavg+b private public-only dp-ftrl central-dp; changes pretext dp-fedavg expand-only private public-only dp-ftrl central-dp; hint pretext expand-only}
IFS=';' read -r -a PLANS <<<"$PLAN"
if [ "${1:-}" != --stages ]; then
  set -- "$(realpath -m "${1:?name the model to serve}")" ${2:+"$(realpath -m "$2")"}
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
FIRST=${PLAN%% *}

# A server on every GPU, all on one port: connections are spread over them.
serve() { # GPU
  (cd bench/gpu && CUDA_VISIBLE_DEVICES=$1 setsid nohup nice -n -5 "$PRETEXT_PYTHON" serve.py "$MODEL" --slots "$SLOTS" >"$WORK/serve-$1.log" 2>&1 </dev/null & echo $! >"$WORK/serve-$1.pid")
}
MODEL=$2
# With WHOLE=1 the first GPU and half of the cores are kept for whole.sh, until that is done.
half=$(($(env -u OMP_NUM_THREADS nproc) / 2))
for gpu in $(seq "${WHOLE:-0}" $((gpus > 0 ? gpus - 1 : 0))); do serve "$gpu"; done

# A set that begins from the start of another waits for it.
started="until [ -e runs/gpu/compare-debian/start/result.json ]; do sleep 1; done;"
declare -A BEFORE=([hint]=$started [limits]=$started [systems]="until [ -d runs/gpu/smollm2 ]; do sleep 1; done;")
# The four systems begin from the served model, as a folder.
if [[ $PLAN == *systems* && ! -d runs/gpu/smollm2 ]]; then
  if [ -d "$2" ]; then cp -r "$2" runs/gpu/smollm2; else
    (PYTHONPATH=trainer:$PYTHONPATH "$PRETEXT_PYTHON" bench/gpu/dequantise.py "$2" runs/gpu/smollm2.part && mv runs/gpu/smollm2.part runs/gpu/smollm2) &
  fi
fi
job() { printf '%s\t%s\n' "$1" "${*:2}" >>"$WORK/queue"; }
baseline() { job "$1-$2-${3:-any}${4:-}" "${BEFORE[$1]:-} node bin/pretext.js baseline $2 bench/gpu/${CONFIG:-compare}-$1.yaml ${3:+--epsilon $3}"; }
: >"$WORK/queue"
# Processes at one epsilon share an arm; what matters most is first. The first one trains the start, the others wait for it.
each() { for epsilon in $EPSILONS; do baseline "$1" "$2" "$epsilon" "${3:-}"; done; }
arms() { # SET ARM...
  local arm
  for arm in "${@:2}"; do
    case $arm in
    pretext* | dp-* | central-dp* | fedlpp* | lora-dp-sgd* | dr-encoder* | scaleot-dp*) each "$1" "${arm%%+*}" "${arm#"${arm%%+*}"}" ;;
    *) baseline "$1" "${arm%%+*}" "" "${arm#"${arm%%+*}"}" ;;
    esac
  done
}
for plan in "${PLANS[@]}"; do
  # Of the systems' set one epsilon is enough.
  if [[ $plan == *systems\ * ]]; then EPSILONS=7.58 arms $plan; else arms $plan; fi
done
for study in $STUDY; do for epsilon in ${EPSILONS/Infinity/}; do for process in "" -b -c; do
  job "$study-$epsilon$process" "${BEFORE[${study#dry-}]:-} node bin/pretext.js baseline pretext bench/gpu/$study.yaml --epsilon $epsilon"
done; done; done
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

# The larger model, and how near the corpora are: on the corpora of the first set, once three seeds of each epsilon are there.
made() { ls -d "runs/gpu/compare-$FIRST/arms/pretext/shared/epsilon-$1-corpus-$2"-*/run/synthetic.jsonl 2>/dev/null | head -n 1; }
links=$WORK/corpora
export RUNS=$links MODELS=$WORK/models JOBS=${LARGE_JOBS:-4}
if [ "${FIDELITY:-1}" = 1 ]; then
  for seed in ${CORPORA#0 }; do for epsilon in $EPSILONS; do
    until [ -n "$(made "$epsilon" "$seed")" ] || ! kill -0 $compared 2>/dev/null; do sleep 2; done
  done; done
  expansion() { ls -d "runs/gpu/compare-$FIRST"/arms/expand-only/shared/corpus-1-*/corpus.jsonl 2>/dev/null | head -n 1 | sed 's/corpus-1-/corpus-0-/'; }
  if [[ ${PLANS[0]} == *expand-only* ]]; then until [ -s "$(expansion)" ] || ! kill -0 $compared 2>/dev/null; do sleep 2; done; fi
  for epsilon in $EPSILONS; do for seed in $CORPORA; do
    from=$(made "$epsilon" "$seed") to=$links/eps-${epsilon/Infinity/inf}_seed-$((seed + 1))
    # Of the first seed there are several: the one that was chosen is that of the others.
    [ "$seed" = 0 ] && from=$(ls "$(made "$epsilon" 1 | sed 's/-corpus-1-/-corpus-0-/')" 2>/dev/null)
    [ -n "$from" ] && [ ! -e "$to/run" ] && mkdir -p "$to" && ln -s "$(realpath "$(dirname "$from")")" "$to/run"
  done; done
  only=$(expansion)
  [ -s "$only" ] && for run in "$links"/*_seed-1/run; do mkdir -p "$run/evaluation" && cp "$only" "$run/evaluation/expand-only.jsonl"; done
  (JOBS=${FIDELITY_JOBS:-3} stage "$here/train.sh" fidelity) &
  if [ -n "${3:-}" ]; then
    until [ -e "$3/config.json" ] || ! kill -0 $compared 2>/dev/null; do sleep 2; done
    [ -e "$3/config.json" ] && stage "$here/train.sh" large "$3" && stage "$here/train.sh" tell large "$3"
  fi
fi
wait
for pid in "$WORK"/serve-*.pid; do kill "$(cat "$pid")" 2>/dev/null; done
touch "$WORK/all.done"
