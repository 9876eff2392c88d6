"""Known breaches, end to end: written from a report, accepted until their day, told when they are gone."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml
from tests.live.apps.notes import Asked, Notes, Said
from tests.live.calls import contract, run

from upheld.cli import baseline

pytestmark = pytest.mark.live
FEW = ("--no-fuzz", "--only", "http/challenge", "--only", "http/allow")
TODAY = datetime.datetime.now(tz=datetime.UTC).date()
LATER = str(TODAY + datetime.timedelta(days=30))


class Bare(Notes):
    """Refuses without a challenge."""

    async def answer(self, asked: Asked) -> Said:
        said = self.kept(asked)
        said.headers.pop("WWW-Authenticate", None)
        return said


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_known_breaches_fail_nothing_and_new_ones_do() -> None:
    with Bare() as service:
        shop = contract(Path("shop"), target=service.url)
        assert run("check", shop, *FEW).status == 1
        written = run("baseline", "--reason", "the gateway drops it", "--until", LATER)
        assert written.status == 0, written.all
        lines = yaml.safe_load(Path("baseline.yaml").read_text())["waive"]
        assert {line["id"].partition("[")[0] for line in lines} == {"http/challenge"}
        again = run("check", shop, *FEW, "--baseline", "baseline.yaml")
        assert again.status == 0, again.all
        assert {again.verdicts[line["id"]] for line in lines} == {"waived"}
        assert "the gateway drops it" in again.out

        # One of them less in the file is a new one.
        Path("baseline.yaml").write_text(yaml.safe_dump({"waive": lines[1:]}))
        assert run("check", shop, *FEW, "--baseline", "baseline.yaml").status == 1

        ended = [{**line, "until": TODAY - datetime.timedelta(days=1)} for line in lines]
        Path("baseline.yaml").write_text(yaml.safe_dump({"waive": ended}))
        over = run("check", shop, *FEW, "--baseline", "baseline.yaml")
        assert over.status == 1
        assert "it was waived until" in over.out
        renewed = run("baseline", "--reason", "still", "--until", LATER)
        assert f"{len(lines)} added, 0 kept, 0 dropped" in renewed.out


def test_one_that_does_not_occur_any_more_is_told_and_dropped() -> None:
    with Notes() as service:
        shop = contract(Path("shop"), target=service.url)
        gone, seen = "http/refusal-status[GET /me]", "http/challenge[GET /me]"
        known = [{"id": id, "reason": "the gateway", "until": LATER} for id in (gone, seen)]
        Path("baseline.yaml").write_text(yaml.safe_dump({"waive": known}))
        kept = run("check", shop, "--no-fuzz", "--only", "http", "--quick", "--baseline", "baseline.yaml")
        assert kept.status == 0, kept.all
        # What generated requests might still show is not said to be gone by a run without them.
        assert kept.report["idle_waivers"] == [gone]
        assert f"{gone} is waived (baseline.yaml:2) and does not occur any more" in kept.report["notes"][0]
        assert "0 added, 1 kept, 1 dropped" in run("baseline").out
        assert [line["id"] for line in yaml.safe_load(Path("baseline.yaml").read_text())["waive"]] == [seen]


def test_reason_and_day_are_asked_for_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    with Bare() as service:
        assert run("check", contract(Path("shop"), target=service.url), *FEW).status == 1
    for options, told in (((), "--reason TEXT"), (("--reason", "r"), "--until"), (("--reason", " "), "empty")):
        refused = run("baseline", *options)
        assert (refused.status, told in refused.err) == (2, True), refused.all
    assert run("baseline", "--reason", "r", "--until", "2020-01-01").status == 2
    assert not Path("baseline.yaml").exists()
    monkeypatch.setattr(baseline, "_asks", lambda: True)
    asked = CliRunner().invoke(baseline.baseline, [], input=f"the gateway\n{LATER}\n")
    assert asked.exit_code == 0, asked.output
    assert "http/challenge: " in asked.output
    assert {line["reason"] for line in yaml.safe_load(Path("baseline.yaml").read_text())["waive"]} == {"the gateway"}


def test_a_baseline_is_for_one_contract_and_has_to_be_one() -> None:
    for name in ("a", "b"):
        contract(Path("contracts") / name)
    Path("baseline.yaml").write_text("waive: []\n")
    assert run("check", *FEW, "--baseline", "baseline.yaml").status == 2
    Path("notes.yaml").write_text("mine: 1\n")
    assert run("check", "contracts/a", *FEW, "--target", "http://127.0.0.1:1", "--baseline", "notes.yaml").status == 2
    Path("report.json").write_text('{"schema": "upheld.report/1", "promises": []}')
    assert run("baseline", "report.json", "-o", "notes.yaml").status == 2
    assert Path("notes.yaml").read_text() == "mine: 1\n"
