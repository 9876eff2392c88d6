"""The run as one JSON document, described by ``report.schema.json`` beside this file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from upheld.report import digest, matrix, timeline
from upheld.report.clean import visible
from upheld.report.digest import Told
from upheld.verdict import SCHEMA, Result, Run, Verdict


def to_json(run: Run) -> dict[str, Any]:
    """The document. Every value can be written by `json.dumps`; texts hold no control characters but line ends."""
    document = {
        "schema": SCHEMA,
        "version": run.version,
        "contract": run.contract,
        "target": run.target,
        "started": run.started,
        "seconds": run.seconds,
        "requests": run.requests,
        "seed": run.seed,
        "exit_status": int(run.exit_status),
        "stopped": run.stopped,
        "conclusion": digest.conclusion(run),
        "notes": list(run.notes),
        "idle_waivers": list(run.idle_waivers),
        "summary": _summary(run),
        "promises": [_promise(result) for result in run.results],
        "findings": [
            _finding(told) for verdict in (Verdict.BREACHED, Verdict.ADVISORY) for told in digest.findings(run, verdict)
        ],
        "matrix": None if (table := matrix.matrix(run)) is None else matrix.to_json(table),
        "coverage": _coverage(run),
        "phases": [{"name": name, "seconds": seconds, "requests": requests} for name, seconds, requests in run.phases],
        "load": None if run.load is None else asdict(run.load),
        "target_output": run.target_output,
    }
    plain: dict[str, Any] = _plain(document)
    return plain


def dumps(run: Run) -> str:
    """`to_json` as text."""
    return json.dumps(to_json(run), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document."""
    text = files("upheld.report").joinpath("report.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _summary(run: Run) -> dict[str, int]:
    counts = {verdict.value.replace(" ", "_"): run.count(verdict) for verdict in Verdict}
    return {
        "promises": len(run.results),
        **counts,
        "flaky": sum(result.flaky for result in run.results),
        "findings": len(digest.findings(run, Verdict.BREACHED)),
    }


def _promise(result: Result) -> dict[str, Any]:
    promise: dict[str, Any] = {
        "id": result.id,
        "requirement": result.requirement,
        "group": digest.group_of(result.requirement),
        "catalogue": list(result.catalogue),
        "subject": result.subject,
        "level": result.level,
        "verdict": result.verdict.value,
        "title": result.title,
        "clause": result.clause,
        "clause_url": result.clause_url,
        "judged": result.judged,
        "flaky": result.flaky,
        "seconds": result.seconds,
    }
    optional = {
        "reason": result.reason,
        "add": result.add,
        "detail": result.detail,
        "cause": result.cause,
        "waived_until": result.waived_until,
    }
    promise |= {name: value for name, value in optional.items() if value}
    if result.verdict in (Verdict.UNPROVEN, Verdict.WAIVED, Verdict.NOT_APPLICABLE):
        promise.setdefault("reason", "")
    if result.cells:
        promise["cells"] = [{**asdict(cell), "verdict": cell.verdict.value} for cell in result.cells]
    if result.timeline is not None:
        promise["timeline"] = {**asdict(result.timeline), "summary": timeline.summary(result)}
    return promise | _evidence(result)


def _finding(told: Told) -> dict[str, Any]:
    first = told.first
    return {
        "requirement": first.requirement,
        "catalogue": list(first.catalogue),
        "level": first.level,
        "verdict": first.verdict.value,
        "title": first.title,
        "clause": first.clause,
        "clause_url": first.clause_url,
        "cause": first.cause,
        "subjects": list(told.subjects),
        **_evidence(first),
    }


def _evidence(result: Result) -> dict[str, str]:
    if result.evidence is None:
        if result.verdict not in (Verdict.BREACHED, Verdict.ADVISORY):
            return {}
        told = {"sent": "", "expected": "", "again": "", "curl": ""} | dict(digest.lines(result))
        return {"actual": "", **told}
    evidence = asdict(result.evidence)
    return {str(name): str(value) for name, value in evidence.items()}


def _coverage(run: Run) -> dict[str, Any]:
    covered = digest.coverage(run)
    return {
        "total": covered.total,
        "reached": len(covered.reached),
        "not_reached": list(covered.missed),
        "operations": {
            name: {str(status): count for status, count in statuses.items()} for name, statuses in run.coverage.items()
        },
        "documented": {name: list(statuses) for name, statuses in run.documented.items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value, keep="\n\t")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {_plain(name): _plain(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
