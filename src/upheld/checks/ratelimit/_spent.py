"""A key that is used up, and whether a request that dresses differently gets past it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from upheld.check import Action, CannotProve, Lane, NotApplicable, Subject, Subjects, Unproven, send
from upheld.checks.ratelimit._drain import Knock, drain, rules, took, ways
from upheld.exchange import Request, Response, Session

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, RateRule

MOST_TRIES = 12


@dataclass(frozen=True, slots=True)
class Spent:
    """How a key was used up."""

    ask: Knock
    """Makes the request that is refused with 429 now."""
    answered: frozenset[int]
    """The statuses with which that request was answered as long as it was admitted."""
    count: int
    """Requests of this kind that were admitted."""
    began: float
    """When the first of them was sent, in seconds since the run began."""
    at: float
    """When the first one was refused."""

    def outlived(self, rule: RateRule, answer: Response) -> bool:
        """Whether a moving window may have begun to forget them by this answer, which it does as fast as they were sent."""
        return rule.algorithm != "token-bucket" and answer.at - self.began > 0.9 * rule.window

    def comes_through(self, response: Response) -> bool:
        """The operation itself answers: with success, or as it did before the key was used up."""
        return response.ok or response.status in self.answered


def spend(lane: Lane, session: Session | None) -> Generator[Action, Any, Spent]:
    """Use the key up. Raises `CannotProve` when no 429 comes."""
    total = 0
    for ask in ways(lane):
        admitted, refused = yield from drain(lane, session, ask)
        total += len(admitted)
        if refused is not None and admitted:
            return spent_by(ask, admitted, refused)
    raise CannotProve(f"{total} requests met no 429, so no key is used up")


def spent_by(ask: Knock, admitted: list[Response], refused: Response) -> Spent:
    """What `drain` has used up."""
    began = admitted[0].at - admitted[0].elapsed
    return Spent(ask, frozenset(answer.status for answer in admitted), len(admitted), began, refused.at)


def drain_past_windows(
    lane: Lane, session: Session | None, how: Knock
) -> Generator[Action, Any, tuple[list[Response], Response | None]]:
    """As `drain`, and no 429 means that there is no limit: a window that ends meanwhile gives a second quota, but no third one.

    Raises `CannotProve` where the requests take longer than a window.
    """
    rule = lane.subject.rule
    assert rule is not None
    admitted, refused = yield from drain(lane, session, how)
    if refused is None and rule.algorithm != "token-bucket":
        more, refused = yield from drain(lane, session, how)
        admitted += more
        if refused is None and took(admitted) > rule.window:
            raise CannotProve(f"{len(admitted)} requests take longer than a window, so that none has to be refused")
    return admitted, refused


def gets_past(
    lane: Lane,
    session: Session | None,
    spent: Spent,
    change: Callable[[Request, int], Request],
    through: Callable[[Response], bool],
) -> Generator[Action, Any, list[Response]]:
    """Answers of changed requests that came through although the key is used up; none when they don't.

    A bucket earns ``quota / window`` tokens a second, and a window ends one day: it takes more answers than the key can have
    earned since it last refused, and a plain request that is refused afterwards. ``change`` is given the plain request and how
    many came through before. Raises `CannotProve` where time leaves it open.
    """
    rule = lane.subject.rule
    assert rule is not None
    rate = rule.quota / rule.window
    for _ in range(2):
        since = yield from _refused(lane, session, spent.ask, tries=MOST_TRIES)
        if since is None:
            raise CannotProve(f"a key that was used up is admitted again {MOST_TRIES} times in a row")
        passed: list[Response] = []
        while not passed or len(passed) <= 1 + (passed[-1].at - since.at) * rate:
            if len(passed) == MOST_TRIES:
                raise CannotProve(
                    "answers take so long that the key earns as much meanwhile as a way past it would give"
                )
            request = change((yield from spent.ask(lane, session)), len(passed))
            response: Response = yield from send(request)
            if not through(response):
                return []
            passed.append(response)
        if spent.outlived(rule, passed[-1]):
            raise CannotProve("a whole window has passed since the key was used up")
        earned = int((passed[-1].at - since.at) * rate)
        if (yield from _refused(lane, session, spent.ask, tries=2 + earned)) is not None:
            return passed
    raise CannotProve("twice the quota came back while it was being asked for")


def _refused(lane: Lane, session: Session | None, ask: Knock, *, tries: int) -> Generator[Action, Any, Response | None]:
    """Ask plainly until it is refused: the refusal, or None."""
    for _ in range(tries):
        response: Response = yield from send((yield from ask(lane, session)))
        if response.status == 429:
            return response
    return None


def by_address(contract: Contract) -> Subjects:
    """The rules that a stranger meets by address, each with an operation that a stranger may call."""
    found = rules(contract)
    if isinstance(found, NotApplicable | Unproven):
        return found
    subjects = []
    for subject in found:
        assert subject.rule is not None
        operation = _open(contract, subject)
        if subject.rule.key in ("ip", "ip+route", "user-or-ip") and operation is not None:
            subjects.append(replace(subject, operation=operation))
    return subjects or NotApplicable("no rule that a stranger meets is keyed by address (rate_limits key)")


def _open(contract: Contract, subject: Subject) -> Operation | None:
    """The subject's operation where no credentials are asked for, else a GET of its rule that asks for none."""
    if subject.operation is not None and contract.is_public(subject.operation):
        return subject.operation
    for operation in contract.operations:
        simple = operation.method == "GET" and not any(p.required for p in operation.parameters)
        fits = contract.is_public(operation) and operation.label not in contract.dangerous
        if simple and fits and contract.rate_rule(operation) is subject.rule:
            return operation
    return None
