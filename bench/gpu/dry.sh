#!/usr/bin/env bash
# The whole of all.sh on a CPU, with tiny models, 40 clients, one seed and one round: bench/gpu/dry.sh TREE [WORK]. TREE is built and has
# node_modules; PRETEXT_PYTHON has the packages of trainer/requirements.txt. It ends with an error if any stage has failed.
set -euo pipefail
tree=$(realpath "$1") here=$(cd "$(dirname "$0")" && pwd)
export WORK=${2:-/tmp/dry} SLOTS=8 SHARES=2 SEEDS=1 OMP_NUM_THREADS=1
export DATA=$WORK/debian PUBLIC=$WORK/passages.jsonl BATCH=$WORK/app/bench/gpu/dry.yaml RUNS=$WORK/runs/jobs MODELS=$WORK/models
tiny="--sequence-tokens 32 --threads 1 --device cpu"
export BASE="--pretrain-epochs 1 --layers 2 --width 32 --heads 2 --feed-forward 64 --vocabulary 512 $tiny"
export TRAIN="--epochs 1 --batch 16 $tiny" LARGE="--epochs 1 --batch 16 --micro-batch 8 $tiny" EVALUATE="--resamples 20"
: "${PRETEXT_PYTHON:?name a Python with the packages of the trainer}"
rm -rf "$WORK"
GPU_DATA=$tree/data/debian "$here/pack.sh" "$tree" "$WORK" >/dev/null
mkdir -p "$DATA" "$WORK/site"
head -n 150 "$tree/data/debian/clients.jsonl" >"$DATA/clients.jsonl"
head -n 60 "$tree/data/debian/heldout.jsonl" >"$DATA/heldout.jsonl"
head -n 300 "$tree/data/public/texts.jsonl" >"$PUBLIC"
"$PRETEXT_PYTHON" -c 'import aiohttp' 2>/dev/null || "$PRETEXT_PYTHON" -m pip install -q --disable-pip-version-check --target "$WORK/site" aiohttp
cat >"$BATCH" <<END
name: dry
base: generate.yaml
set:
  data.private.path: $DATA/clients.jsonl
  evolution.rounds: 1
  evolution.population: 16
  evolution.variation.maxTokens: 16
  evolution.variation.minWords: 1
  generate.texts: 24
  generate.maxTokens: 16
  generate.minWords: 1
variants:
  votes:
    - { name: eps-7.58, set: { privacy.epsilon: 7.58 } }
    - { name: eps-inf, set: { privacy.epsilon: .inf, evolution.survivors.threshold: { topShare: 0.5 } } }
matrix: { seed: [1] }
steps: [generate]
output: { folder: $WORK/runs }
END
cd "$WORK/app"
export PATH=$WORK/bin:$PATH
# The served model and the large one: of two other shapes, trained for a moment.
served="--epochs 1 --pretrain-epochs 4 --layers 2 --heads 2 --feed-forward 64 --vocabulary 512 $tiny --pretrain $PUBLIC"
node bin/pretext.js train --out "$WORK/served" --width 32 $served
node bin/pretext.js train --out "$WORK/large" --width 48 $served --no-gguf
"$here/all.sh" "$WORK/served/model" "$WORK/large/model"
mkdir -p "$WORK/out"
until "$here/poll.sh" "$WORK/out" 30 | tail -n 1 | grep -q '^done$'; do tail -n 1 "$WORK/all.log"; done
cat "$WORK/all.log"
if grep -E 'FAILED' "$WORK/all.log"; then exit 1; fi
for made in public-1 small_eps-7.58-1 small_expand-only-1 small_private-1 large_eps-inf-1 large_public-1 evaluation-small-expand-only evaluation-large-base; do
  [ -e "$MODELS/$made" ] || { echo "not made: $made"; exit 1; }
done
ls "$WORK/out"
