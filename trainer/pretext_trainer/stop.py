# Ctrl-C and TERM: the first asks, and the loop of a job ends at its next safe place; the second ends the process.
import signal

from .failure import Failure


class _Wanted:
    stop = False


def _on_signal(number, _frame) -> None:
    if _Wanted.stop:
        raise SystemExit(128 + number)
    _Wanted.stop = True


def listen() -> None:
    signal.signal(signal.SIGINT, _on_signal)
    signal.signal(signal.SIGTERM, _on_signal)


def stop_wanted() -> bool:
    return _Wanted.stop


def stopped() -> Failure:
    return Failure("interrupted", "stopped; what was done is saved", "run the same command with --resume to go on")
