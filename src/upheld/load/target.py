"""Before a load: is this the service that the contract names? A port may be another's, and a load is nothing to mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from upheld.errors import SetupError
from upheld.exchange import NotJson, Response

if TYPE_CHECKING:
    from upheld.contract import Contract

Ask = Callable[[str, str, Mapping[str, str]], Response]
"""method, path, headers → answer."""


def recognise(contract: Contract, base_url: str, ask: Ask) -> None:
    """Ask for the OpenAPI document and the health path, where upheld.yaml says where they are. Raises `SetupError` when the
    document is another service's, or the health path is not there; one that is not answered, or as no JSON, proves nothing."""
    target, base = contract.policy.target, urlsplit(base_url).path.rstrip("/")
    if target.served_spec and target.served_spec.startswith("/"):
        served = _paths(ask("GET", base + target.served_spec, {"Accept": "application/json"}))
        ours = {_plain(path) for path in contract.document.get("paths", {})}
        if served and ours and not served & ours:
            raise SetupError(
                f"{base_url}{target.served_spec} describes another service: none of its {len(served)} paths is in the "
                f"contract ({', '.join(sorted(served)[:3])}{', …' if len(served) > 3 else ''})"
            )
    if target.health:
        status = ask("GET", base + target.health, {}).status
        if status == 404 or 300 <= status < 400:
            raise SetupError(
                f"{base_url}{target.health} answers {status}, and target.health of upheld.yaml says that it is the service's "
                "health: is this the service that the contract describes?"
            )


def _paths(response: Response) -> set[str]:
    """Of a served document; empty when it is none."""
    try:
        document: Any = response.json() if response.ok else None
    except NotJson:
        return set()
    paths = document.get("paths") if isinstance(document, Mapping) else None
    return {_plain(str(path)) for path in paths} if isinstance(paths, Mapping) else set()


def _plain(path: str) -> str:
    # The names of parameters are nobody's identity.
    return re.sub(r"\{[^{}]*\}", "{}", path)
