"""Every file of the catalogue is complete, and its own examples prove it: conforming ones are kept, breaching ones found."""

from __future__ import annotations

import json

import pytest

from upheld.check import Check, Example, Finding, Kept
from upheld.checks import catalogue, from_module, select
from upheld.errors import CheckIncomplete, UsageError
from upheld.rehearse import rehearse

CHECKS = list(catalogue().values())
CONFORMING = [(check, example) for check in CHECKS for example in check.conforming]
BREACHING = [(check, example) for check in CHECKS for example in check.breaching]


def name(value: object) -> str:
    if isinstance(value, Check):
        return value.id
    return value.says if isinstance(value, Example) else str(value)


@pytest.mark.parametrize(("check", "example"), CONFORMING, ids=name)
def test_a_conforming_example_is_kept(check: Check, example: Example) -> None:
    outcome = rehearse(check, example)
    assert isinstance(outcome, Kept), outcome


@pytest.mark.parametrize(("check", "example"), BREACHING, ids=name)
def test_a_breaching_example_is_found(check: Check, example: Example) -> None:
    outcome = rehearse(check, example)
    assert isinstance(outcome, Finding), outcome
    assert outcome.expected
    assert outcome.actual


def test_there_are_about_forty() -> None:
    assert len(CHECKS) >= 40


def test_ids_and_titles_are_unique() -> None:
    titles = [check.title for check in CHECKS]
    assert len(set(titles)) == len(titles)


def test_every_dialogue_says_what_it_costs() -> None:
    assert not [
        check.id for check in CHECKS if check.converse and check.requirement.cost == 0 and check.group != "spec"
    ]


def test_no_two_checks_claim_one_check_of_the_engine() -> None:
    names = [name for check in CHECKS for name in check.requirement.engine]
    assert sorted(names) == sorted(set(names))


def test_an_incomplete_file_is_refused_loudly() -> None:
    import types

    module = types.ModuleType("half", "A page.\n\n## What it requires\nSomething.")
    module.__file__ = "half.py"
    with pytest.raises(CheckIncomplete, match="no REQUIREMENT"):
        from_module(module, "group/half")
    module.REQUIREMENT = CHECKS[0].requirement  # type: ignore[attr-defined]
    with pytest.raises(CheckIncomplete, match="headings"):
        from_module(module, "group/half")


def test_names_select() -> None:
    first = CHECKS[0]
    assert list(select([first.id])) == [first.id]
    assert set(select([first.group])) == {check.id for check in CHECKS if check.group == first.group}
    assert first.id in select([first.requirement.catalogue[0]])
    assert first.id not in select(skip=[first.id])
    with pytest.raises(UsageError, match="did you mean"):
        select([first.id + "x"])


def test_the_listing_is_for_machines() -> None:
    from upheld.report.docs import listing

    rows = json.loads(json.dumps(listing(CHECKS)))
    assert len(rows) == len(CHECKS)
    for row in rows:
        assert {"id", "catalogue", "level", "group", "title", "clause"} <= row.keys()
        assert row["catalogue"]
        assert row["level"] in ("MUST", "SHOULD", "MAY")
