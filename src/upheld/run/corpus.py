"""Unusual but valid requests for a load: made once by the engine, kept by what they depend on, handed to `upheld.load`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import upheld
from upheld.load.corpus import Case, Corpus
from upheld.load.rates import weight
from upheld.run.fuzz.process import cache

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

FOLDER = Path(".upheld/corpus")
EACH = 30
"""Cases that the engine makes of an operation."""
KEPT = 12
"""The first, which is the plainest, and the last, which are the richest."""
WITHIN = 60.0
"""Seconds for all operations together."""
LOOKS_UP_EVERY = 0.2
MODULE = "upheld.run.invent"


def corpus(
    contract: Contract, *, seed: int = 0, folder: Path = FOLDER, stop: threading.Event | None = None
) -> tuple[Corpus, list[str]]:
    """Cases by operation, and what has to be said where there are none. ``stop``, set by another thread, ends the engine.

    Never raises for what the engine does: a load can do without.
    """
    known: dict[str, tuple[Case, ...]] = {}
    lacking: dict[str, tuple[Operation, Path]] = {}
    for operation in contract.operations:
        if not _worth(contract, operation):
            continue
        file = folder / f"{_digest(contract, operation, seed)}.json"
        cases = _read(file)
        if cases is None:
            lacking[operation.label] = (operation, file)
        else:
            known[operation.label] = cases
    notes: list[str] = []
    if lacking:
        made, trouble = _invented(
            contract, [operation for operation, _ in lacking.values()], seed, stop or threading.Event()
        )
        for label, cases in made.items():
            _write(lacking[label][1], cases)
        known |= made
        missing = [label for label in lacking if label not in made]
        if missing:
            notes.append(
                f"no unusual requests were made for {len(missing)} operations ({', '.join(missing[:3])}"
                f"{', …' if len(missing) > 3 else ''}): {trouble}; they are pressed on with the usual ones alone"
            )
    return {label: cases for label, cases in known.items() if cases}, notes


def _worth(contract: Contract, operation: Operation) -> bool:
    """Something in its request can vary, and the load may send it as it varies (see `upheld.load.choice`)."""
    steps = (contract.auth.login, contract.auth.register, contract.auth.refresh, contract.auth.logout)
    if any(step is not None and step.operation == operation for step in steps):
        return False
    if operation.label in contract.dangerous or weight(contract, operation) == 0:
        return False
    if operation.method != "POST" and not operation.safe:
        return False
    if operation.method == "POST" and operation.path_parameters:
        return False
    return bool(operation.query_parameters) or (operation.body is not None and operation.body.json_schema is not None)


# -- the engine ----------------------------------------------------------------------------------------------------------


def _invented(
    contract: Contract, operations: list[Operation], seed: int, stop: threading.Event
) -> tuple[dict[str, tuple[Case, ...]], str]:
    """Cases by label, and why some lack."""
    places = [[operation.label, *_place(operation)] for operation in operations]
    job = {"document": contract.document, "seed": seed, "each": EACH, "operations": places}
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("SCHEMATHESIS_", "PYTEST_"))
    }
    environment["PYTHONHASHSEED"] = "0"
    if storage := cache("hypothesis"):
        environment["HYPOTHESIS_STORAGE_DIRECTORY"] = str(storage)
    command = [sys.executable, "-P", "-m", MODULE]
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile("w+") as told:
        json.dump(job, told, default=str)
        told.seek(0)
        with subprocess.Popen(
            command, env=environment, text=True, start_new_session=True, stdin=told, stdout=pipe, stderr=pipe
        ) as process:
            said, complaints, trouble = _heard(process, stop)
    made: dict[str, tuple[Case, ...]] = {}
    for line in said.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            answer = json.loads(line)
            if "trouble" in answer:
                trouble = trouble or str(answer["trouble"])
            else:
                cases = [Case.from_json(case) for case in answer["cases"]]
                made[answer["label"]] = tuple(dict.fromkeys((*cases[:1], *cases[1 - KEPT :])))
    last = complaints.strip().splitlines()[-1:] or ["it said nothing"]
    return made, trouble or f"the engine ended with status {process.returncode}: {last[0][:200]}"


def _heard(process: subprocess.Popen[str], stop: threading.Event) -> tuple[str, str, str]:
    """Its output, its complaints, and why it was ended; what it had said by then counts."""
    until = time.monotonic() + WITHIN
    while True:
        try:
            return (*process.communicate(timeout=LOOKS_UP_EVERY), "")
        except subprocess.TimeoutExpired:
            if stop.is_set() or time.monotonic() > until:
                process.kill()
                why = "it was interrupted" if stop.is_set() else f"the engine took more than {WITHIN:g} s"
                return (*process.communicate(), why)


def _place(operation: Operation) -> tuple[str, str]:
    """(path of the document, method) of ``/paths/~1items/get``."""
    _, _, path, method = operation.pointer.split("/")
    return path.replace("~1", "/").replace("~0", "~"), method.upper()


# -- what was made before ------------------------------------------------------------------------------------------------


def _digest(contract: Contract, operation: Operation, seed: int) -> str:
    """Of everything that the cases of an operation depend on."""
    path, _ = _place(operation)
    item = contract.document.get("paths", {}).get(path, {})
    shared = item.get("parameters") if isinstance(item, Mapping) else None
    engine = "none"
    with contextlib.suppress(PackageNotFoundError):
        engine = version("schemathesis")
    asked = [shared, *(operation.raw.get(name) for name in ("parameters", "requestBody"))]
    parts = [operation.label, *asked, dict(_referred(contract.document, asked))]
    text = json.dumps([*parts, seed, EACH, KEPT, upheld.__version__, engine], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _referred(document: Mapping[str, Any], start: Any) -> Iterator[tuple[str, Any]]:
    """(reference, what it refers to) for all that can be reached from here within the document."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, Mapping):
            waiting += value.values()
            ref = value.get("$ref")
            if isinstance(ref, str) and ref.startswith("#/") and ref not in seen:
                seen.add(ref)
                found: Any = document
                for step in ref[2:].split("/"):
                    name = step.replace("~1", "/").replace("~0", "~")
                    found = found.get(name) if isinstance(found, Mapping) else None
                waiting.append(found)
                yield ref, found


def _read(file: Path) -> tuple[Case, ...] | None:
    try:
        return tuple(Case.from_json(case) for case in json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(file: Path, cases: tuple[Case, ...]) -> None:
    # A folder that can't be written costs the next run a few seconds.
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        plain = [{"query": case.query, "headers": case.headers, "body": case.body} for case in cases]
        part.write_text(json.dumps(plain), encoding="utf-8")
        part.replace(file)
