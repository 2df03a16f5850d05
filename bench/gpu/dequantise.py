"""A GGUF as a folder that Transformers loads, dequantised, with the tokenizer that the file describes.

    PYTHONPATH=trainer python3 bench/gpu/dequantise.py MODEL.gguf FOLDER

`pretext finetune --model MODEL.gguf` needs no folder; the evaluation of the untuned model does. Minutes on a slow CPU.
"""

import sys

import torch

from pretext_trainer.start import checkpoint


def main(path: str, folder: str) -> None:
    made = checkpoint({"from": "gguf", "model": path, "revision": None}, torch.float32)
    ids = made.tokenizer("The capital of France is Paris.", return_tensors="pt").input_ids
    with torch.no_grad():
        loss = made.model(ids, labels=ids).loss.item()
    print(f"loss of a plain sentence: {loss:.3f}")
    if loss > 6:
        raise SystemExit("expected a loss of about 4: the weights or the tokenizer are not right")
    made.model.save_pretrained(folder)
    made.tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
