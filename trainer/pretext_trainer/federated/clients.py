# The clients of an arm: whose texts are whose, and a client's own texts as token sequences. Simulation texts alone come
# here; still no error quotes one, nor names a client.
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from ..failure import Failure
from ..tokens import encode


@dataclass(frozen=True)
class Row:
    client: str
    text: str


def read_rows(path: str, name: str) -> list[Row]:
    """The rows of a JSON lines file, in its order."""
    rows = []
    try:
        with Path(path).open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    client, text = row["client"], row["text"]
                except (ValueError, KeyError, TypeError):
                    raise Failure("data", f'{path}:{number}: expected a JSON object with a "client" and a "text"') from None
                if not isinstance(client, (str, int)) or not isinstance(text, str):
                    raise Failure("data", f'{path}:{number}: expected a "client" and a "text" that are strings')
                if text.strip():
                    rows.append(Row(str(client), text))
    except FileNotFoundError:
        raise Failure("data", f"{path}: expected a file of clients' texts, found none") from None
    if not rows:
        raise Failure("data", f"{name}: expected at least one text, got none")
    return rows


def texts_by_client(rows: list[Row]) -> list[list[str]]:
    """Each client's texts, clients in the order of their first text. Names are forgotten here."""
    texts: dict[str, list[str]] = {}
    for row in rows:
        texts.setdefault(row.client, []).append(row.text)
    return list(texts.values())


def check_apart(clients: list[Row], validation: list[Row]) -> None:
    shared = {row.client for row in clients} & {row.client for row in validation}
    if shared:
        raise Failure(
            "data",
            f"expected validation clients that no arm trains on, got {len(shared)} that are among the private ones too",
            "split by client: each belongs to one of the two files",
        )


def sequences_of_clients(
    tokenizer: PreTrainedTokenizerBase, texts: list[list[str]], length: int, most: int | None, seed: int
) -> list[list[np.ndarray]]:
    """Token sequences of each client, of at most `most` of its texts (chosen by the seed); empty where nothing is to predict."""
    made = []
    for index, own in enumerate(texts):
        if most is not None and len(own) > most:
            chosen = np.random.default_rng([seed, 11, index]).choice(len(own), most, replace=False)
            own = [own[i] for i in sorted(chosen)]
        made.append(encode(tokenizer, own, length))
    return made
