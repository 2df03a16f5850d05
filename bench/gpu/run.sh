#!/usr/bin/env bash
# The experiment on a machine with one GPU, Python with PyTorch and Transformers, and what bench/gpu/pack.sh packed in $WORK.
#   run.sh install        unpacks the wheels      run.sh check SERVED [LARGE]   says what is missing
#   run.sh serve MODEL    starts the server and waits for it     run.sh generate [SHARES]   all cells, that many at once
#   run.sh wait SECONDS   waits for the cells                    run.sh status | collect OUT | stop
set -uo pipefail
: "${WORK:=/tmp/work}"
app=$WORK/app batch=${BATCH:-$WORK/app/bench/gpu/batch.yaml}
export PATH=$WORK/bin:$PATH PRETEXT_CACHE=$WORK/cache PRETEXT_OFFLINE=1 PYTHONPATH=$WORK/site PYTHONUNBUFFERED=1
export PRETEXT_PYTHON=${PRETEXT_PYTHON:-$(command -v python3)}
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
cores=$(env -u OMP_NUM_THREADS nproc)
log() { echo "$(date +%T) $*"; }

case $1 in
install)
  ls "$WORK"/wheels/*.whl >/dev/null 2>&1 || exit 0
  mkdir -p "$WORK/site" && "$PRETEXT_PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$WORK/site" "$WORK"/wheels/*.whl
  ;;
check)
  missing=0
  lacks() { echo "missing: $*"; missing=1; }
  data=${DATA:-$app/runs/gpu/debian}
  for file in "$2" "${3:-$2}" "$WORK/bin/node" "$app/bin/pretext.js" "$data/clients.jsonl" "$data/heldout.jsonl" "${PUBLIC:-$WORK/passages.jsonl}"; do
    [ -e "$file" ] || lacks "$file"
  done
  [ -z "${3:-}" ] || [ -e "$3/config.json" ] || lacks "$3/config.json (bench/gpu/dequantise.py makes a folder of a GGUF)"
  "$PRETEXT_PYTHON" -c '
import importlib, sys
bad = []
for name in "torch transformers peft accelerate tokenizers safetensors gguf aiohttp jsonschema scipy sklearn mauve sacrebleu threadpoolctl".split():
    try:
        importlib.import_module(name)
    except Exception as error:
        bad.append(f"{name} ({type(error).__name__})")
if bad:
    print("missing: the Python packages", ", ".join(bad))
sys.exit(bool(bad))' || missing=1
  (cd "$app" && node bin/pretext.js batch "$batch" --list) >"$WORK/check.log" 2>&1 || lacks "a batch that can be listed: $(tail -n 1 "$WORK/check.log")"
  exit $missing
  ;;
serve)
  cd "$app/bench/gpu" || exit 1
  setsid nohup nice -n "${NICE:--5}" "$PRETEXT_PYTHON" serve.py "${@:2}" >"$WORK/serve.log" 2>&1 </dev/null &
  echo $! >"$WORK/serve.pid"
  for _ in $(seq 120); do
    (exec 3<>/dev/tcp/127.0.0.1/8000) 2>/dev/null && log "serving" && exit 0
    [ "${WAIT:-1}" = 0 ] && exit 0
    kill -0 "$(cat "$WORK/serve.pid")" 2>/dev/null || break
    sleep 1
  done
  tail -20 "$WORK/serve.log" && exit 1
  ;;
generate)
  cd "$app" || exit 1
  shares=${2:-9}
  for i in $(seq "$shares"); do
    # Two cores each: more threads than cores spin on each other, and the embedder falls to a third of its speed.
    from=$((shares > 1 ? (i - 1) * (cores - 2) / (shares - 1) : 0)) to=$((from + 1))
    [ "$cores" -lt 2 ] && from=0 to=0
    setsid nohup taskset -c "$from-$to" node bin/pretext.js batch "$batch" --share "$i/$shares" >"$WORK/share-$i.log" 2>&1 </dev/null &
    echo $! >"$WORK/share-$i.pid"
  done
  log "started $shares shares on $cores cores"
  ;;
wait)
  end=$((SECONDS + $2))
  while [ $SECONDS -lt $end ]; do
    alive=0
    for f in "$WORK"/share-*.pid; do kill -0 "$(cat "$f")" 2>/dev/null && alive=$((alive + 1)); done
    [ $alive -eq 0 ] && break
    sleep 2
  done
  log "$alive shares still run"
  ;;
status)
  grep -h '^serve' "$WORK/serve.log" | tail -4
  for f in "$WORK"/share-*.log; do echo "$(basename "$f" .log): $(tail -n 1 "$f" | cut -c1-200)"; done
  find "$WORK" -path '*jobs/*' -name generate.log | sort | while read -r f; do
    echo "$(basename "$(dirname "$f")"): $(grep -v '^\$' "$f" | grep -E 'released|done|corpus|error|warning|left' | tail -n 1 | cut -c1-160)"
  done
  uptime
  ;;
collect)
  # What the results are made of, one archive for each variant; populations, parquet and caches stay.
  folder=$("$WORK/bin/node" -e 'process.stdout.write(require("path").resolve(process.argv[1]))' "${RUNS:-$app/runs/gpu/batch/jobs}")
  for variant in $(cd "$folder" && ls -d -- * | sed 's/_seed-.*//' | sort -u); do
    # Fast, and three archives for nine runs.
    tar c -C "$folder" --exclude='llm-cache*' --exclude='*.part' --exclude='population.jsonl' --exclude='*.parquet' \
      $(cd "$folder" && ls -d -- "$variant"_seed-* "$variant" 2>/dev/null) | gzip -1 >"$2/$variant.tar.gz"
  done
  cp "$WORK/serve.log" "$2/serve.log"
  tail -n 3 "$WORK"/share-*.log >"$2/shares.log"
  ls -la "$2"
  ;;
stop)
  for f in "$WORK"/*.pid; do kill -TERM -- "-$(cat "$f")" 2>/dev/null || kill "$(cat "$f")" 2>/dev/null; done
  ;;
*)
  sed -n '2,6p' "$0"
  exit 64
  ;;
esac
