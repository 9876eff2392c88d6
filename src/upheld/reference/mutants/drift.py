"""Defects of the kind that the contract says one thing and the service is another."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from . import Answer, Context, Mutant


def _served_bound(ctx: Context) -> None:
    original = ctx.app.openapi

    def document() -> dict[str, Any]:
        served = deepcopy(original())
        for parameter in served["paths"]["/api/v1/products"]["get"]["parameters"]:
            if parameter["name"] == "limit":
                parameter["schema"]["maximum"] = 1000
        return served

    ctx.app.openapi = document  # type: ignore[method-assign]


def _cancel_not_deployed(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        if scope["method"] != "POST" or not scope["path"].endswith("/cancel"):
            return answer
        body = b'{"type":"about:blank","title":"Method Not Allowed","status":405,"request_id":"none"}'
        refused = Answer(405, answer.headers, b"").without("etag", "www-authenticate").with_header("allow", "OPTIONS")
        return refused.with_header("content-length", "0").with_body(body, "application/problem+json")

    ctx.alter(change)


MUTANTS = (
    Mutant(
        "drift/served-bound",
        "drift/served-contract",
        "The document that the service serves allows pages of 1000, the contract 100.",
        _served_bound,
    ),
    Mutant(
        "drift/cancel-not-deployed",
        "drift/operation-exists",
        "The contract has an operation that cancels an order; the service answers it with 405.",
        _cancel_not_deployed,
    ),
)
