"""Which operations are pressed, with which requests; what is left out, and why. Each is tried before it is chosen.

An operation that refuses its request on a quiet service would be measured refusing, which is fast and means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upheld.errors import SetupError
from upheld.exchange import Response, Session
from upheld.load.corpus import Corpus
from upheld.load.members import Members, describe
from upheld.load.plan import MAKER, Template
from upheld.load.rates import Demand, weight
from upheld.load.templates import MEMBER_MARK, CannotMake, refers, sign_in, templates, unusual

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource

MOST_TEMPLATES = 60


@dataclass(frozen=True, slots=True)
class Chosen:
    """An operation that is pressed."""

    demand: Demand
    templates: tuple[Template, ...]
    id_pointer: str = ""
    odd: tuple[Template, ...] = ()
    recent: tuple[Template, ...] = ()
    reads: str = ""


class Chooser:
    """Goes through a contract's operations. Raises `SetupError` when the service is not what the contract describes."""

    def __init__(
        self, contract: Contract, members: Members, *, copies: int, corpus: Corpus | None = None, odd: int = 0
    ) -> None:
        """``corpus`` has unusual requests, of which ``odd`` of each operation are tried at most."""
        self.contract = contract
        self.members = members
        self._copies = copies
        self._corpus = corpus or {}
        self._odd_each = odd
        self._answers: list[int] = []

    def choose(self, operation: Operation) -> Chosen:
        """Raises `CannotMake` with the reason why it is left out."""
        if weight(self.contract, operation) == 0:
            raise CannotMake("its weight is 0")
        if why := self.contract.dangerous.get(operation.label):
            raise CannotMake(why)
        if login := self._session_step(operation):
            return login
        callers = self.members.callers(operation)
        if not callers:
            role = " or ".join(self.contract.roles(operation) or ())
            line = f"identities: {{…: {{role: {role or 'user'}, user: …, password_env: …}}}}"
            raise CannotMake(f"nobody{' with the role ' if role else ''}{role} is signed in for it", line)
        family = self.members.family(operation)
        if family is None:
            return self._alone(operation, callers)
        if operation.method == "DELETE":
            return self._taking(operation, family, callers, "a deletion needs one for each request")
        return self._on_members(operation, family, callers)

    def check(self) -> None:
        """After all: that something else than 404 or 401 was seen. Raises `SetupError`."""
        for status, means in ((404, "it is not the service that the contract describes"), (401, "no credential works")):
            if self._answers and all(answer == status for answer in self._answers):
                raise SetupError(f"every operation that was tried answered {status}: {means}")

    # -- kinds -----------------------------------------------------------------------------------------------------------

    def _session_step(self, operation: Operation) -> Chosen | None:
        auth = self.contract.auth
        if auth.login is not None and auth.login.operation == operation:
            made: list[Template] = []
            why = "nobody is signed in"
            for session in self.members.sessions:
                try:
                    made.append(sign_in(auth.login, session))
                except CannotMake as cannot:
                    why = str(cannot)
            if not made:
                raise CannotMake(why)
            self._try(operation, made[0])
            return Chosen(Demand(operation, ("",)), tuple(made))
        reasons = {
            "register": "every request would leave an account behind",
            "refresh": "every request would use up a session's token",
            "logout": "every request would end a session",
        }
        for name, reason in reasons.items():
            step = getattr(auth, name)
            if step is not None and step.operation == operation:
                raise CannotMake(reason)
        return None

    def _alone(self, operation: Operation, callers: tuple[str, ...]) -> Chosen:
        """It names no member: a list, a creation, a report."""
        cases: list[tuple[str, Mapping[str, str]]] = [(caller, {}) for caller in callers]
        made = self._varied(operation, cases)
        resource = next((r for r in self.contract.resources if r.create == operation), None)
        if resource is not None:
            if operation.label in self.members.refused:
                raise CannotMake(self.members.refused[operation.label])
            maker, outer = callers[0], cases[0][1]
            odd = self._odd(operation, cases, lambda answer: self.members.adopt(resource, maker, outer, answer))
            return Chosen(Demand(operation, callers, makes=resource.collection), made, resource.id_pointer, odd)
        self._try(operation, made[0])
        if not operation.safe:
            self._try(operation, made[-1], again=True)
        return Chosen(Demand(operation, callers), made, odd=self._odd(operation, cases))

    def _on_members(self, operation: Operation, family: Resource, callers: tuple[str, ...]) -> Chosen:
        """It looks at or changes a member, which stays."""
        spare = self._spare(operation, family, callers) if operation.method == "POST" else None
        if spare is not None:
            # An action may be possible only once (cancel, publish): learn it on a member that nobody else needs.
            identity, ids = spare
            trial = templates(self.contract, operation, identity=identity, ids=ids, known=self.members.known(0))
            self._try(operation, trial[0])
            try:
                self._try(operation, trial[-1], again=True)
            except CannotMake as cannot:
                return self._taking(operation, family, callers, str(cannot), tried=True)
        change = not operation.safe
        usable = [(who, m.ids) for who in callers for m in self.members.usable(family, who, change=change)]
        if not usable:
            raise CannotMake(self._none_of(family, change))
        makers = {who for who, _ in usable}
        made = self._varied(operation, usable)
        if spare is None:
            self._try(operation, made[0])
            if change:
                self._try(operation, made[0], again=True)
        demand = Demand(operation, tuple(who for who in callers if who in makers))
        if change:
            # An unusual change of what others need (a price, a stock of 0) would make their requests fail.
            return Chosen(demand, made)
        recent = self._recent(operation, family, demand.callers)
        return Chosen(demand, made, odd=self._odd(operation, usable), recent=recent, reads=family.collection)

    def _recent(self, operation: Operation, family: Resource, callers: tuple[str, ...]) -> tuple[Template, ...]:
        """Reads of what the load itself has just made, where that is no more for one identity than for another."""
        makers = self.members.callers(family.create) if family.create is not None else ()
        if operation.path.count("{") != 1 or not makers or (family.owned and set(makers) != set(callers)):
            return ()
        ids = {family.id_parameter: MEMBER_MARK}
        identities = (MAKER,) if family.owned else callers
        return tuple(t for who in identities for t in templates(self.contract, operation, identity=who, ids=ids))

    def _taking(
        self, operation: Operation, family: Resource, callers: tuple[str, ...], why: str, *, tried: bool = False
    ) -> Chosen:
        """It uses up a member: each request takes one that the load's own creations made."""
        if family.create is None or not self.members.of(family):
            raise CannotMake(self._none_of(family, True))
        if operation.path.count("{") > 1:
            raise CannotMake(f"{why}, of a thing that belongs to another")
        if not tried:
            spare = self._spare(operation, family, callers)
            if spare is None:
                raise CannotMake(self._none_of(family, True))
            identity, ids = spare
            self._try(operation, templates(self.contract, operation, identity=identity, ids=ids)[0])
        # What is owned only its maker may take; the maker's name comes with the member.
        identities = (MAKER,) if family.owned else callers
        ids = {family.id_parameter: MEMBER_MARK}
        made = tuple(
            template
            for identity in identities
            for template in templates(self.contract, operation, identity=identity, ids=ids, copies=1)
        )
        return Chosen(Demand(operation, callers, takes=family.collection), made)

    def _spare(
        self, operation: Operation, family: Resource, callers: tuple[str, ...]
    ) -> tuple[str, dict[str, str]] | None:
        """(caller, path values) of a new member that may be spoiled."""
        makers = self.members.callers(family.create) if family.create is not None else ()
        both = [who for who in callers if who in makers] or ([] if family.owned else list(makers[:1]))
        if not both or family.create is None or family.create.label in self.contract.dangerous:
            return None
        member = self.members.make(family, both[0], turn=len(self.members.of(family)))
        if member is None:
            return None
        self.members.forget(family, member)
        return (both[0] if both[0] in callers else callers[0]), dict(member.ids)

    # -- parts -----------------------------------------------------------------------------------------------------------

    def _varied(self, operation: Operation, cases: Sequence[tuple[str, Mapping[str, str]]]) -> tuple[Template, ...]:
        """Templates for each (caller, path values), with varying references in the body."""
        turns = len(cases)
        if operation.body is not None and self.members.known(0):
            # A body that refers to things shall not always refer to the same one.
            turns *= -(-self.members.each // turns)
        copies = max(1, self._copies // turns)
        made: dict[Template, None] = {}
        for turn in range(min(turns, MOST_TEMPLATES)):
            caller, ids = cases[turn % len(cases)]
            made.update(
                dict.fromkeys(
                    templates(
                        self.contract,
                        operation,
                        identity=caller,
                        ids=ids,
                        known=self.members.known(turn),
                        copies=copies,
                        namespace=f"{self.members.namespace}{turn:02d}",
                    )
                )
            )
        return tuple(made)

    def _odd(
        self,
        operation: Operation,
        cases: Sequence[tuple[str, Mapping[str, str]]],
        made: Callable[[Response], None] = lambda answer: None,
    ) -> tuple[Template, ...]:
        """Unusual requests for these (caller, path values), those that the quiet service answers 2xx."""
        found: list[Template] = []
        caller, ids = cases[0]
        if not operation.safe and refers(self.contract, operation, ids, self.members.known(0)):
            # An unusual number of what others need too (a stock, seats) would use it up for them.
            return ()
        tried = self._corpus.get(operation.label, ())[: self._odd_each]
        for number, case in enumerate(tried):
            known = self.members.known(number)
            for trial in unusual(self.contract, operation, [case], identity=caller, ids=ids, known=known):
                answer = self.members.ask(operation, trial)
                if not answer.ok:
                    continue
                made(answer)
                who, where = cases[number % len(cases)]
                found += unusual(self.contract, operation, [case], identity=who, ids=where, known=known)
        return tuple(dict.fromkeys(found))

    def _try(self, operation: Operation, template: Template, *, again: bool = False) -> Response:
        response = self.members.ask(operation, template)
        self._answers.append(response.status)
        if not response.ok:
            raise CannotMake(f"{'repeated, it' if again else 'it'} answers {describe(response)} on the quiet service")
        return response

    def _none_of(self, family: Resource, change: bool) -> str:
        if family.create is not None and family.create.label in self.members.refused:
            return f"there is no member of {family.collection}: {self.members.refused[family.create.label]}"
        if change and self.members.of(family):
            return f"it would change a member of {family.collection} that this run did not make"
        return f"there is no member of {family.collection}, and nobody here can make one"


def sessions_in_use(sessions: Iterable[Session]) -> tuple[Session, ...]:
    """Those with a name of their own; of two with one name the first."""
    return tuple({session.name: session for session in reversed(tuple(sessions))}.values())[::-1]
