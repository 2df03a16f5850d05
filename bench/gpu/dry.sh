#!/usr/bin/env bash
# The whole of compare.sh on a CPU, with tiny models, 35 clients, one epsilon and one round: bench/gpu/dry.sh TREE [WORK]. TREE is built
# and has node_modules; PRETEXT_PYTHON has the packages of trainer/requirements.txt. It ends with an error if any part has failed.
set -euo pipefail
tree=$(realpath "$1") here=$(cd "$(dirname "$0")" && pwd)
export WORK=${2:-/tmp/dry} SLOTS=8 SEEDS=1 OMP_NUM_THREADS=1 CONFIG=dry EPSILONS=7.58 CORPORA="0 1" WORKERS=3
export DATA=$WORK/data/debian PUBLIC=$WORK/data/passages.jsonl
tiny="--sequence-tokens 32 --threads 1 --device cpu"
export LARGE="--epochs 1 --batch 16 --micro-batch 8 $tiny" EVALUATE="--resamples 20"
: "${PRETEXT_PYTHON:?name a Python with the packages of the trainer}"
rm -rf "$WORK"
mkdir -p "$DATA" "$WORK/data/changes"
export PLAN=${PLAN:-$WORK/plan.txt}
grep -E '^(debian|limits|systems|labels) ' "$here/plan.txt" | grep -vE ' (1.29|Infinity)$' >"$WORK/plan.txt"
head -n 150 "$tree/data/debian/clients.jsonl" >"$DATA/clients.jsonl"
head -n 60 "$tree/data/debian/heldout.jsonl" >"$DATA/heldout.jsonl"
head -n 300 "$tree/data/public/texts.jsonl" >"$PUBLIC"
GPU_DATA=$WORK/data "$here/pack.sh" "$tree" "$WORK/packed" >/dev/null
mv "$WORK"/packed/* "$WORK/"
mkdir -p "$WORK/site"
"$PRETEXT_PYTHON" -c 'import aiohttp' 2>/dev/null || "$PRETEXT_PYTHON" -m pip install -q --disable-pip-version-check --target "$WORK/site" aiohttp
cd "$WORK/app"
export PATH=$WORK/bin:$PATH
# The real files, made small: fewer and smaller of everything, the same arms and stages.
node -e '
  const { readFileSync, writeFileSync } = require("fs"), { parse, stringify } = require("yaml")
  const few = { rounds: 2, textsPerClient: 2 }, one = { emulators: [{ alpha: 1, beta: 0 }], adapters: { layers: 1 }, search: { steps: 10 } }
  const SMALL = {
    fedlpp: { ...few, otherBits: [16], attackers: 1, healingEpochs: 1 },
    "lora-dp-sgd": { steps: 2, textsPerClient: 2, looks: 1, noiseRanks: [1, 16], attackClients: 50 },
    "dr-encoder": { ...few, statistics: { source: "public" }, autoencoder: { steps: 10 } },
    "scaleot-dp": { ...few, ...one }, scaleot: { ...few, ...one, rounds: 1 },
  }
  const small = (content, name) => {
    Object.assign(content, { epsilons: content.epsilons, seeds: [0, 1], trials: 2, device: "cpu", threads: 1, sequenceTokens: 32, resamples: 20 })
    Object.assign(content.set, { "evolution.rounds": 1, "evolution.population": 16, "evolution.variation.maxTokens": 16,
      "evolution.variation.minWords": 1, "generate.texts": 24, "generate.maxTokens": 16, "generate.minWords": 1 })
    if (content.start.public) content.start = { public: content.start.public, batch: 64, layers: 2, width: 32, heads: 2, feedForward: 64, vocabulary: 512, epochs: 1 }
    content.training = { epochs: 1, batch: 16 }
    for (const name of Object.keys(content.arms)) {
      const arm = (content.arms[name] ??= {})
      if (name.startsWith("dp-f")) arm.settings = { rounds: 2, clientSteps: 1, ...(name === "dp-ftrl" ? { period: 2 } : {}) }
      if (name === "central-dp") arm.settings = { steps: 2 }
      if (SMALL[name]) arm.settings = SMALL[name]
      if (name === "local") arm.settings = { sample: 5, models: 1 }
    }
    if (name === "compare-labels") content.set["evolution.population"] = 64
    if (name === "compare-limits") content.arms.pretext.grid = content.arms.pretext.grid.slice(0, 3)
    return content
  }
  for (const [from, to] of [["compare-debian", "dry-debian"], ["compare-limits", "dry-limits"], ["compare-systems", "dry-systems"], ["compare-labels", "dry-labels"]]) {
    writeFileSync(`bench/gpu/${to}.yaml`, stringify(small(parse(readFileSync(`bench/gpu/${from}.yaml`, "utf8")), from)))
  }'
# The served model and the large one: of two other shapes, trained for a moment.
served="--epochs 1 --pretrain-epochs 4 --layers 2 --heads 2 --feed-forward 64 --vocabulary 512 $tiny --pretrain $PUBLIC"
node bin/pretext.js train --out "$WORK/served" --width 32 $served
node bin/pretext.js train --out "$WORK/large" --width 48 $served --no-gguf
"$here/compare.sh" "$WORK/served/model" "$WORK/large/model"
mkdir -p "$WORK/out"
until "$here/poll.sh" "$WORK/out" 30 | tail -n 1 | grep -q '^done$'; do tail -n 1 "$WORK/all.log"; done
cat "$WORK/all.log"
if grep -E 'FAILED' "$WORK/all.log"; then exit 1; fi
for made in large_eps-7.58-1 large_expand-only-1 large_public-1 evaluation-large-base fidelity-eps-7.58_seed-2; do
  [ -e "$WORK/models/$made" ] || { echo "not made: $made"; exit 1; }
done
ls "$WORK/out"
