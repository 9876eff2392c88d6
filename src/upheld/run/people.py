"""Identities: made or signed in once, handed out to dialogues, watched, renewed when lost.

Those that dialogues share are apart from those that fuzzing uses and from the fresh ones that a dialogue may destroy.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from upheld.check import CannotProve
from upheld.contract.environment import supplied, variables
from upheld.contract.placement import COOKIE, api_key_field, placement
from upheld.contract.sessions import tokens_in
from upheld.exchange import NotJson, Request, Response, Session
from upheld.run.budget import BudgetSpent
from upheld.steps import canary, describe, fill_step, pointed

if TYPE_CHECKING:
    from upheld.contract import Contract, Step
    from upheld.contract.policy import Identity

SendFrom = Callable[[Request, str | None], Awaitable[Response]]
"""Sends a request from a source address of its own, backing off where it is told to."""

NEVER_LINE = "never: [METHOD /path]  # the operation that ends sessions"
REGISTER_LINE = "auth: {register: {op: POST /auth/register, body: {email: $user, password: $password}}}"


class NotSupplied(CannotProve):
    """An environment variable that upheld.yaml names for an identity is not set."""


@dataclass
class Person:
    """One identity in the pool, with what is needed to sign it in again."""

    session: Session
    declared: str = ""
    """Its name under ``identities:``; empty when it was registered for the run."""
    spent: int = 0
    """Requests sent with it, to keep within a quota that is keyed by user."""
    last_ok: str = ""
    """Operation of its last 2xx answer that took the credential."""
    last_change: str = ""
    """The same of an operation that changes something: the suspect when the credential is lost."""
    lost: str = ""
    """Why its credential does not work any more; empty while it does."""
    used_by: set[str] = field(default_factory=set)


class People:
    """The identities of one run against one target."""

    def __init__(
        self,
        contract: Contract,
        send: SendFrom,
        fresh_address: Callable[[], str | None],
        token: str,
        quota: int | None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.contract = contract
        self._send = send
        self._address = fresh_address
        self._token = token
        self._environ = {**environment, **contract.given}
        self._quota = quota
        """Requests that one identity may spend; None where limits are raised."""
        self._pool: dict[str, list[Person]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._count = 0
        self.secrets: set[str] = set()
        self.notes: list[str] = []
        self._refused: dict[str, CannotProve] = {}

    # -- handing out -----------------------------------------------------------------------------------------------------

    @property
    def default_role(self) -> str:
        """The role of whoever registers: the first that no identity needs credentials for, else the first."""
        identities = self.contract.policy.identities
        plain = [
            i.role for name, i in identities.items() if not i.has_credentials and name not in self.contract.unusable
        ]
        return next(iter(plain), next((i.role for i in identities.values()), "user"))

    async def sign_in(self, role: str | None, *, fresh: bool, not_these: Iterable[str] = ()) -> Session:
        """A session of the role, none of ``not_these`` names. Raises `CannotProve` when nobody can be had."""
        role = role or self.default_role
        if fresh:
            return await self._fresh(role)
        taken = set(not_these)
        async with self._locks.setdefault(role, asyncio.Lock()):
            pool = self._pool.setdefault(role, [])
            # Whose password opens auth.login comes first: some checks need that.
            for person in sorted(pool, key=lambda person: (person.session.name in self.contract.logins, person.spent)):
                if person.session.name not in taken and not person.lost and self._has_quota(person):
                    return person.session
            try:
                person = await self._another(role, {p.declared for p in pool if p.declared})
            except CannotProve:
                able = [p for p in pool if p.session.name not in taken and not p.lost]
                if not able:
                    raise
                # Nobody else is to be had: whoever has spent the least waits for the quota.
                return min(able, key=lambda p: p.spent).session
            pool.append(person)
            return person.session

    def _has_quota(self, person: Person) -> bool:
        return self._quota is None or person.spent < self._quota

    async def _another(self, role: str, used: set[str]) -> Person:
        """One more identity of the role: the next declared one, else a newly registered one."""
        for name, identity in self._known():
            if identity.role != role or name in used:
                continue
            if name in self._refused:
                raise self._refused[name]
            try:
                return Person(await self._declared(name, identity), declared=name)
            except CannotProve as cannot:
                self._refused[name] = cannot
                raise
        unusable = self._unusable(role)
        if unusable is not None and (role != self.default_role or self.contract.auth.register is None):
            raise unusable
        if role != self.default_role:
            line = f"identities: {{{role}: {{role: {role}, user: …, password_env: UPHELD_{role.upper()}_PASSWORD}}}}"
            raise CannotProve(f"no identity with the role {role} is left", line)
        return Person(await self._registered(role))

    async def _fresh(self, role: str) -> Session:
        """A session that nobody else uses: a new account, or a new login of a declared identity that nobody minds."""
        if role == self.default_role and self.contract.auth.register is not None:
            return await self._registered(role)
        for name, identity in sorted(self._known(), key=lambda known: known[0] in self.contract.logins):
            if identity.role == role and (identity.password_env or identity.login):
                return await self._declared(name, identity)
        raise CannotProve(
            f"no throw-away session of the role {role} can be had: nobody can be registered", REGISTER_LINE
        )

    def _known(self) -> Iterator[tuple[str, Identity]]:
        """The declared identities with credentials that can be used."""
        for name, identity in self.contract.policy.identities.items():
            if identity.has_credentials and name not in self.contract.unusable:
                yield name, identity

    def _unusable(self, role: str) -> CannotProve | None:
        """Why somebody of the role, whom the contract names, is not to be had."""
        for name, identity in self.contract.policy.identities.items():
            if identity.role == role and (why := self.contract.unusable.get(name)):
                line = f"identities: {{extends: …, {name}: {{token_env: UPHELD_TOKEN}}}}"
                return CannotProve(f"{name} can't be signed in: {why}", line)
        return None

    # -- making ----------------------------------------------------------------------------------------------------------

    async def _declared(self, name: str, identity: Identity) -> Session:
        user = self._supplied(name, identity.user or "")
        own = tuple((field, self._supplied(name, value)) for field, value in identity.headers.items())
        key = self._environment(name, identity.api_key_env) if identity.api_key_env else ""
        if key:
            # Some services ask for a session on these operations and for a key on those.
            own = (*own, *self._credential(key, "apiKey"))
        if identity.token_env:
            token = self._environment(name, identity.token_env)
            return Session(name, identity.role, user, "", token, None, (*self._credential(token), *own))
        if not identity.password_env and not identity.login and own:
            token = placement(self.contract.auth.scheme).token(own) or key
            return Session(name, identity.role, user, "", token or None, None, own)
        password = self._environment(name, identity.password_env) if identity.password_env else ""
        step = self.contract.logins.get(name)
        session = await self.log_in(name, identity.role, user, password, step)
        # A password that another login takes is none for auth.login, where checks would try it.
        password = session.password if step is None else ""
        return replace(session, password=password, headers=(*session.headers, *own))

    def _supplied(self, name: str, text: str) -> str:
        """The text with the values of environment variables for ``${NAME}``."""
        return supplied(text, lambda variable: self._environment(name, variable))

    def environment(self, variable: str) -> str | None:
        """The value of a variable, remembered as a secret; None where it is not set."""
        value = self._environ.get(variable) or None
        if value is not None:
            self.secrets.add(value)
        return value

    def _environment(self, name: str, variable: str) -> str:
        value = self._environ.get(variable, "")
        if not value:
            raise NotSupplied(f"identity {name}: {self.contract.unset(variable)}", f"export {variable}=…")
        self.secrets.add(value)
        return value

    async def _registered(self, role: str) -> Session:
        step = self.contract.auth.register
        if step is None:
            raise CannotProve("nobody can be registered: no operation for it is stated or recognised", REGISTER_LINE)
        self._count += 1
        name = f"{role}{self._count}"
        user, password = self._user_name(name), self._password()
        response = await self._call(step, user=user, password=password, address=self._address())
        if not response.ok:
            raise CannotProve(
                f"registration ({step.operation.label}) was answered with {describe(response)}", REGISTER_LINE
            )
        if step.access and (session := self._session(name, role, user, password, step, response)):
            return session
        return await self.log_in(name, role, user, password)

    async def log_in(self, name: str, role: str, user: str, password: str, step: Step | None = None) -> Session:
        """A new session of this user, through ``step`` where it has a login of its own. Raises `CannotProve` when that refuses."""
        step = step or self.contract.auth.login
        if step is None:
            line = "auth: {login: {op: POST /auth/login, body: {email: $user, password: $password}, access: /access_token}}"
            raise CannotProve("nobody can sign in: no login operation is stated or recognised", line)
        own = {
            f"${{{variable}}}": self._environment(name, variable)
            for variable in variables(f"{step.body!r} {step.headers!r}")
        }
        response = await self._call(step, user=user, password=password, address=self._address(), own=own)
        if not response.ok and not _let_in(step, response):
            raise CannotProve(
                f"{name} can't sign in: {step.operation.label} was answered with {describe(response)}",
                f"identities: {{{name}: {{user: …, password_env: …}}}} with the right credentials",
            )
        session = self._session(name, role, user, password, step, response)
        if session is None:
            raise CannotProve(
                f"{step.operation.label} answered {response.status} without an access token at {step.access or '?'}",
                "auth: {login: {…, access: /path/to/token}}",
            )
        return session

    async def _call(
        self,
        step: Step,
        *,
        user: str,
        password: str,
        refresh: str = "",
        address: str | None,
        own: Mapping[str, str] | None = None,
    ) -> Response:
        self._count += 1
        names = {"$user": user, "$password": password, "$refresh": refresh, "$unique": f"u{self._token}{self._count}"}
        request = fill_step(step, {**names, **(own or {})})
        if self.contract.operation(request.operation) is None:
            request = request.with_(operation=None)  # the document does not have it, so it promises nothing of it
        return await self._send(request, address)

    def _session(
        self, name: str, role: str, user: str, password: str, step: Step, response: Response
    ) -> Session | None:
        try:
            document = response.json()
        except NotJson:
            document = {}
        in_access, in_refresh = (step.access, step.refresh) if step.access else tokens_in(document)
        refresh = _string(document, in_refresh)
        if in_access.startswith("header:"):
            access = response.headers.get(in_access.removeprefix("header:"))
        else:
            access = None if in_access == COOKIE else _string(document, in_access)
        if access is None and not (cookies := response.headers.all("set-cookie")):
            return None
        self.secrets.update(value for value in (access, refresh, password) if value)
        if access is not None:
            headers = self._credential(access, step.scheme)
        else:
            pairs = [cookie.split(";", 1)[0].strip() for cookie in cookies]
            self.secrets.update(pair.partition("=")[2] for pair in pairs)
            headers = (("Cookie", "; ".join(pairs)),)
        return Session(name, role, user, password, access, refresh, headers, response)

    def _credential(self, value: str, scheme: str = "") -> tuple[tuple[str, str], ...]:
        """The header fields that carry a token in the form of ``scheme``, or of ``auth.scheme``; ``apiKey`` is a key's own."""
        everybody = self.contract.auth.scheme
        if scheme == "apiKey" and not everybody.startswith("apiKey"):
            return ((api_key_field(self.contract.security_schemes), value),)
        field = placement(everybody if scheme in ("", "apiKey") else scheme).field(value)
        return (field or ("Authorization", f"Bearer {value}"),)

    def _user_name(self, name: str) -> str:
        plain = f"{name}{self._token}"
        # example.com is reserved (RFC 2606 §3), and unlike .test it passes the validators that refuse special domains.
        return f"{plain}@example.com" if self.contract.auth.user_kind == "email" else plain

    def _password(self) -> str:
        """Random, with every kind of character that composition rules ask for, within the declared length."""
        password = self.contract.policy.auth.password
        length = max(14, password.min or 0)
        value = ("Aa1-" + secrets.token_urlsafe(length))[: min(length, password.max_bytes or 64)]
        self.secrets.add(value)
        return value

    # -- watching --------------------------------------------------------------------------------------------------------

    def note(self, request: Request, response: Response, source: str) -> None:
        """Account for an exchange of a shared identity."""
        if request.session is None:
            return
        operation = self.contract.operation(request.operation)
        for person in self._pool.get(request.session.role, ()):
            if person.session.name == request.session.name:
                person.spent += 1
                person.used_by.add(source)
                if response.ok and operation is not None and operation.secured:
                    person.last_ok = operation.label
                    if not operation.safe:
                        person.last_change = operation.label

    async def muster(self) -> list[Person]:
        """Try every shared credential on the canary operation; those that are refused now are lost, and returned."""
        operation = canary(self.contract)
        if operation is None:
            return []
        lost = []
        for person in [p for pool in self._pool.values() for p in pool if not p.lost]:
            if (allowed := self.contract.roles(operation)) and person.session.role not in allowed:
                continue
            request = Request(operation.method, operation.path, session=person.session, operation=operation.label)
            try:
                response = await self._send(request, self._address())
            except CannotProve:
                continue
            if response.status == 401:
                suspect = person.last_change or person.last_ok or "its login"
                person.lost = f"credential of {person.session.name} lost after {suspect}"
                self.notes.append(person.lost)
                lost.append(person)
        return lost

    async def renew(self, person: Person) -> None:
        """Sign the same user in again, in its place. Raises `CannotProve` when that is not possible."""
        session = person.session
        identity = self.contract.policy.identities.get(person.declared)
        if session.answer is None:
            raise CannotProve(f"{session.name} has a credential that is given, not one that a login makes")
        person.session = await (
            self._declared(person.declared, identity)
            if identity is not None
            else self.log_in(session.name, session.role, session.user, session.password)
        )
        person.lost = person.last_ok = person.last_change = ""

    async def first(self) -> list[CannotProve]:
        """Sign in whoever has credentials in the file, before anything else: wrong ones make everything unproven."""
        refused = []
        for name, identity in self._known():
            try:
                session = await self._declared(name, identity)
                await self._tried(session)
            except BudgetSpent:
                break
            except CannotProve as cannot:
                self._refused[name] = cannot
                refused.append(cannot)
            else:
                self._pool.setdefault(identity.role, []).append(Person(session, name))
        return refused

    async def _tried(self, session: Session) -> None:
        """A credential whose form is stated, not inferred, is used once. Raises `CannotProve` when it is refused."""
        operation = canary(self.contract)
        if operation is None or (session.answer is not None and session.name not in self.contract.logins):
            return
        request = Request(operation.method, operation.path, session=session, operation=operation.label)
        response = await self._send(request, self._address())
        if response.status == 401:
            raise CannotProve(
                f"{session.name} is not known: its credential was refused, {operation.label} was answered with 401",
                f"identities: {{{session.name}: …}} with a credential that is valid now",
            )


def _let_in(step: Step, response: Response) -> bool:
    """A form's login answers with cookies and a redirect; one that leads back to the form has refused."""
    back = urlsplit(urljoin(step.operation.path, response.headers.get("location", ""))).path == step.operation.path
    return step.access == COOKIE and 300 <= response.status < 400 and not back


def _string(document: Any, pointer: str) -> str | None:
    if not pointer:
        return None
    try:
        value = pointed(document, pointer)
    except LookupError:
        return None
    # Some services count their tokens.
    return str(value) if isinstance(value, (str, int)) and value and not isinstance(value, bool) else None
