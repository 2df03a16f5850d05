# The job file and the events, checked against protocol.schema.json, which is made from src/finetune/protocol.ts.
import json
from pathlib import Path

from .failure import Failure

SCHEMA = json.loads(Path(__file__).with_name("protocol.schema.json").read_text("utf-8"))


def _faults(schema: dict, value: object) -> list[str]:
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        # A Python that the user named may lack it; the other side checks every job and every event too.
        return []
    # Where and which rule, never the value: jsonschema's own messages quote what they check.
    errors = sorted(Draft202012Validator(schema).iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))
    return [f"{'.'.join(map(str, e.absolute_path)) or 'the whole'} ({e.validator})" for e in errors]


def read_job(path: str) -> dict:
    """The job of a job file, with its kind known and every field as the schema wants it."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Failure("usage", f"expected a job file at {path}, got none that can be read") from error
    version = content.get("protocol") if isinstance(content, dict) else None
    if version != SCHEMA["version"]:
        raise Failure(
            "dependency",
            f"expected a job of protocol {SCHEMA['version']}, got {version}",
            "pretext and its trainer are of different versions: install pretext again",
        )
    job = content.get("job")
    kind = job.get("kind") if isinstance(job, dict) else None
    if kind not in SCHEMA["jobs"]:
        raise Failure("usage", f"expected a job out of {', '.join(SCHEMA['jobs'])}, got another kind")
    faults = _faults(SCHEMA["jobs"][kind], job)
    if faults:
        raise Failure("usage", f"the job file breaks the protocol at {'; '.join(faults)}")
    return job


def check_event(event: dict) -> dict:
    faults = _faults(SCHEMA["event"], event)
    if faults:
        raise Failure("unexpected", f"an event breaks the protocol at {'; '.join(faults)}")
    return event


def check_result(kind: str, result: dict) -> dict:
    faults = _faults(SCHEMA["results"][kind], result)
    if faults:
        raise Failure("unexpected", f"the result of {kind} breaks the protocol at {'; '.join(faults)}")
    return result
