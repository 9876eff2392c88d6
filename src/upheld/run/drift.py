"""The document that the running target serves, as a contract to compare with the committed one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from upheld.contract.load import from_parts, policy_only
from upheld.contract.source import read
from upheld.errors import UsageError
from upheld.run.prepare import fetch, opened

if TYPE_CHECKING:
    from upheld.contract import Contract


def served_beside(path: Path, url: str | None, *, allow_hosts: Iterable[str] = ()) -> tuple[Contract, Contract, str]:
    """(the committed contract, what the target serves, where that is). The target is started where upheld.yaml says how.

    Raises `UsageError`, `ContractError`, `TargetError`.
    """
    part = policy_only(path)
    if part.document_served is not None:
        raise UsageError(
            f"the document that the target serves ({part.document_served}) is the contract: there is nothing to compare it with; "
            "compare with a revision (--rev), or commit the document beside upheld.yaml"
        )
    where = part.policy.target.served_spec or "/openapi.json"
    with opened(path, url, allow_hosts=allow_hosts, profiles=("raised",)) as ready:
        base = next(iter(ready.running.values())).url
        document = read(fetch(base, where), where)
    # Only its address decides where the paths of a document begin; nothing else of the policy is read.
    own = url if url and url.startswith("http") else part.policy.target.url
    served = from_parts({"target": {"url": own}} if own else {}, document.value, name="served")
    return ready.contract, served, f"{ready.name} {where}"
