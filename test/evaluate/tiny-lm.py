# python tiny-lm.py FOLDER TEXTS.jsonl: a language model of random weights with a byte-level tokenizer in FOLDER, and on stdout
# what it says of the texts, computed text by text without padding and without a line of the trainer's.
import json
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

folder, file = sys.argv[1:3]
rows = [json.loads(line) for line in open(file, encoding="utf-8")]
own = Tokenizer(models.BPE())
own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
own.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
own.train_from_iterator(
    [row["text"] for row in rows],
    trainers.BpeTrainer(vocab_size=300, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False),
)
own.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
PreTrainedTokenizerFast(tokenizer_object=own, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
torch.manual_seed(5)
LlamaForCausalLM(
    LlamaConfig(
        vocab_size=own.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
).save_pretrained(folder)

model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
clients: dict[int, dict] = {}
for row in rows:
    ids = tokenizer(row["text"])["input_ids"][:64]
    logs = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1)
    sums = clients.setdefault(row["client"], {"tokens": 0, "crossEntropy": 0.0, "correct": [0] * 4, "bytes": 0})
    for place in range(1, len(ids)):
        best = logs[place - 1].argsort(descending=True).tolist()
        sums["tokens"] += 1
        sums["crossEntropy"] -= logs[place - 1, ids[place]].item()
        for i, top in enumerate((1, 3, 5, 10)):
            sums["correct"][i] += ids[place] in best[:top]
    sums["bytes"] += len(tokenizer.decode(ids[1:]).encode())
print(json.dumps(list(clients.values())))
