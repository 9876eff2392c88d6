"""What somebody was told about a thing that is not theirs: compared with what its owner is told, and with an id of nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from upheld.check import CannotProve, Finding, Kept, Lane, Outcome, Unproven, send
from upheld.checks.authz._owners import document, stranger
from upheld.exchange import Request, Response, Session
from upheld.steps import Move, describe


def judged_read(lane: Lane, at: Callable[[str], Request], identifier: str, other: Session) -> Move:
    """Whether ``other`` is shown what the owner is shown at ``at(identifier)``."""
    mine = at(identifier)
    first: Response = yield from send(mine)
    if not first.ok:
        raise CannotProve(f"the control request {mine.operation} was answered with {describe(first)}")
    again: Response = yield from send(mine)
    foreign = mine.as_(other)
    answer: Response = yield from send(foreign)
    if not answer.ok:
        if answer.status >= 500:
            raise CannotProve(f"{mine.operation} as {other.name} was answered with {describe(answer)}")
        return Kept(f"{answer.status} for {other.name}")
    nothing: Response = yield from send(at(stranger(lane, identifier)).as_(other))
    noise = _noise(first, again)
    shown = _content(first, noise)
    if not shown or (nothing.ok and _content(nothing, noise) == shown):
        return Unproven(
            f"{mine.operation} shows the same for an id that names nothing, so it can't be told whose it is"
        )
    if _content(answer, noise) != shown:
        return Kept(f"{answer.status} for {other.name}, without what its owner is shown")
    return Finding(
        expected=f"a 4xx, or nothing of what {mine.session.name if mine.session else 'its owner'} is shown",
        actual=f"{answer.status}: {other.name} is shown the same",
        sent=f"{mine.method} {mine.target} as its owner, then as {other.name}",
        request=foreign,
    )


def told(lane: Lane, foreign: Request, answer: Response, nothing: Response, how: str) -> Outcome:
    """What ``answer``, a 2xx for a foreign thing, means beside ``nothing``, that for an id which names nothing."""
    if nothing.status >= 500:
        raise CannotProve(f"an id that names nothing is answered with {describe(nothing)}")
    if nothing.ok:
        return Unproven(f"{lane.operation.label} takes ids that name nothing as well, so nothing is looked up by them")
    return Finding(
        expected="a 4xx, as for an id that names nothing",
        actual=f"{answer.status} {how}; an id that names nothing is answered with {nothing.status}",
        sent=f"{lane.operation.label} {how}, as {foreign.session.name if foreign.session else 'nobody'}",
        request=foreign,
    )


def _noise(first: Response, again: Response) -> Mapping[str, None]:
    """Properties that differ from one look to the next."""
    before, after = document(first), document(again)
    if not isinstance(before, dict) or not isinstance(after, dict):
        return {}
    return {name: None for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _content(response: Response, noise: Mapping[str, None]) -> Any:
    value = document(response)
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if name not in noise}
    return response.body if value is None else value
