#!/usr/bin/env bash
# Packs what a machine without Node and without a network needs to run the experiment: node, the built CLI with the parts of
# its packages that it loads, the embedder, the data and a few wheels. bench/gpu/pack.sh TREE OUT; TREE is built and has
# node_modules, runs/gpu (or $GPU_DATA) holds the whole data sets debian and changes, and passages.jsonl.
set -euo pipefail
tree=$(realpath "$1") out=$(realpath -m "$2")
cache=${PRETEXT_CACHE:-$HOME/.cache/pretext}
rm -rf "$out" && mkdir -p "$out/app/node_modules" "$out/cache/models" "$out/bin" "$out/wheels"
cd "$tree"
cp -r package.json bin dist configs trainer bench "$out/app/"
find "$out/app" \( -name '*.map' -o -name '*.d.ts' -o -name __pycache__ \) -prune -exec rm -rf {} +
rm -f "$out"/app/bench/gpu/*.tar.xz
mkdir -p "$out/app/data" "$out/app/runs/gpu" && cp -r data/public "$out/app/data/" && cp -r "${GPU_DATA:-runs/gpu}"/{debian,changes,passages.jsonl} "$out/app/runs/gpu/"
# Every package that production needs but those that this experiment never loads; no types, maps or other systems' binaries.
skip='^(onnxruntime-web|@img/sharp.*|@libsql/.*|libsql|gpt-tokenizer|@types/.*)$'
(cd node_modules && node -e '
  const { existsSync, readFileSync } = require("fs")
  const skip = new RegExp(process.argv[1])
  const seen = new Set()
  const visit = (name) => {
    if (seen.has(name) || skip.test(name) || !existsSync(`${name}/package.json`)) return
    seen.add(name)
    Object.keys(JSON.parse(readFileSync(`${name}/package.json`)).dependencies ?? {}).forEach(visit)
  }
  Object.keys(JSON.parse(readFileSync("../package.json")).dependencies).forEach(visit)
  console.log([...seen].join("\n"))' "$skip" |
  while read -r package; do
    find "$package" -type f \( -name '*.js' -o -name '*.mjs' -o -name '*.cjs' -o -name '*.json' -o -name '*.node' -o -name 'libonnxruntime.so*' \) \
      ! -path '*/darwin/*' ! -path '*/win32/*' ! -path '*/arm64/*' ! -name '*.min.*' ! -name '*.web.*'
  done | tar cf - -T -) | tar xf - -C "$out/app/node_modules"
find "$out/app/node_modules/@huggingface/transformers" -type f ! -name package.json ! -name 'transformers.node.mjs' -delete
# Imported and never called here: pictures (by transformers.js), and the coordinator's database, whose binary is large.
stub() {
  rm -rf "$out/app/node_modules/$1" && mkdir -p "$out/app/node_modules/$1"
  echo "{\"name\":\"$1\",\"version\":\"0.0.0\",\"type\":\"module\",\"exports\":\"./index.js\"}" >"$out/app/node_modules/$1/package.json"
  echo "$2 { throw new Error('$1 was not packed') }" >"$out/app/node_modules/$1/index.js"
}
stub sharp 'export default function sharp()'
stub @libsql/client 'export function createClient()'
cp -r "$cache/models/all-MiniLM-L6-v2" "$out/cache/models/"
cp "$(command -v node)" "$out/bin/node"
node_modules/.bin/tsc -p bench/gpu/tsconfig.json --outDir "$out/js"
[ -d "$tree/.whl" ] && cp "$tree"/.whl/*.whl "$out/wheels/"
du -sh "$out"/* "$out/app"/*
