"""What all pages share: templates beside this file, everything escaped and made harmless on its way in."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from upheld.report import latencies
from upheld.report.clean import visible

if TYPE_CHECKING:
    from jinja2 import Environment


def source(name: str) -> str:
    """The text of a template."""
    return files("upheld.report").joinpath(name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Templates that may include each other."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    made = Environment(
        loader=FunctionLoader(source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    made.filters["thousands"] = lambda number: f"{number:,}"
    made.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    made.filters["ms"] = _milliseconds
    made.filters["percent"] = latencies.percent
    made.filters["slug"] = lambda text: re.sub(r"[^a-z0-9]+", "-", str(text).lower()).strip("-")
    return made


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return visible(value)
    return value


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{latencies.number(value)} ms"
