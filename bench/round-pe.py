"""One round of DPSDA's private evolution, as its examples run it (bench/round-pe.ts).

Arguments: a checkout of github.com/microsoft/DPSDA, JSONL of private texts, folder of all-MiniLM-L6-v2, candidates, threads.
OPENAI_BASE_URL and OPENAI_API_KEY name the endpoint. What the library imports for images, tables and Azure alone is left empty.
"""
import importlib.abc
import importlib.machinery
import json
import os
import sys
import tempfile
from unittest.mock import MagicMock

import numpy as np
import pandas as pd

checkout, texts, model, candidates, threads = sys.argv[1:]
sys.path.insert(0, checkout)
UNUSED = {"azure", "PIL", "cleanfid", "fld", "torchvision", "xgboost", "tabicl", "tabpfn"}


class Unused(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in UNUSED:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = MagicMock()
        module.__spec__, module.__path__ = spec, []
        return module

    def exec_module(self, module):
        pass


import sentence_transformers  # noqa: E402, F401
import tiktoken  # noqa: E402

sys.meta_path.insert(0, Unused())

# Its vocabulary is fetched on first use; nothing is blanked here, so that it only has to exist.
tiktoken.encoding_for_model = lambda name: MagicMock()

from pe.api.text import LLMAugPE  # noqa: E402
from pe.data import Data  # noqa: E402
from pe.embedding.text import SentenceTransformer  # noqa: E402
from pe.histogram import NearestNeighbors  # noqa: E402
from pe.llm import OpenAILLM  # noqa: E402
from pe.population import PEPopulation  # noqa: E402
from pe.runner import PE  # noqa: E402

# Others ask whether these are installed.
sys.meta_path.pop(0)
for name in [name for name in sys.modules if name.split(".")[0] in UNUSED]:
    del sys.modules[name]

pd.options.mode.copy_on_write = True
with open(texts) as lines:
    frame = pd.DataFrame({"PE.TEXT": [json.loads(line)["text"] for line in lines]})
frame["PE.LABEL_ID"] = 0
data = Data(data_frame=frame, metadata={"label_info": [{"name": "all", "column_values": {}}]})
folder = tempfile.mkdtemp()


def prompt(name, content):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        json.dump({"message_template": [{"role": "user", "content": content}]}, file)
    return path


api = LLMAugPE(
    llm=OpenAILLM(
        progress_bar=False, max_completion_tokens=72, model="model", temperature=1.0, num_threads=int(threads)
    ),
    random_api_prompt_file=prompt("random.json", "Write a short description of a software package."),
    variation_api_prompt_file=prompt("variation.json", "Rewrite the text in different words.\n{sample}"),
)
count = int(candidates)
pe = PE(
    priv_data=data,
    population=PEPopulation(
        api=api, initial_variation_api_fold=0, next_variation_api_fold=1, keep_selected=True, selection_mode="rank"
    ),
    histogram=NearestNeighbors(embedding=SentenceTransformer(model=model), mode="L2", lookahead_degree=0),
)
# Half of the candidates are kept, and each of them is varied once: as many as there were.
synthetic = pe.run([count, count // 2], delta=1e-5, epsilon=4.0, checkpoint_path=os.path.join(folder, "checkpoint"))
assert len(synthetic.data_frame) == count and np.isfinite(synthetic.data_frame["PE.LABEL_ID"]).all()
