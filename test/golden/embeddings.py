"""Makes embeddings.json: reference embeddings of eight sentences by the fp32 all-MiniLM-L6-v2.

  pip install torch==2.13.0 sentence-transformers==6.2.0
  python3 test/golden/embeddings.py MODEL_FOLDER > test/golden/embeddings.json
  npx biome check --write test/golden

MODEL_FOLDER is the original model with its safetensors. Values are rounded to six decimals.
"""

import hashlib
import json
import pathlib
import sys

from sentence_transformers import SentenceTransformer

SENTENCES = [
    "The package fails to build from source on arm64.",
    "A missing header breaks the compilation for ARM machines.",
    "We had a wonderful dinner by the river last night.",
    "The restaurant near the water served excellent food yesterday evening.",
    "Interest rates were raised by a quarter of a percentage point.",
    "naïve café, straße, 東京, 😀",
    "Yes.",
    " ".join(["The committee met again and postponed the decision until spring."] * 20),
]
MAX_TOKENS = 128

folder = pathlib.Path(sys.argv[1])
model = SentenceTransformer(str(folder), device="cpu")
model.max_seq_length = MAX_TOKENS
rows = model.encode(SENTENCES, normalize_embeddings=True, batch_size=1)
weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
json.dump(
    {
        "model": "all-MiniLM-L6-v2",
        "weights": weights,
        "maxTokens": MAX_TOKENS,
        "cases": [
            {"text": text, "embedding": [round(float(x), 6) for x in row]}
            for text, row in zip(SENTENCES, rows)
        ],
    },
    sys.stdout,
    ensure_ascii=False,
)
print()
