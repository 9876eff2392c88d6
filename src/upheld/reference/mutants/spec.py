"""Defects of the document. They are seen by a run that takes the contract from the service: ``openapi: /openapi.json``."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from . import Context, Mutant


def _no_429(ctx: Context) -> None:
    original = ctx.app.openapi

    def document() -> dict[str, Any]:
        served = deepcopy(original())
        for item in served["paths"].values():
            for operation in item.values():
                operation["responses"].pop("429", None)
        return served

    ctx.app.openapi = document  # type: ignore[method-assign]


MUTANTS = (
    Mutant(
        "spec/no-429",
        "spec/errors-documented",
        "No operation documents 429, although all but one are limited.",
        _no_429,
        # A run with the committed contract sees that the served document differs from it; one with the served document
        # meets 429s that it does not document.
        also=("drift/served-contract", "http/undocumented-status"),
    ),
)
