"""Golden values of src/models/gguf-q8.ts: a small GGUF file with Q4_1, F32 and Q8_0 tensors, and what the gguf package's
quantiser (the same arithmetic as llama.cpp's quantize_row_q8_0_ref) makes of the Q4_1 ones.

python test/golden/gguf-q8.py > test/golden/gguf-q8.json    (gguf 0.19 and numpy, as in trainer/requirements.txt)
"""
import base64
import json
import tempfile

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

draw = np.random.default_rng(11)


def q4_1(rows: int, columns: int, spread: float) -> np.ndarray:
    """Blocks of any scale and least value, also 0: the package quantises to other formats than this one, or does so better."""
    blocks = rows * columns // 32
    scale = (draw.normal(size=blocks) * spread).astype(np.float16)
    least = (draw.normal(size=blocks) * spread).astype(np.float16)
    scale[0], least[0] = 0, 0
    nibbles = draw.integers(0, 256, size=(blocks, 16), dtype=np.uint8)
    parts = [scale.view(np.uint8).reshape(blocks, 2), least.view(np.uint8).reshape(blocks, 2), nibbles]
    return np.concatenate(parts, axis=1).reshape(rows, -1)


four_bit = {"blk.0.a": q4_1(4, 64, 0.02), "blk.0.odd": q4_1(3, 32, 3.0), "blk.1.b": q4_1(3, 96, 1e-6)}
norm = draw.normal(size=32).astype(np.float32)
eight_bit = quantize(draw.normal(size=(2, 32)).astype(np.float32), Type.Q8_0)

with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
    writer = GGUFWriter(file.name, "llama")
    writer.add_block_count(2)
    writer.add_file_type(3)
    writer.add_token_list(["a", "", "longer than eight bytes"])
    writer.add_array("numbers", [1.5, 2.5, 3.5])
    writer.add_bool("flag", True)
    writer.add_uint64("large", 2**40)
    writer.add_tensor("norm", norm)
    for name, data in four_bit.items():
        writer.add_tensor(name, data, raw_dtype=Type.Q4_1)
    writer.add_tensor("output", eight_bit, raw_dtype=Type.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    given = open(file.name, "rb").read()
    tensors = {t.name: bytes(t.data) for t in GGUFReader(file.name).tensors}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


expected = {name: text(quantize(dequantize(data, Type.Q4_1), Type.Q8_0).tobytes()) for name, data in four_bit.items()}
expected |= {name: text(tensors[name]) for name in ("norm", "output")}
print(json.dumps({"gguf": text(given), "tensors": expected}, indent=2))
