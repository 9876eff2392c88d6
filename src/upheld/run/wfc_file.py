"""A contract's identities written into a WFC authentication file that other fuzzers read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from upheld.contract.wfc.export import dumps, export
from upheld.errors import UsageError

if TYPE_CHECKING:
    from upheld.contract import Contract


def wfc_text(contract: Contract, file: Path | None, *, with_secrets: bool) -> tuple[str, tuple[str, ...]]:
    """(the text, what could not be said in it); JSON for a file that is named so, else YAML. Raises `UsageError` where it would be empty, or a secret is not there."""
    environment = {**os.environ, **contract.given}
    missing: list[str] = []

    def value(variable: str) -> str:
        if not with_secrets:
            return f"${{{variable}}}"
        if not environment.get(variable):
            missing.append(variable)
        return environment.get(variable, "")

    exported = export(contract, value)
    if missing:
        raise UsageError(f"not set in the environment: {', '.join(dict.fromkeys(missing))}")
    if not exported.document["auth"]:
        raise UsageError("\n".join(["no identity of the contract can be written into a WFC file", *exported.notes]))
    if file is not None and file.suffix.lower() == ".json":
        return json.dumps(exported.document, indent=2, ensure_ascii=False) + "\n", exported.notes
    return dumps(exported), exported.notes


def write_new(path: Path, text: str, *, force: bool = False, private: bool = False) -> None:
    """Write a file that is not there yet, or with ``force`` one that is; ``private``: for its owner's eyes only.

    Raises `UsageError`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
        with os.fdopen(os.open(path, flags, 0o600 if private else 0o666), "w", encoding="utf-8", newline="\n") as file:
            if private:
                path.chmod(0o600)
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists; --force replaces it") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
