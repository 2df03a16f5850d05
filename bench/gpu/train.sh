#!/usr/bin/env bash
# What the corpora are worth: training and evaluation on the machine of run.sh, after its cells or beside them.
#   train.sh base      public pre-training of the 14M model, for each seed
#   train.sh expand    the corpora without votes (asks the server)
#   train.sh fidelity  fidelity and diversity of all corpora (CPU alone: after the trainings)
#   train.sh small     the 14M models: on each run's corpus, on the corpora without votes, on private texts (the ceiling)
#   train.sh large M   LoRA of model M (a GGUF or a folder; not the generator) on the same corpora (of LARGE_ARMS and LARGE_SEEDS)
#   train.sh tell KIND [M]  next tokens of the held-out clients, for KIND small or large (M: the untuned model)
# JOBS at once; what is done is not done again.
set -uo pipefail
: "${WORK:=/tmp/work}" "${JOBS:=8}" "${SEEDS:=1 2 3}" "${TRAIN:=}" "${BASE:=}" "${LARGE:=--epochs 1 --batch 128 --micro-batch 64 --precision bf16}"
app=$WORK/app
: "${RUNS:=$app/runs/gpu/batch/jobs}" "${MODELS:=$WORK/models}" "${DATA:=$app/runs/gpu/debian}" "${PUBLIC:=$WORK/passages.jsonl}"
export PATH=$WORK/bin:$PATH PRETEXT_CACHE=$WORK/cache PRETEXT_OFFLINE=1 PYTHONPATH=$WORK/site OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
export PRETEXT_PYTHON=${PRETEXT_PYTHON:-$(command -v python3)} TOKENIZERS_PARALLELISM=false
consented="--config bench/gpu/generate.yaml --set data.private.path=$DATA/clients.jsonl --set data.consented.path=$DATA/heldout.jsonl --set data.consented.client=client"
mkdir -p "$MODELS/log" && cd "$app" || exit 1
log() { echo "$(date +%T) $*"; }

# name command...: one line of the list of jobs; its output goes to a log, its last line is shown.
queue() { printf '%s\t%s\n' "$1" "${*:2}" >>"$list"; }
run_all() {
  [ -s "$list" ] && tr '\n' '\0' <"$list" | xargs -0 -P "$JOBS" -I{} bash -c '
    IFS=$'"'\t'"' read -r name command <<<"$1"; began=$SECONDS
    if eval "$command" >"'"$MODELS"'/log/$name.log" 2>&1; then how=done; else how=FAILED; fi
    echo "$(date +%T) $name $how in $((SECONDS - began)) s: $(grep -vE "^ *$" "'"$MODELS"'/log/$name.log" | tail -n 1 | cut -c1-150)"' _ {}
  rm -f "$list"
}
list=$(mktemp)
# Two cores for each evaluation, in turn: the embedder takes as many threads as it may use cores.
next=0 pairs=$(($(env -u OMP_NUM_THREADS nproc) / 2))
gpus=$(nvidia-smi -L 2>/dev/null | wc -l)
on_gpu() { # the GPUs in turn
  gpu=
  [ "$gpus" -gt 0 ] && gpu="CUDA_VISIBLE_DEVICES=$((turn % gpus))" turn=$((turn + 1))
}
turn=0
pair() {
  cores=
  [ "$pairs" -gt 0 ] && cores="taskset -c $((2 * (next % pairs)))-$((2 * (next % pairs) + 1))"
  next=$((next + 1))
}
pretext="node bin/pretext.js"

ceiling() { # as many texts of a client as it may vote with, from the clients who vote
  [ -s "$MODELS/private.jsonl" ] || node -e '
    const [file, most] = process.argv.slice(1)
    const seen = {}
    for (const line of require("fs").readFileSync(file, "utf8").trim().split("\n")) {
      const { client, text } = JSON.parse(line)
      seen[client] = (seen[client] ?? 0) + 1
      if (seen[client] <= most) console.log(JSON.stringify({ text }))
    }' "$DATA/clients.jsonl" 8 >"$MODELS/private.jsonl"
}

corpora() { # arm seed path, one a line
  local run arm seed
  for run in "$RUNS"/*/run; do
    [ -s "$run/synthetic.jsonl" ] || continue
    arm=$(basename "$(dirname "$run")") seed=${arm##*seed-} arm=${arm%_seed-*}
    echo "${arm#votes-} $seed $run"
    [ -s "$run/evaluation/expand-only.jsonl" ] && echo "expand-only $seed $run/evaluation/expand-only.jsonl"
  done
  ceiling
  for seed in $SEEDS; do echo "private $seed $MODELS/private.jsonl"; done
}

case $1 in
base)
  for seed in $SEEDS; do
    [ -d "$MODELS/public-$seed/model" ] ||
      queue "public-$seed" "$pretext train --out $MODELS/public-$seed --seed $seed --pretrain $PUBLIC data/public/texts.jsonl --no-gguf $BASE"
  done
  run_all
  ;;
expand)
  for run in "$RUNS"/*"${EXPAND:-eps-inf}"*/run; do
    [ -s "$run/synthetic.jsonl" ] && [ ! -s "$run/evaluation/expand-only.jsonl" ] || continue
    pair
    queue "expand-$(basename "$(dirname "$run")")" "$cores $pretext evaluate $run $consented --metrics diversity --expand-only ${EVALUATE:-}"
  done
  run_all
  ;;
fidelity)
  for run in "$RUNS"/*/run; do
    name=fidelity-$(basename "$(dirname "$run")")
    [ -s "$run/synthetic.jsonl" ] && [ ! -s "$MODELS/$name/evaluation.json" ] || continue
    pair
    queue "$name" "$cores $pretext evaluate $run $consented --metrics fidelity --metrics diversity --out $MODELS/$name ${EVALUATE:-}"
  done
  run_all
  ;;
small)
  corpora | while read -r arm seed path; do
    [ -d "$MODELS/small_$arm-$seed/model" ] ||
      queue "small_$arm-$seed" "$pretext train $path --from $MODELS/public-$seed --out $MODELS/small_$arm-$seed --seed $seed --no-gguf $TRAIN"
  done
  run_all
  ;;
large)
  corpora | awk -v seeds=" ${LARGE_SEEDS:-1 2 3} " 'index(seeds, " " $2 " ")' | sort -u -k 1,2 | grep -E "${LARGE_ARMS:-.}" | while read -r arm seed path; do
    on_gpu
    [ -d "$MODELS/large_$arm-$seed/model" ] ||
      queue "large_$arm-$seed" "$gpu $pretext finetune $path --model $2 --out $MODELS/large_$arm-$seed --seed $seed --no-gguf $LARGE"
  done
  # The first corpus at 7.58 twice more: on all GPUs together, and with the frozen weights in 4 bits.
  path=$(corpora | awk '$2 == 1 && $1 ~ /eps-7.58/ { print $3 }' | head -n 1)
  [ -n "$path" ] && [ "$gpus" -gt 1 ] && [ ! -d "$MODELS/large_all-gpus-1/model" ] &&
    queue "large_all-gpus-1" "$pretext finetune $path --model $2 --out $MODELS/large_all-gpus-1 --seed 1 --no-gguf $LARGE"
  on_gpu
  [ -n "$path" ] && [ ! -d "$MODELS/large_nf4-1/model" ] && "$PRETEXT_PYTHON" -c 'import bitsandbytes' 2>/dev/null &&
    queue "large_nf4-1" "$gpu $pretext finetune $path --model $2 --out $MODELS/large_nf4-1 --seed 1 --no-gguf --quantise nf4 $LARGE"
  [ -d "$MODELS/large_public-1/model" ] ||
    queue "large_public-1" "$pretext finetune data/public/texts.jsonl --model $2 --out $MODELS/large_public-1 --seed 1 --no-gguf $LARGE"
  run_all
  ;;
tell)
  run=$(for r in "$RUNS"/*/run; do [ -s "$r/synthetic.jsonl" ] && echo "$r"; done | head -1)
  arms=$(cd "$MODELS" && ls -d "${2}"_*-[0-9] | sed -E "s/^${2}_(.*)-[0-9]$/\1/" | sort -u)
  [ "$2" = small ] && arms="$arms public"
  for arm in $arms; do
    prefix=${2}_ && [ "$2 $arm" = "small public" ] && prefix=
    models=$(for m in "$MODELS/$prefix$arm"-[0-9]; do [ -d "$m/model" ] && echo "--model ${arm//./_}=$m"; done | tr '\n' ' ')
    [ -n "$models" ] || continue
    on_gpu
    queue "tell-$2-$arm" "$gpu $pretext evaluate $run $consented --metrics next-token $models --out $MODELS/evaluation-$2-$arm ${EVALUATE:-}"
  done
  [ -n "${3:-}" ] && queue "tell-$2-base" "$pretext evaluate $run $consented --metrics next-token --model base=$3 --out $MODELS/evaluation-$2-base ${EVALUATE:-}"
  run_all
  for f in "$MODELS"/log/tell-"$2"-*.log; do
    echo "$(basename "$f" .log): $(grep -hE '^(Next token, best guess|Cross-entropy)' "$f" | tr -s ' \n' ' ')"
  done
  ;;
collect) # figures and cards, and the smallest weights that show them
  tar czf "$2/models.tar.gz" -C "$(dirname "$MODELS")" --exclude='*.safetensors' --exclude=tokenizer.json --exclude=private.jsonl --exclude=checkpoints --exclude='*.pt' "$(basename "$MODELS")"
  ls -la "$2"
  ;;
*)
  sed -n '2,9p' "$0"
  exit 64
  ;;
esac
