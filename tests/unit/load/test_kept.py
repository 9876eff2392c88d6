"""What is kept of a load for judging: few, by chance, and every kind of failure."""

from __future__ import annotations

import json
from typing import Any

from upheld.load.kept import ALL_BODIES, AT_MOST, BODY, FIRST, Exchange, Kept, merged, text


def exchange(operation: str = "GET /a", *, due: float = 0.0, status: int = 200, body: bytes = b"{}") -> Exchange:
    return Exchange(
        operation=operation, identity="alice", method="GET", path="/a", headers={}, body=None, status=status,
        answer_headers=(("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")), answer_body=text(body), due=due, latency_ms=3.0,
    )  # fmt: skip


def offer(kept: Kept, count: int, *, operation: int = 0, status: int = 200, body: bytes = b"{}") -> None:
    for number in range(count):
        if kept.wants(operation, status):
            kept.keep(operation, exchange(f"op {operation}", due=float(number), status=status, body=body))


def test_nothing_is_kept_unless_asked() -> None:
    kept = Kept(0, "s")
    offer(kept, 50)
    offer(kept, 50, status=500)
    assert kept.to_json() == []


def test_every_kth_until_there_are_enough_then_by_chance_from_the_whole_run() -> None:
    kept = Kept(10, "s")
    offer(kept, 300)
    assert [item["due"] for item in kept.to_json()] == [float(number) for number in range(0, 300, 10)]
    offer(kept, 20_000)
    dues = [item["due"] for item in kept.to_json()]
    assert len(dues) == AT_MOST
    assert min(dues) < 10_000 < max(dues)


def test_the_first_of_each_failure_whatever_their_place() -> None:
    kept = Kept(1_000, "s")
    offer(kept, 1)
    for status in (500, 404):
        offer(kept, 30, status=status)
    offer(kept, 30, operation=1, status=500)
    found = [(item["operation"], item["status"]) for item in kept.to_json()]
    assert {key: found.count(key) for key in found} == {
        ("op 0", 200): 1, ("op 0", 500): FIRST, ("op 0", 404): FIRST, ("op 1", 500): FIRST,
    }  # fmt: skip


def test_large_answers_do_not_fill_the_memory() -> None:
    kept = Kept(1, "s")
    for operation in range(20):
        offer(kept, AT_MOST, operation=operation, body=b"x" * BODY)
    assert sum(len(item["answer_body"]) for item in kept.to_json()) <= ALL_BODIES + BODY


def test_octets_that_are_no_text_come_back() -> None:
    octets = b'{"a": "\xff\xfe\xc3\xa9"}'
    assert json.loads(json.dumps(text(octets))).encode("utf-8", "surrogateescape") == octets


def test_many_generators_keep_no_more_than_one() -> None:
    def part(statuses: list[int]) -> list[dict[str, Any]]:
        return [{"operation": "GET /a", "status": status, "due": float(due)} for due, status in enumerate(statuses)]

    whole = merged([part([200] * AT_MOST + [500]), part([200] * AT_MOST + [500] * 3)], "s")
    assert [item["status"] for item in whole].count(200) == AT_MOST
    assert [item["status"] for item in whole].count(500) == 4
    assert [item["due"] for item in whole] == sorted(item["due"] for item in whole)
