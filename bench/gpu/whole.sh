#!/usr/bin/env bash
# The whole job on one GPU: `pretext generate` with 1,024 candidates, 11 rounds and 50,000 texts against bench/gpu/serve.py and with the
# embedder on the same GPU, with the time that each stage takes; before it the server against its load generator, and the
# embedder against sentence-transformers. bench/gpu/whole.sh SERVED OUT. $WORK/cuda
# the two libonnxruntime_providers_*.so of the wheel onnxruntime-gpu, of the version in package.json, $WORK/minilm the folder of the
# fp32 model for sentence-transformers; without that the embedder is not measured.
set -uo pipefail
: "${WORK:=/tmp/work}" "${TEXTS:=50000}" "${ROUNDS:=11}" "${PORT:=8001}" "${SLOTS:=2048}" "${DEVICE:=cuda}" "${SET:=}"
here=$(cd "$(dirname "$0")" && pwd) served=$(realpath "$1") out=$(realpath -m "$2") app=$WORK/app-cuda
mkdir -p "$out"
export PATH=$WORK/bin:$PATH PRETEXT_CACHE=$WORK/cache PRETEXT_OFFLINE=1 PYTHONPATH=$WORK/site PYTHONUNBUFFERED=1
export PYTHON=${PRETEXT_PYTHON:-$(command -v python3)} PRETEXT_ROOT=$app
# CUDA's own libraries are those of PyTorch.
LD_LIBRARY_PATH=$("$PYTHON" -c 'import glob, os, site
roots = [os.path.join(p, "nvidia") for p in site.getsitepackages()]
print(":".join(sorted({os.path.dirname(f) for r in roots for f in glob.glob(r + "/**/*.so*", recursive=True)})))'):${LD_LIBRARY_PATH:-}
export LD_LIBRARY_PATH
# What still arrives is waited for.
for _ in $(seq "${PATIENCE:-0}"); do [ -d "$WORK/minilm" ] && break; sleep 1; done
# A tree of its own: what runs beside it keeps its embedder on the CPU.
[ -d "$app" ] || cp -r "$WORK/app" "$app"
cp "$WORK"/cuda/*.so "$app"/node_modules/onnxruntime-node/bin/napi-v*/linux/x64/ 2>/dev/null
ln -sfn "$app/node_modules" "$WORK/js/node_modules"
cp -r "$app/package.json" "$app/configs" "$WORK/js/"
say() { echo "$(date +%T) $*"; }
(cd "$here" && setsid nohup nice -n -5 "$PYTHON" serve.py "$served" --slots "$SLOTS" --port "$PORT" >"$out/serve.log" 2>&1 </dev/null & echo $! >"$WORK/serve-whole.pid")
for _ in $(seq 120); do (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break; sleep 1; done
if [ -d "$WORK/minilm" ]; then
  for count in 1024 20480; do
    say "embedding, $count texts"
    (cd "$app" && timeout 90 node "$WORK/js/bench/embedding.js" "$WORK/minilm" "$count" 3 "$DEVICE") 2>&1 | tee "$out/embedding-$count.txt"
  done
fi
say "the server and its load generator"
(cd "$app" && timeout 90 node "$WORK/js/bench/remote-llm.js" "${REQUESTS:-8000}" "http://127.0.0.1:$PORT/v1" model 64 1024) 2>&1 | tee "$out/remote-llm.txt"
say "the whole job begins"
cd "$app" && node "$WORK/js/bench/whole.js" bench/gpu/generate.yaml name=whole generate.texts="$TEXTS" evolution.rounds="$ROUNDS" \
  'evolution.survivors.threshold={"topShare":0.0625}' embeddings.device="$DEVICE" "llm.baseUrl=http://127.0.0.1:$PORT/v1" llm.concurrency=1024 \
  output.folder="$out/runs" $SET 2>&1 | tee "$out/whole.txt"
say "the whole job ended"
kill "$(cat "$WORK/serve-whole.pid")"
