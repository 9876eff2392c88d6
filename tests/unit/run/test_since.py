"""A run since a revision judges what differs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from upheld.check import SERVICE, Subject
from upheld.checks import catalogue
from upheld.contract import Contract
from upheld.contract.touched import Touched
from upheld.run.fuzz import config
from upheld.run.plan import Promise, plan
from upheld.run.since import Since

LIST, READ, WRITE, ME = "GET /notes", "GET /notes/{note_id}", "POST /notes", "GET /me"


def subjects(contract: Contract, touched: Touched, id: str) -> set[str]:
    only = Since("main", touched).includes
    return {promise.subject.label for promise in plan(contract, [catalogue()[id]], only=only).promises}


def test_operations_paths_and_families_that_differ(contract: Contract) -> None:
    one = Touched(frozenset({WRITE}))
    assert subjects(contract, one, "body/content-type") == {WRITE}
    assert subjects(contract, one, "http/allow") == {"/notes"}
    family = next(resource for resource in contract.resources if resource.create)
    promise = Promise(catalogue()["http/allow"], Subject("notes", resource=family))
    assert Since("main", one).includes(promise)
    assert not Since("main", Touched(frozenset({ME}))).includes(promise)


def test_the_service_as_a_whole_only_where_all_is_touched(contract: Contract) -> None:
    promise = Promise(catalogue()["http/allow"], SERVICE)
    assert not Since("main", Touched(frozenset({WRITE}))).includes(promise)
    whole = Touched(frozenset(), everything="errors")
    assert Since("main", whole).includes(promise)
    everything = {operation.label for operation in contract.operations}
    assert subjects(contract, whole, "body/content-type") == everything


def test_rules_that_differ(shop: Callable[..., Contract]) -> None:
    # Nobody drains the first: its operation makes things.
    rules = [{"op": "POST /notes", "quota": "5/min", "key": "ip"}, {"op": "**", "quota": "9/min", "key": "ip"}]
    contract = shop(rate_limits=rules)
    for rule, labels in zip(contract.rate_rules, (set(), {"** 9/60s"}), strict=True):
        assert subjects(contract, Touched(frozenset(), rules=(rule,)), "ratelimit/quota") == labels


def test_what_is_seen_besides_is_not_told(contract: Contract) -> None:
    checks = [catalogue()["http/allow"]]
    assert plan(contract, checks, only=Since("main", Touched(frozenset({ME}))).includes).narrowed
    assert not plan(contract, checks).narrowed


def test_the_engine_is_given_the_others_as_switched_off(contract: Contract) -> None:
    text = config.engine_config(
        contract, origin="http://127.0.0.1:1", hooks="h", seconds=5, max_examples=5, phases=("coverage",), seed=1, marker="m",
        only={LIST, READ},
    )  # fmt: skip
    off = {block.splitlines()[0] for block in text.split("[[operations]]\n") if "enabled = false" in block}
    assert f'include-name = "{WRITE}"' in off
    assert not off & {f'include-name = "{label}"' for label in (LIST, READ)}


def test_what_is_checked_is_said(contract: Contract) -> None:
    said = Since("origin/main", Touched(frozenset({WRITE, ME}))).told(contract)
    assert (
        said
        == f"only what differs from origin/main is checked, 2 of {len(contract.operations)} operations: {ME}, {WRITE}"
    )
    assert "every operation is checked" in Since("HEAD", Touched(frozenset(), everything="errors, cors")).told(contract)
