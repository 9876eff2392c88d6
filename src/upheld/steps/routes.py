"""Which operation of the contract a path really leads to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from upheld.exchange import Exchange

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation


def templates(contract: Contract, path: str) -> tuple[str, ...]:
    """The contract's path templates that a concrete path fits, the most literal one first."""
    return tuple(
        template for pattern, template in _routes(contract).get(path.count("/"), ()) if pattern.fullmatch(path)
    )


def reached(exchange: Exchange, contract: Contract) -> Operation | None:
    """The operation that the exchange names, if its method and path lead there and nowhere else; None when they don't.

    Generated paths can miss their template: an empty parameter, an encoded slash, dots, or the name of a sibling (``/users/me``).
    """
    operation, path = contract.operation(exchange.operation), exchange.request.path
    if operation is None or exchange.request.method != operation.method or _ELUSIVE.search(path):
        return None
    return operation if templates(contract, path)[:1] == (operation.path,) else None


_ELUSIVE = re.compile(r"%2f|%5c|%00|\\|;|//|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


@lru_cache(maxsize=64)
def _routes(contract: Contract) -> Mapping[int, list[tuple[re.Pattern[str], str]]]:
    table: dict[int, list[tuple[re.Pattern[str], str]]] = {}
    paths = {operation.path for operation in contract.operations}
    for path in sorted(paths, key=lambda p: (["{" in segment for segment in p.split("/")], p)):
        parts = re.split(r"\{[^{}/]*\}", path)
        table.setdefault(path.count("/"), []).append((re.compile("[^/]+".join(map(re.escape, parts))), path))
    return table
