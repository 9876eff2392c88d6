"""Which request comes next, and what becomes of what the load makes."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.load.making import plan, pressed

from upheld.load.plan import MAKER, ODD_EVERY, Plan, Template
from upheld.load.traffic import FOR_READING, RECENT, SURPLUS, Traffic

MAKE, TAKE, READ = 0, 1, 2
GIVEN, FRESH = Template(("/a/1",), "alice"), Template(("/a/", "member", ""), MAKER)


def shop(*, takes: bool = True, reads: bool = True) -> Plan:
    return plan(
        pressed("POST /a", templates=(Template(("/a",), "alice"),), makes="/a", id_pointer="/data/id"),
        pressed("DELETE /a/{id}", templates=(FRESH,), takes="/a" if takes else ""),
        pressed("GET /a/{id}", templates=(GIVEN,), reads="/a", recent=(FRESH,) if reads else ()),
    )


def make(traffic: Traffic, number: int | str, identity: str = "alice") -> None:
    traffic.answered(MAKE, json.dumps({"data": {"id": number}}).encode(), identity)


def test_what_the_load_made_is_read_by_its_maker_and_stays() -> None:
    traffic = Traffic(shop())
    assert [traffic.next(READ).template for _ in range(4)] == [GIVEN] * 4  # type: ignore[union-attr]
    make(traffic, 7, "bob")
    seen = [traffic.next(READ) for _ in range(8)]
    assert [asked and asked.member for asked in seen].count("7") == 4
    assert {asked.identity for asked in seen if asked and asked.member} == {"bob"}


@given(st.lists(st.sampled_from("mtr"), max_size=300))
def test_nothing_is_used_up_twice_nor_read_after_it_was(steps: list[str]) -> None:
    traffic, made, taken, read = Traffic(shop()), 0, [], set()
    for step in steps:  # too few for what was read to have rested
        if step == "m":
            made += 1
            make(traffic, made)
        elif step == "t" and (asked := traffic.next(TAKE)):
            taken.append(asked.member)
        elif step == "r" and (asked := traffic.next(READ)) and asked.member:
            read.add(asked.member)
    assert len(taken) == len(set(taken))
    assert not read & set(taken)
    assert {*taken, *read} <= {str(number) for number in range(1, made + 1)}
    assert len(taken) <= made - made // FOR_READING


def test_what_was_read_is_used_up_when_it_has_rested() -> None:
    traffic = Traffic(shop())
    for number in range(FOR_READING * (2 * RECENT + 1)):
        make(traffic, number)
    taken = {asked.member for _ in range(FOR_READING * 3 * RECENT) if (asked := traffic.next(TAKE))}
    assert taken & {str(FOR_READING * number) for number in range(2 * RECENT + 1)} == {"0"}, (
        "the others are read or rest"
    )


def test_what_is_left_is_told() -> None:
    traffic = Traffic(shop())
    for number in range(FOR_READING * 2 * RECENT):
        make(traffic, number)
    taken = {asked.member for _ in range(10) if (asked := traffic.next(TAKE))}
    left = [id_ for id_, _ in traffic.left()["/a"]]
    assert len(left) == len(set(left))
    assert {*left, *taken} == {str(number) for number in range(FOR_READING * 2 * RECENT)}
    assert Traffic(shop()).left() == {}


def test_what_was_only_acted_on_is_left_as_well() -> None:
    cancelled = pressed("POST /a/{id}/cancel", templates=(FRESH,), takes="/a")
    traffic = Traffic(plan(*shop(takes=False).operations, cancelled))
    make(traffic, 1)
    make(traffic, 2)
    assert [asked.member for _ in range(3) if (asked := traffic.next(3))] == ["2"], "the other one is for reading"
    assert traffic.left() == {"/a": [("2", "alice"), ("1", "alice")]}


def test_neither_runs_a_balanced_kind_out_nor_does_it_pile_up() -> None:
    balanced = Traffic(replace(shop(), balanced=("/a",)))
    assert balanced.instead(TAKE) == MAKE, "nothing is there to be used up"
    assert balanced.instead(READ) == READ
    for number in range(2 * SURPLUS):
        if balanced.instead(MAKE) == TAKE:
            break
        make(balanced, number)
    else:
        raise AssertionError("it makes more and more")
    assert len(balanced.left()["/a"]) <= 2 * SURPLUS
    assert balanced.instead(TAKE) == TAKE


def test_where_weights_are_stated_each_keeps_its_own_rate() -> None:
    stated = Traffic(shop())
    assert stated.instead(TAKE) == TAKE
    for number in range(4 * SURPLUS):
        make(stated, number)
    assert stated.instead(MAKE) == MAKE


def test_where_nothing_is_used_up_everything_is_for_reading() -> None:
    traffic = Traffic(shop(takes=False))
    for number in range(RECENT + 10):
        make(traffic, number)
    members = {asked.member for _ in range(2000) if (asked := traffic.next(READ)) and asked.member}
    assert members == {str(number) for number in range(10, RECENT + 10)}


def test_where_nothing_reads_everything_is_for_using_up() -> None:
    traffic = Traffic(shop(reads=False))
    for number in range(FOR_READING):
        make(traffic, number)
    assert [asked.member for _ in range(9) if (asked := traffic.next(TAKE))] == ["0", "1", "2", "3", "4"]
    assert traffic.next(TAKE) is None


def test_who_has_to_be_an_admin_takes_what_others_made() -> None:
    made = plan(
        pressed("POST /a", makes="/a", id_pointer="/data/id"),
        pressed("DELETE /a/{id}", templates=(Template(("/a/", "member", ""), "root"),), takes="/a"),
    )
    traffic = Traffic(made)
    make(traffic, 1, "alice")
    asked = traffic.next(TAKE)
    assert asked is not None
    assert (asked.identity, asked.member) == ("root", "1")


def test_a_public_read_of_what_somebody_made_carries_no_credentials() -> None:
    made = plan(
        pressed("POST /a", makes="/a", id_pointer="/data/id"),
        pressed("GET /a/{id}", reads="/a", recent=(Template(("/a/", "member", "")),)),
    )
    traffic = Traffic(made)
    make(traffic, 1, "alice")
    asked = [traffic.next(1) for _ in range(4)]
    assert [(item.identity, item.member) for item in asked if item and item.member] == [("", "1")] * 2


def test_answers_without_an_id_make_nothing() -> None:
    traffic = Traffic(shop())
    for body in (b"", b"[]", b'{"data": {}}', b'{"data": {"id": null}}', b'{"data": {"id": true}}', b"\xff"):
        traffic.answered(MAKE, body, "alice")
    assert traffic.next(TAKE) is None


def test_one_request_in_twenty_is_unusual() -> None:
    usual, odd = tuple(Template((f"/{n}",)) for n in range(3)), (Template(("/x",)), Template(("/y",)))
    traffic = Traffic(plan(pressed(templates=usual, odd=odd)))
    asked = [traffic.next(0) for _ in range(10 * ODD_EVERY)]
    paths = [item.template.path[0] for item in asked if item]
    assert [path for path in paths if path in ("/x", "/y")] == ["/x", "/y"] * 5
    assert set(paths) == {"/0", "/1", "/2", "/x", "/y"}
