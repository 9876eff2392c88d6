"""Conversations as files: what is written can be read, what is not ours stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from upheld.errors import UsageError
from upheld.report import replays
from upheld.verdict import Evidence, Recording, Said, Verdict

SHOWN = Recording(
    (
        Said(
            method="POST", target="/notes?x=1", headers=(("Content-Type", "text/plain"),), body="odd: \udcff", operation="POST /notes",
            role="user", status=500, answer_headers=(("Date", "today"),), answer='{"title": "no"}', intent="valid",
        ),
    ),
    "http/allow[/notes]",
)  # fmt: skip
EVIDENCE = Evidence("sent", "required", "expected", "500", "again")


@pytest.fixture
def broken(make_result: Any) -> Any:
    def made(subject: str = "POST /notes", verdict: Verdict = Verdict.BREACHED) -> Any:
        return make_result(verdict, subject=subject, recording=SHOWN, evidence=EVIDENCE)

    return made


def test_what_is_written_is_read_again(tmp_path: Path, make_run: Any, broken: Any) -> None:
    (file,) = replays.write(make_run(broken()), tmp_path, "http://127.0.0.1:1")
    kept = replays.read(file)
    assert (kept.id, kept.verdict, kept.actual, kept.seed) == ("http/allow[POST /notes]", "breached", "500", 42)
    assert (kept.contract, kept.target) == ("contracts/reference", "http://127.0.0.1:1")
    assert kept.recording == SHOWN


def test_only_what_failed_and_was_a_conversation_is_kept(tmp_path: Path, make_run: Any, broken: Any) -> None:
    alone = replace(broken("GET /b"), recording=None)
    run = make_run(broken("GET /a", Verdict.ADVISORY), alone, broken("GET /c", Verdict.WAIVED))
    assert [replays.read(file).id for file in replays.write(run, tmp_path)] == ["http/allow[GET /a]"]


def test_those_of_the_run_before_go_and_other_files_stay(tmp_path: Path, make_run: Any, broken: Any) -> None:
    (old,) = replays.write(make_run(broken("GET /old")), tmp_path)
    mine = tmp_path / "replays" / "mine.json"
    mine.write_text('{"a": 1}')
    replays.write(make_run(broken("GET /new")), tmp_path)
    assert (old.exists(), mine.exists()) == (False, True)
    assert [kept.id for kept in replays.kept_in(tmp_path).values()] == ["http/allow[GET /new]"]


def test_ids_that_read_alike_have_files_of_their_own(tmp_path: Path, make_run: Any, broken: Any) -> None:
    assert len(set(replays.write(make_run(broken("GET /a/b"), broken("GET /a-b")), tmp_path))) == 2


def test_one_is_found_by_file_id_or_requirement(tmp_path: Path, make_run: Any, broken: Any) -> None:
    (file,) = replays.write(make_run(broken()), tmp_path)
    for what in (str(file), "http/allow[POST /notes]", "http/allow"):
        assert replays.find(what, tmp_path) == file
    with pytest.raises(UsageError, match="has 1 others; `upheld replay` lists them"):
        replays.find("http/trace-off", tmp_path)
    with pytest.raises(UsageError, match="has none"):
        replays.find("http/trace-off", tmp_path / "elsewhere")
    replays.write(make_run(broken(), broken("GET /me")), tmp_path)
    with pytest.raises(
        UsageError, match=r"2 times, name one of them: http/allow\[GET /me\], http/allow\[POST /notes\]"
    ):
        replays.find("http/allow", tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "no conversation that upheld check has kept"),
        ('{"schema": "upheld.report/1"}', "no conversation that upheld check has kept"),
        ("{", "cannot be read"),
        ('{"schema": "upheld.replay/1"}', "'recording' is missing"),
        ('{"schema": "upheld.replay/1", "recording": {"exchanges": []}}', "it holds no exchange"),
        ('{"schema": "upheld.replay/1", "recording": {"exchanges": [{"method": "GET"}]}}', "cannot be read"),
        ('{"schema": "upheld.replay/1", "recording": 5}', "cannot be read"),
    ],
)
def test_something_else_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError, match=says):
        replays.read(tmp_path / "x.json")


def test_members_of_a_later_version_are_passed_over(tmp_path: Path, make_run: Any, broken: Any) -> None:
    (file,) = replays.write(make_run(broken()), tmp_path)
    document = json.loads(file.read_text())
    document["later"] = document["recording"]["exchanges"][0]["later"] = True
    file.write_text(json.dumps(document))
    assert replays.read(file).recording == SHOWN


def test_answers_stand_side_by_side(nasty: str) -> None:
    before = SHOWN.exchanges[0]
    now = replace(before, status=201, answer="x" * 500, answer_headers=(("Location", "/notes/1"),))
    lines = list(replays.side_by_side((before,), (now, replace(now, method="GET", role="", answer=nasty))))
    assert lines[:3] == [
        "  1  POST /notes?x=1 as user",
        '     recorded  500 {"title": "no"} (only here: Date: today)',
        f"     now       201 {'x' * 160}… (only here: Location: /notes/1)",
    ]
    assert lines[3:5] == ["  2  GET /notes?x=1", "     recorded  -"]
    assert all(line.isprintable() for line in lines)


def test_a_hostile_run_is_written_all_the_same(tmp_path: Path, make_run: Any, broken: Any, nasty: str) -> None:
    (file,) = replays.write(make_run(broken(nasty)), tmp_path)
    assert file.name.isprintable()
    assert replays.read(file).id == f"http/allow[{nasty}]"
