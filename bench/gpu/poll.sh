#!/usr/bin/env bash
# Waits for compare.sh, at most SECONDS (280), says how far it is, and copies what there is: bench/gpu/poll.sh OUT [SECONDS]
set -uo pipefail
: "${WORK:=/tmp/work}"
here=$(cd "$(dirname "$0")" && pwd) end=$((SECONDS + ${2:-280}))
while [ $SECONDS -lt $end ] && [ ! -e "$WORK/all.done" ]; do sleep 2; done
cat "$WORK/all.log"
tail -qn 1 "$WORK"/serve-*.log
# What runs, and the last that each said.
for log in $(ls -t "$WORK"/log/*.log | head -n "${LAST:-20}"); do echo "$(basename "$log" .log): $(grep -vE '^ *$' "$log" | tail -n 1 | cut -c1-${WIDE:-110})"; done
nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader 2>/dev/null
uptime
wc -l <"$WORK/queue"
mkdir -p "$1" && out=$(realpath "$1")
# Figures and corpora; weights, populations, caches and copies of the data stay.
(cd "$WORK/app/runs/gpu" && find . \( -name result.json -o -name 'comparison*.json' -o -name 'baseline-*.json' -o -name release.json \) -print0 |
  tar czf "$out/figures.tar.gz" --null -T -)
(cd "$WORK/app/runs/gpu" && find . \( -path ./compare-limits -o -path './compare-noise-*' -o -path ./compare-generator \) -prune -o \( -name synthetic.jsonl -o -name corpus.jsonl -o -path '*/run/run.json' -o -path '*/run/report.json' \) -print0 |
  tar czf "$out/corpora.tar.gz" --null -T -)
[ -d "${MODELS:-$WORK/models}" ] && "$here/train.sh" collect "$out" >/dev/null
tar czf "$out/logs.tar.gz" -C "$WORK" log $(cd "$WORK" && ls *.log)
ls -la "$out"
[ -d "$WORK/whole" ] && tar czf "$out/whole.tar.gz" -C "$WORK" --exclude='*.jsonl' --exclude='*.parquet' whole whole.log
[ -e "$WORK/all.done" ] && echo done
