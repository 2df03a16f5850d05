# The way out: events as JSON lines on what was stdout when the process began. Whatever else prints to stdout (libraries
# do) goes to stderr from then on, so that no line of the protocol is ever torn.
import json
import os
import sys
from typing import Callable

from .protocol import check_event


class Channel:
    """Sends events. With several processes only the first speaks."""

    def __init__(self, write: Callable[[str], None], speaks: bool = True):
        self._write = write
        self.speaks = speaks

    def send(self, event: str, **fields: object) -> None:
        if not self.speaks:
            return
        line = check_event({"event": event, **{k: v for k, v in fields.items() if v is not None or k == "total"}})
        self._write(json.dumps(line, allow_nan=False, ensure_ascii=True))

    def progress(
        self,
        stage: str,
        done: int,
        total: int | None = None,
        unit: str = "",
        detail: str | None = None,
        values: dict[str, float] | None = None,
    ) -> None:
        self.send("progress", stage=stage, done=done, total=total, unit=unit, detail=detail, values=values)

    def metric(self, stage: str, name: str, value: float, step: int | None = None, epoch: float | None = None) -> None:
        self.send("metric", stage=stage, name=name, value=value, step=step, epoch=epoch)

    def note(self, message: str) -> None:
        self.send("note", message=message)

    def warning(self, message: str) -> None:
        self.send("warning", message=message)


def open_channel(speaks: bool = True) -> Channel:
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def write(line: str) -> None:
        try:
            out.write(line + "\n")
            out.flush()
        except BrokenPipeError:
            # Whoever listened is gone; there is nobody to work for.
            os._exit(141)

    return Channel(write, speaks)
