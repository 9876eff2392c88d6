"""Defects of cross-origin access."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import Answer, Context, Mutant


def _part_of_the_name(ctx: Context) -> None:
    ctx.replace(ctx.parts.cors, "allows", lambda origin: "app.example.test" in origin)


def _true_in_python(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        shared = answer.get("access-control-allow-origin") is not None
        return answer.with_header("access-control-allow-credentials", str(True)) if shared else answer

    ctx.alter(change)


def _router_outside(ctx: Context) -> None:
    def change(scope: Mapping[str, Any], answer: Answer) -> Answer:
        return answer.without("access-control-allow-origin") if answer.status == 404 else answer

    ctx.alter(change)


def _nothing_exposed(ctx: Context) -> None:
    ctx.alter(lambda scope, answer: answer.without("access-control-expose-headers"))


MUTANTS = (
    Mutant(
        "cors/part-of-the-name",
        "cors/origins",
        "An origin is let in as soon as an allowed name is a part of it.",
        _part_of_the_name,
    ),
    Mutant(
        "cors/true-in-python",
        "cors/wildcard-credentials",
        "Access-Control-Allow-Credentials says True, which a browser takes for no.",
        _true_in_python,
    ),
    Mutant(
        "cors/router-outside",
        "cors/errors",
        "A 404 carries no Access-Control-Allow-Origin: the router answers before the CORS layer.",
        _router_outside,
    ),
    Mutant(
        "cors/nothing-exposed",
        "cors/exposed-fields",
        "No field is exposed to the pages that are let in.",
        _nothing_exposed,
    ),
)
