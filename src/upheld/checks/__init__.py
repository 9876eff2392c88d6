"""The catalogue. The folder is the registry: ``checks/http/challenge.py`` is the requirement ``http/challenge``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from upheld.check import Check, Requirement
from upheld.errors import CheckIncomplete, UsageError

HEADINGS = ("What it requires", "Why", "What it sends", "Example of a breach", "When to waive it")


def names() -> dict[str, str]:
    """The module of every requirement by its id, in alphabetical order of the modules. Loads none of them."""
    files = sorted(Path(__file__).parent.glob("*/[!_]*.py"))
    return {f"{f.parent.name}/{f.stem.replace('_', '-')}": f"{__name__}.{f.parent.name}.{f.stem}" for f in files}


@cache
def catalogue() -> dict[str, Check]:
    """Every check by id, in alphabetical order. Raises `CheckIncomplete` at the first file that lacks something."""
    return {id: from_module(import_module(module), id) for id, module in names().items()}


def from_module(module: ModuleType, id: str) -> Check:
    """Read one file of the catalogue. Raises `CheckIncomplete` and says what is missing."""

    def need(condition: object, what: str) -> None:
        if not condition:
            raise CheckIncomplete(f"{module.__file__}: {what}")

    requirement = getattr(module, "REQUIREMENT", None)
    need(isinstance(requirement, Requirement), "no REQUIREMENT")
    assert isinstance(requirement, Requirement)
    page = (module.__doc__ or "").strip()
    headings = tuple(re.findall(r"^## (.+)$", page, re.MULTILINE))
    need(headings == HEADINGS, f"the page's headings are {headings}, not {HEADINGS}")
    for heading, text in zip(headings, re.split(r"^## .+$", page, flags=re.MULTILINE)[1:], strict=True):
        need(text.strip(), f"nothing under “{heading}”")
    need(requirement.title and not requirement.title.endswith("."), "the title is a claim without a full stop")
    need(
        requirement.clause.text and requirement.clause.url.startswith("https://"),
        "the clause needs its name and an https link",
    )
    need(requirement.catalogue, "no catalogue number")
    for number in requirement.catalogue:
        need(re.fullmatch(r"[A-Z]+-\d{2}", number), f"{number!r} is no catalogue number")
    observe, converse, measure = (getattr(module, name, None) for name in ("observe", "converse", "measure"))
    defined = [function for function in (observe, converse, measure) if function is not None]
    need(len(defined) == 1, "one of observe(), converse() and measure(), and no other of them")
    subjects = getattr(module, "subjects", None)
    need(converse is None or subjects is not None, "a dialogue needs subjects(contract)")
    need(converse is None or requirement.cost >= 0, "cost in requests")
    conforming, breaching = getattr(module, "CONFORMING", ()), getattr(module, "BREACHING", ())
    need(conforming, "no CONFORMING example")
    need(breaching, "no BREACHING example")
    for example in (*conforming, *breaching):
        need(
            observe is None or example.exchange is not None,
            f"example {example.says!r}: an observer's example is an exchange",
        )
        need(
            measure is None or example.load is not None,
            f"example {example.says!r}: a measurement's example is a load run",
        )
    return Check(id, requirement, page, conforming, breaching, subjects, observe, converse, measure)


def select(only: Iterable[str] = (), skip: Iterable[str] = ()) -> dict[str, Check]:
    """The checks that ``only`` names (all when empty) without those that ``skip`` names.

    Names are ids (``http/allow``), groups (``http``), catalogue numbers (``HTTP-04``) and globs (``*/retry-*``), one by one or
    with commas between them.
    Raises `UsageError` for a name that matches nothing.
    """
    checks = catalogue()
    wanted = {id for name in _each(only) for id in _named(name, checks)} or set(checks)
    unwanted = {id for name in _each(skip) for id in _named(name, checks)}
    if not wanted - unwanted:
        raise UsageError("nothing is left: what --skip or checks.skip leaves out is all that was named")
    return {id: check for id, check in checks.items() if id in wanted - unwanted}


def _each(names: Iterable[str]) -> list[str]:
    return [part.strip() for name in names for part in name.split(",") if part.strip()]


def _named(name: str, checks: dict[str, Check]) -> set[str]:
    found = {
        id
        for id, check in checks.items()
        if name in (id, check.group) or name in check.requirement.catalogue or fnmatchcase(id, name)
    }
    if not found:
        known = [*checks, *{check.group for check in checks.values()}]
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "; `upheld list` shows them all"
        raise UsageError(f"no requirement is called {name!r}{hint}")
    return found
