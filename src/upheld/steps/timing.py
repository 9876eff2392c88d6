"""How long a small request takes, seen from outside, with what the observer itself is late by kept apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from upheld.check import CannotProve, SpreadAnswer, spread
from upheld.exchange import Request, Response
from upheld.steps.accounts import elsewhere
from upheld.steps.requests import Move
from upheld.steps.values import describe

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

TOO_LATE = 0.025
"""Seconds that we may be late ourselves; beyond that the machine is busy, and what is measured says nothing of the service."""
TRIES = 3


def trivial_get(contract: Contract) -> Operation | None:
    """A GET that needs neither credentials nor parameters: the health path where it is one, else the shortest."""

    def open_to_all(op: Operation) -> bool:
        parameters = any(p.required for p in op.parameters)
        return op.method == "GET" and not op.secured and op.success is not None and not parameters

    def order(op: Operation) -> tuple[bool, int, str]:
        return (op.path != contract.policy.target.health, len(op.path), op.path)

    harmless = (op for op in contract.operations if op.label not in contract.dangerous)
    return min(filter(open_to_all, harmless), key=order, default=None)


def quiet_times(request: Request, number: int, apart: float) -> Move:
    """``times = yield from quiet_times(request, 20, 0.02)``: seconds of each, sent so far apart and when nothing else is.

    Raises `CannotProve` where an answer is no success, or we are too late ourselves.
    """
    answer = yield from in_time([(turn * apart, request) for turn in range(number)])
    return times(request, answer.responses)


def in_time(requests: Sequence[tuple[float, Request]]) -> Move:
    """``answer = yield from in_time([(0.0, login), (0.1, get)])``: a `SpreadAnswer`, of the first try in which we were not too late.

    Raises `CannotProve` where there was none.
    """
    for _ in range(TRIES):
        answer: SpreadAnswer = yield from spread(requests)
        if answer.late <= TOO_LATE:
            return answer
        yield from elsewhere()
    raise CannotProve(f"this machine is too busy to measure anything: we were {in_ms(answer.late)} late ourselves")


def times(request: Request, responses: Iterable[Response]) -> list[float]:
    """Seconds of these responses to ``request``. Raises `CannotProve` where one is no success."""
    chosen = list(responses)
    for response in chosen:
        if not response.ok:
            raise CannotProve(f"{request.operation or request.path} was answered with {describe(response)}")
    return [response.elapsed for response in chosen]


def most(values: Sequence[float]) -> float:
    """What 95 % of them do not exceed; of few the largest."""
    return sorted(values)[min(len(values) - 1, len(values) * 95 // 100)]


def in_ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.002 else f"{seconds * 1000:.1f} ms"
