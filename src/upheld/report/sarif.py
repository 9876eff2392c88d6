"""The run as SARIF 2.1.0, for what shows findings beside the lines of a repository.

A result a finding, at the line of the contract that makes the promise. What is unproven has the kind ``open`` (§3.27.9) and what is
waived is suppressed (§3.35); what is upheld or does not apply stands in the other reports. Section numbers are those of SARIF.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from upheld.report import digest, docs
from upheld.report.clean import one_line, visible
from upheld.report.digest import Told
from upheld.verdict import Exit, Line, Result, Run, Verdict

if TYPE_CHECKING:
    from upheld.check import Check

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "SRCROOT"
_LEVELS = {"MUST": "error", "SHOULD": "warning", "MAY": "note"}


def render(run: Run, checks: Mapping[str, Check]) -> str:
    """The document. ``checks`` are those that its rules describe, by id."""
    return json.dumps(to_json(run, checks), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_json(run: Run, checks: Mapping[str, Check]) -> dict[str, Any]:
    """The document as plain values."""
    told = [
        *digest.findings(run, Verdict.BREACHED),
        *digest.findings(run, Verdict.ADVISORY),
        *digest.waived_findings(run),
        *(Told((result,)) for result in run.results if result.verdict is Verdict.UNPROVEN or result.flaky),
    ]
    rules: dict[str, Told] = {}
    for one in told:
        rules.setdefault(one.first.requirement, one)
    numbers = {requirement: number for number, requirement in enumerate(rules)}
    seen: Counter[str] = Counter()
    driver = {
        "name": "Upheld",
        "semanticVersion": run.version,
        "rules": [_rule(one, checks.get(requirement)) for requirement, one in rules.items()],
    }
    found = {
        "tool": {"driver": driver},
        # A trailing slash names the series of runs, not this one (§3.17.3): two contracts do not close each other's findings.
        "automationDetails": {"id": f"upheld/{one_line(Path(run.contract).name) or 'contract'}/"},
        "originalUriBaseIds": {ROOT: {"description": {"text": "The folder that the run was started in."}}},
        "invocations": [_invocation(run)],
        "results": [_result(one, numbers[one.first.requirement], seen) for one in told],
        "properties": {"target": visible(run.target), "seed": run.seed, "requests": run.requests},
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [found]}


def _rule(told: Told, check: Check | None) -> dict[str, Any]:
    first = told.first
    rule: dict[str, Any] = {
        "id": first.requirement,
        "shortDescription": {"text": _said(first.title)},
        "fullDescription": {"text": _said(f"{first.title} ({first.clause}).")},
        "defaultConfiguration": {"level": _LEVELS.get(first.level, "warning")},
        "properties": {"tags": [digest.group_of(first.requirement), *first.catalogue]},
    }
    if first.clause_url.startswith("https://"):
        rule["helpUri"] = quote(first.clause_url, safe="%/:=&?~#+!$,;'@()*[]")
    if check is not None:
        page = docs.page(check)
        rule["help"] = {"text": _said(page, lines=True), "markdown": _said(page, lines=True)}
        rule["properties"]["tags"] += [tag for tag in (check.requirement.owasp, *check.requirement.cwe) if tag]
    return rule


def _result(told: Told, rule: int, seen: Counter[str]) -> dict[str, Any]:
    first = told.first
    open_ = first.flaky or first.verdict is Verdict.UNPROVEN
    result: dict[str, Any] = {
        "ruleId": first.requirement,
        "ruleIndex": rule,
        "kind": "open" if open_ else "fail",
        # §3.27.10: whatever is no failure has no level.
        "level": "none" if open_ else _LEVELS.get(first.level, "warning"),
        "message": {"text": _unproven(first) if open_ else _failure(told)},
        "locations": [_location(first, first.promised_at[0] if first.promised_at else None)],
        "partialFingerprints": _fingerprints(told, seen),
    }
    if related := list(_related(told)):
        result["relatedLocations"] = [{"id": number, **location} for number, location in enumerate(related, 1)]
    if first.verdict is Verdict.WAIVED and not first.flaky:
        until = f" (until {first.waived_until})" if first.waived_until else ""
        because = {"kind": "external", "status": "accepted", "justification": _said(f"{first.reason}{until}")}
        result["suppressions"] = [because]
    return result


# -- what it says ----------------------------------------------------------------------------------------------------------


def _failure(told: Told) -> str:
    first, others = told.first, len(told.subjects) - 1
    more = f" and {others} more {digest.noun(told.subjects[1:], others)}" if others else ""
    head = f"{first.subject}{more}: {first.title}."
    if first.evidence is None:
        return _said(head)
    evidence = first.evidence
    return _said(f"{head} Expected {evidence.expected}; actual {evidence.actual}. Again: {evidence.again}")


def _unproven(result: Result) -> str:
    add = f" Add to upheld.yaml: {result.add}" if result.add else ""
    because = result.reason or (result.evidence.actual if result.evidence else result.detail)
    return _said(f"{result.subject}: not proven: {result.title}. {because}.{add}")


def _said(text: str, *, lines: bool = False) -> str:
    """Text that no reader takes for a placeholder (§3.11.5); braces around names stay readable, ``/items/{id}``."""
    plain = visible(text) if lines else one_line(text)
    return re.sub(r"\{(\d+)\}", r"{{\1}}", plain)


def _invocation(run: Run) -> dict[str, Any]:
    notes = [{"level": "warning", "message": {"text": _said(note)}} for note in run.notes]
    if run.stopped:
        notes.append({"level": "error", "message": {"text": _said(f"stopped: {run.stopped}")}})
    invocation: dict[str, Any] = {
        "executionSuccessful": run.exit_status in (Exit.KEPT, Exit.BREACHED) and not run.stopped,
        "exitCode": int(run.exit_status),
        "toolExecutionNotifications": notes,
    }
    try:
        began = datetime.fromisoformat(run.started)
    except ValueError:
        return invocation
    if began.tzinfo is not None:
        invocation["startTimeUtc"] = began.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return invocation


# -- where it is, and whether it is the same as before ---------------------------------------------------------------------


def _location(result: Result, line: Line | None) -> dict[str, Any]:
    logical = {"logicalLocations": [{"name": one_line(result.subject), "fullyQualifiedName": one_line(result.id)}]}
    return {**logical, **_physical(line)} if line else logical


def _related(told: Told) -> Iterator[dict[str, Any]]:
    for line in told.first.promised_at[1:]:
        yield {**_physical(line), "message": {"text": "what the contract says besides"}}
    for result in told.results[1:]:
        first = result.promised_at[0] if result.promised_at else None
        yield {**_location(result, first), "message": {"text": _said(result.subject)}}


def _physical(line: Line) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": _artifact(line.file)}
    if line.number:
        place["region"] = {"startLine": line.number}
    return {"physicalLocation": place}


def _artifact(file: str) -> dict[str, str]:
    path = Path(os.path.normpath(file))
    if path.is_absolute():
        try:
            path = path.relative_to(Path.cwd())
        except ValueError:
            return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix()), "uriBaseId": ROOT}


def _fingerprints(told: Told, seen: Counter[str]) -> dict[str, str]:
    """The same for the same finding of the next run, whatever was measured and whichever operation showed it first."""
    first = told.first
    alone = not first.cause or first.cause.startswith(f"{first.subject}: ")
    same = (first.requirement, first.subject if alone else first.cause)
    mark = hashlib.sha256("\0".join(same).encode("utf-8", "backslashreplace")).hexdigest()[:32]
    seen[mark] += 1
    # GitHub reads the second name only.
    return {"promise/v1": f"{mark}:{seen[mark]}", "primaryLocationLineHash": f"{mark}:{seen[mark]}"}
