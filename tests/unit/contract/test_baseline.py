"""A baseline is a file of waivers that a report brings up to date."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest

from upheld.contract.baseline import Report, Reported, dumps, read_baseline, reported, update
from upheld.contract.sections.running import Waiver
from upheld.errors import ContractError, UsageError

TODAY = datetime.date(2026, 5, 1)
LATER, EARLIER = datetime.date(2026, 9, 1), datetime.date(2026, 4, 30)
ALLOW, HEAD = "http/allow[GET /items]", "http/head[service]"


def waiver(id: str, until: datetime.date = LATER, **rest: str) -> Waiver:
    return Waiver(id=id, reason="the router", until=until, **rest)  # type: ignore[arg-type]


def report(*idle: str, **verdicts: str) -> Report:
    rows = {}
    for id, word in {ALLOW: verdicts.get("allow"), HEAD: verdicts.get("head")}.items():
        if word is not None:
            verdict, _, flaky = word.partition(" ")
            rows[id] = Reported(id, id.partition("[")[0], "a title", verdict, bool(flaky))
    return Report(rows, frozenset(idle))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    waivers = (waiver(HEAD), waiver(ALLOW, EARLIER), waiver("http", op="GET /items"))
    file = tmp_path / "baseline.yaml"
    file.write_text(dumps(waivers))
    read = read_baseline(file)
    assert {one for one, _ in read} == set(waivers)
    assert file.read_text().count("2026-09-01") == 2
    for one, place in read:
        assert one.id in file.read_text().splitlines()[place.line - 1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("wave: []", "did you mean 'waive'?"),
        ("waive: [{id: http/allow, reason: x}]", "'until' is missing from waive[0]"),
        ("waive: [{id: http/allow, reason: '', until: 2026-01-01}]", "waive[0].reason must not be empty"),
        ("[]", "mapping"),
    ],
)
def test_what_is_none_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "baseline.yaml"
    file.write_text(text)
    with pytest.raises(ContractError) as caught:
        read_baseline(file)
    assert told in str(caught.value)
    with pytest.raises(ContractError, match="cannot be read"):
        read_baseline(tmp_path / "none.yaml")


def test_an_empty_one_knows_nothing(tmp_path: Path) -> None:
    (tmp_path / "baseline.yaml").write_text("# nothing is known\n")
    assert read_baseline(tmp_path / "baseline.yaml") == ()


def test_breaches_are_new_advisories_only_where_they_are_asked_for() -> None:
    rows = report(allow="breached", head="advisory")
    assert [row.id for row in update((), rows, advisories=False, today=TODAY).new] == [ALLOW]
    assert [row.id for row in update((), rows, advisories=True, today=TODAY).new] == [ALLOW, HEAD]


@pytest.mark.parametrize("verdict", ["upheld", "unproven", "unproven flaky", "breached flaky", "waived"])
def test_what_does_not_fail_is_not_new(verdict: str) -> None:
    assert update((), report(allow=verdict), advisories=True, today=TODAY).new == ()


@pytest.mark.parametrize(
    ("verdict", "until", "kept", "new"),
    [
        ("breached", LATER, True, False),
        ("breached", EARLIER, False, True),
        ("waived", LATER, True, False),
        ("unproven", EARLIER, True, False),
        ("upheld flaky", LATER, True, False),
        ("upheld", LATER, True, False),
        ("idle", LATER, False, False),
        (None, LATER, True, False),
    ],
)
def test_what_is_known_stays_until_it_ends_or_is_mended(
    verdict: str | None, until: datetime.date, kept: bool, new: bool
) -> None:
    known = waiver(ALLOW, until)
    told = report(ALLOW) if verdict == "idle" else report(**({"allow": verdict} if verdict else {}))
    found = update((known,), told, advisories=False, today=TODAY)
    assert (found.kept == (known,), bool(found.new), found.gone == (ALLOW,)) == (kept, new, not kept and not new)


def test_a_report_is_one_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    for text in ("{", "[]", '{"schema": "other/1"}'):
        file.write_text(text)
        with pytest.raises(UsageError):
            reported(file)
    with pytest.raises(UsageError, match="`upheld check` writes it"):
        reported(tmp_path / "none.json")
    row = {"id": ALLOW, "requirement": "http/allow", "title": "t", "verdict": "upheld", "flaky": False, "judged": 3}
    rows = {ALLOW: Reported(ALLOW, "http/allow", "t", "upheld", False)}
    file.write_text(json.dumps({"schema": "upheld.report/1", "promises": [row]}))
    assert reported(file) == Report(rows)
    file.write_text(json.dumps({"schema": "upheld.report/1", "promises": [row], "idle_waivers": [HEAD]}))
    assert reported(file) == Report(rows, frozenset({HEAD}))
