"""The run as JUnit XML, as the readers of GitLab, Jenkins and GitHub show it best.

A suite a group and a case a promise. ``classname`` is the requirement with a dot (Jenkins makes package and class of it),
``name`` is ``requirement[subject]``: what GitLab lists, and what ``upheld check --only`` and pytest's ``-k`` understand.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from upheld.report import digest, latencies
from upheld.report.clean import one_line, visible
from upheld.verdict import Exit, LatencyRow, Result, Run, Verdict


def render(run: Run) -> str:
    """The document. Valid XML whatever octets the service sent."""
    root = ET.Element("testsuites", name="upheld", time=_seconds(run.seconds))
    groups: dict[str, list[Result]] = {}
    for result in sorted(run.results, key=lambda result: result.requirement):
        groups.setdefault(digest.group_of(result.requirement), []).append(result)
    for group, results in groups.items():
        _suite(root, run, group, [_case(result, latencies.of(run, result)) for result in results])
    if problem := _problem(run):
        case = ET.Element("testcase", classname="upheld", name="run", time=_seconds(run.seconds))
        error = ET.SubElement(case, "error", message=one_line(problem), type=Exit(run.exit_status).name.lower())
        error.text = visible("\n".join([problem, *run.notes, run.target_output]).strip())
        _suite(root, run, "upheld", [case])
    for counted in ("tests", "failures", "errors", "skipped"):
        root.set(counted, str(sum(int(suite.get(counted, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(root: ET.Element, run: Run, name: str, cases: Iterable[ET.Element]) -> None:
    suite = ET.SubElement(root, "testsuite", name=one_line(name), timestamp=_timestamp(run.started))
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("upheld.version", run.version),
        ("upheld.contract", run.contract),
        ("upheld.target", run.target),
        ("upheld.seed", str(run.seed)),
    ):
        ET.SubElement(properties, "property", name=key, value=one_line(value))
    suite.extend(cases)
    for counted, tag in (
        ("tests", "testcase"),
        ("failures", "*/failure"),
        ("errors", "*/error"),
        ("skipped", "*/skipped"),
    ):
        suite.set(counted, str(len(suite.findall(tag))))
    suite.set("time", _seconds(sum(float(case.get("time", "0")) for case in suite.findall("testcase"))))


def _case(result: Result, row: LatencyRow | None) -> ET.Element:
    """A case. One that a load run decided is named as it was decided, and has its figures beside it."""
    case = ET.Element(
        "testcase",
        classname=one_line(result.requirement.replace("/", ".")),
        name=one_line(result.id),
        time=_seconds(result.seconds),
    )
    verdict = result.verdict
    if verdict is Verdict.BREACHED and not result.flaky:
        failure = ET.SubElement(case, "failure", message=_message(result), type=result.level)
        failure.text = _block("BREACHED", result, row)
    elif verdict in (Verdict.UNPROVEN, Verdict.WAIVED, Verdict.NOT_APPLICABLE):
        until = f" (until {result.waived_until})" if result.waived_until else ""
        word = row.verdict if row and verdict is Verdict.UNPROVEN else verdict.value
        ET.SubElement(case, "skipped", message=one_line(f"{word}: {result.reason}{until}"))
        add = f"add to upheld.yaml: {result.add}" if result.add else ""
        if add or row:
            figures = latencies.sentence(row) if row else ""
            ET.SubElement(case, "system-out").text = visible("\n".join(part for part in (add, figures) if part))
    elif result.flaky:
        ET.SubElement(case, "system-out").text = _block("FLAKY", result)
    elif verdict is Verdict.ADVISORY:
        ET.SubElement(case, "system-out").text = _block("ADVISORY", result)
    elif result.detail:
        ET.SubElement(case, "system-out").text = visible(latencies.sentence(row) if row else result.detail)
    return case


def _message(result: Result) -> str:
    if result.evidence is None:
        return one_line(result.title)
    return one_line(f"expected {result.evidence.expected}; actual {result.evidence.actual}")


def _block(word: str, result: Result, row: LatencyRow | None = None) -> str:
    told = [f"{word}  {result.requirement}   {result.subject}"]
    measured = ("measured", latencies.sentence(row) if row else "")
    told += [
        f"  {label:<11}{text}"
        for label, text in (*digest.lines(result), measured, ("clause", result.clause_url))
        if text
    ]
    return visible("\n".join(told))


def _problem(run: Run) -> str:
    """Why the run itself is not to be trusted as green; empty when it is."""
    if run.stopped:
        return run.stopped
    if run.exit_status not in (Exit.KEPT, Exit.BREACHED):
        return digest.conclusion(run)
    return "" if run.results else "no promise was judged"


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _timestamp(started: str) -> str:
    """ISO 8601 without an offset, as the readers expect it; in UTC."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return visible(started, keep="")
    return (moment.astimezone(UTC) if moment.tzinfo else moment).replace(tzinfo=None).isoformat(timespec="seconds")
