"""The catalogue for people and for tools: a page for each requirement, a list of all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from upheld.check import Check, Example


def page(check: Check) -> str:
    """The requirement as a Markdown page that also reads well on a terminal."""
    requirement, clause = check.requirement, check.requirement.clause
    facts = [
        ("Level", requirement.level.value),
        ("Clause", f"[{clause.text}]({clause.url})"),
        ("Catalogue", ", ".join(requirement.catalogue)),
        ("Weaknesses", ", ".join(part for part in (requirement.owasp, *requirement.cwe) if part)),
        ("Kind", _kind_in_words(check)),
        ("Reads", ", ".join(f"`{key}`" for key in requirement.reads)),
        ("Engine", ", ".join(f"`{name}`" for name in requirement.engine)),
    ]
    parts = [
        f"# {check.id}",
        f"{requirement.title[:1].upper()}{requirement.title[1:]}.",
        "\n".join(f"- {name}: {value}" for name, value in facts if value),
        "\n".join(f"> {line}" for line in clause.quote.splitlines()),
        check.page.strip(),
        "## Examples that prove this check",
        _examples("It accepts:", check.conforming),
        _examples("It reports:", check.breaching),
        "## How to run it alone",
        "    upheld load" if check.measure is not None else f"    upheld check --only {check.id}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def listing(checks: Iterable[Check] | Mapping[str, Check]) -> list[dict[str, Any]]:
    """The checks as plain objects, for ``upheld list --json``."""
    values = checks.values() if isinstance(checks, Mapping) else checks
    return [_entry(check) for check in values]


def _entry(check: Check) -> dict[str, Any]:
    requirement = check.requirement
    return {
        "id": check.id,
        "group": check.group,
        "title": requirement.title,
        "level": requirement.level.value,
        "catalogue": list(requirement.catalogue),
        "clause": requirement.clause.text,
        "clause_url": requirement.clause.url,
        "kind": check.kind,
        "scope": requirement.scope,
        "profile": requirement.profile,
        "waits": requirement.waits,
        "dear": requirement.dear,
        "cost": requirement.cost,
        "quotas": requirement.quotas,
        "reads": list(requirement.reads),
        "engine": list(requirement.engine),
        "owasp": requirement.owasp,
        "cwe": list(requirement.cwe),
    }


def _kind_in_words(check: Check) -> str:
    requirement = check.requirement
    if check.observe is not None:
        each = "each operation" if requirement.scope == "operation" else "the whole service"
        return f"observer: watches every exchange and sends nothing; one promise for {each}"
    if check.measure is not None:
        return "measurement: judges what a load run counted (`upheld load`, or `upheld check --load SECONDS`)"
    words = "dialogue: sends requests of its own"
    if requirement.cost:
        words += f", about {requirement.cost} for each subject"
        words += " and as many as its quota" if requirement.quotas else ""
    if requirement.profile == "shipped":
        words += "; runs against the limits as shipped"
    if requirement.waits:
        words += "; waits for a window of real time, so `--quick` leaves it out"
    return words + ("; takes many hashes or whole quotas, so `--quick` leaves it out" if requirement.dear else "")


def _examples(intro: str, examples: Iterable[Example]) -> str:
    said = [f"- {example.says}" for example in examples]
    return "\n".join([intro, "", *said]) if said else ""
