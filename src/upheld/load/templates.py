"""From an operation to ready-made requests: everything decided beforehand but the unique values and the used-up ids.

Examples come from the contract (`upheld.contract.example`), which takes milliseconds and is done here, once; a generator only
joins strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

from upheld.contract.example import body_example, parameters_example
from upheld.contract.words import key
from upheld.load.corpus import Case, laid_over
from upheld.load.plan import MEMBER, UNIQUE, UNIQUE_UPPER, Template, Text
from upheld.load.renewal import escaped

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Step
    from upheld.exchange import Session

_MARK, _OTHER_MARK = "q7zk4v9x2m1w", "h3jd8s5p6t0r"
MEMBER_MARK = "upheldmember5x8c"
_SPLICES = {_MARK: UNIQUE, _MARK.upper(): UNIQUE_UPPER, MEMBER_MARK: MEMBER}
_FIND = re.compile("(" + "|".join(_SPLICES) + ")")
MOST_COPIES = 5_000


class CannotMake(Exception):
    """No request of this operation can be made: why, and the line of upheld.yaml that would help."""

    def __init__(self, reason: str, add: str = "") -> None:
        super().__init__(reason)
        self.add = add


def text(value: str) -> Text:
    """The string with its marks turned into splices."""
    return tuple(_SPLICES.get(piece, piece) if index % 2 else piece for index, piece in enumerate(_FIND.split(value)))


@dataclass(frozen=True, slots=True)
class _Raw:
    path: str
    headers: tuple[tuple[str, str], ...]
    body: str | None

    def template(self, identity: str) -> Template:
        headers = tuple((name, text(value)) for name, value in self.headers)
        body = None if self.body is None else text(self.body)
        return Template(text(self.path), identity, headers=headers, body=body)


def templates(
    contract: Contract,
    operation: Operation,
    *,
    identity: str = "",
    ids: Mapping[str, str] | None = None,
    known: Mapping[str, Any] | None = None,
    copies: int = 1,
    namespace: str = "",
) -> tuple[Template, ...]:
    """Requests of the operation as ``identity``, with these path parameters and these values for fields that refer to things.

    One, whose unique values are spliced in; or ``copies`` when they cannot be (a unique number, a digest of a name), each with
    values of its own. Raises `CannotMake`.
    """
    given = (contract, operation, ids or {}, known or {})
    one, other = _raw(*given, lambda: _MARK), _raw(*given, lambda: _OTHER_MARK)
    if _without_marks(one) == _without_marks(other):
        return (one.template(identity),)
    number = count()

    def another() -> str:
        return f"{namespace}{identity[:4].lower()}{next(number):06d}"

    return tuple(_raw(*given, another).template(identity) for _ in range(min(copies, MOST_COPIES)))


def refers(contract: Contract, operation: Operation, ids: Mapping[str, str], known: Mapping[str, Any]) -> bool:
    """Whether its body names other things, by these values for fields that refer to them."""
    if not known:
        return False
    return (
        _raw(contract, operation, ids, known, lambda: _MARK).body
        != _raw(contract, operation, ids, {}, lambda: _MARK).body
    )


def unusual(
    contract: Contract,
    operation: Operation,
    cases: Iterable[Case],
    *,
    identity: str,
    ids: Mapping[str, str],
    known: Mapping[str, Any],
) -> tuple[Template, ...]:
    """Requests like `templates`, with what these cases say where it is not ours to say: path, ids and unique values are."""
    given = (contract, operation, ids, known)
    try:
        usual, other = _raw(*given, lambda: _MARK), _raw(*given, lambda: _OTHER_MARK)
    except CannotMake:
        return ()
    if _without_marks(usual) != _without_marks(other):
        # Its unique values can't be spliced into anything.
        return ()
    ours = {key(re.split(r"[./\s]", name)[-1]) for name in (*contract.unique_fields, *known)}
    # The engine makes up credentials too; what is no parameter is not its to say.
    stated: set[tuple[str, str]] = {(p.location, key(p.name)) for p in operation.parameters if key(p.name) not in ours}
    return tuple(_unusual(usual, case, ours, stated).template(identity) for case in cases if case.usable)


def _unusual(usual: _Raw, case: Case, ours: set[str], stated: set[tuple[str, str]]) -> _Raw:
    path, _, query = usual.path.partition("?")
    kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if key(pair[0]) in ours]
    pairs = [*kept, *(pair for pair in case.query if ("query", key(pair[0].partition("[")[0])) in stated)]
    headers = {n: value for n, value in case.headers if ("header", key(n)) in stated and key(n) not in _OURS}
    headers |= {name: value for name, value in usual.headers if key(name) in _OURS}
    body = usual.body
    if case.body is not None and body is not None and headers.get("Content-Type", "").endswith("json"):
        body = json.dumps(laid_over(json.loads(case.body), json.loads(body), ours))
    return _Raw(f"{path}?{urlencode(pairs)}" if pairs else path, tuple(headers.items()), body)


_OURS = {
    "content_type", "content_length", "accept", "host", "authorization", "cookie", "idempotency_key", "if_match", "if_none_match",
    "if_modified_since", "if_unmodified_since", "range",
}  # fmt: skip
"""Header fields, as `upheld.contract.words.key` has them, that no case may set."""


def _without_marks(raw: _Raw) -> str:
    whole = json.dumps([raw.path, raw.headers, raw.body])
    for mark in (_MARK, _OTHER_MARK):
        whole = whole.replace(mark, "").replace(mark.upper(), "")
    return whole


def _raw(
    contract: Contract,
    operation: Operation,
    ids: Mapping[str, str],
    known: Mapping[str, Any],
    unique: Callable[[], str],
) -> _Raw:
    values = parameters_example(contract, operation, unique, known=known)
    path = operation.path
    for name, value in {**values["path"], **ids}.items():
        path = path.replace("{" + name + "}", quote(_plain(value), safe=""))
    if "{" in path:
        raise CannotMake(f"nothing is known for the path parameters of {operation.path}")
    query = [(name, _plain(item)) for name, value in values["query"].items() for item in _many(value)]
    headers = {name: _plain(value) for name, value in values["header"].items()}
    for name in headers:
        if name.lower() == "idempotency-key":
            # The same key again would be answered from memory.
            headers[name] = unique()
        elif name.lower() == "if-match":
            headers[name] = "*"
    if any(contract.matches(pattern, operation) for pattern in contract.policy.caching.if_match):
        headers.setdefault("If-Match", "*")
    if cookies := "; ".join(f"{name}={_plain(value)}" for name, value in values["cookie"].items()):
        headers["Cookie"] = cookies
    body = None
    if operation.body is not None:
        made = body_example(contract, operation, unique=unique, known=known)
        if made is not None and made[0] != "multipart/form-data":
            headers["Content-Type"], body = made[0], _encoded(*made)
        elif operation.body.required:
            kinds = ", ".join(operation.body.content) or "an undescribed body"
            raise CannotMake(f"it takes {kinds}, which is not made here")
    return _Raw(f"{path}?{urlencode(query)}" if query else path, tuple(headers.items()), body)


def _encoded(media_type: str, value: Any) -> str:
    if media_type == "application/x-www-form-urlencoded":
        return urlencode({name: _plain(item) for name, item in value.items()} if isinstance(value, Mapping) else {})
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else json.dumps(value)


def _many(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


# -- signing in ----------------------------------------------------------------------------------------------------------

_CREDENTIAL = re.compile(r"(?:\$|%24)(user|password|refresh)\b")


def sign_in(step: Step, session: Session) -> Template:
    """The login of this session's person; user and password are spliced in from the secrets. Raises `CannotMake`."""
    if not session.user or not session.password:
        raise CannotMake(f"the password of {session.name} is not known")
    return _of_a_person(step, session, "a user and a password")


def refresh(step: Step, session: Session) -> Template:
    """The refresh of this session; its refresh token is spliced in from the secrets. Raises `CannotMake`."""
    if not session.refresh:
        raise CannotMake(f"{session.name} has no refresh token")
    return _of_a_person(step, session, "a refresh token")


def _of_a_person(step: Step, session: Session, takes: str) -> Template:
    form = step.media_type == "application/x-www-form-urlencoded"
    body = None
    if step.body is not None:
        made = urlencode(step.body) if form else json.dumps(step.body, ensure_ascii=False)
        body = tuple(_spliced(made, "form " if form else ""))
    fields = {"Content-Type": step.media_type, **step.headers} if body else dict(step.headers)
    headers = tuple((name, tuple(_spliced(value, ""))) for name, value in fields.items())
    for text in (body or (), *(value for _, value in headers)):
        if any("$" in literal for literal in text[::2]):
            raise CannotMake(f"{step.operation.label} takes more than {takes}")
    return Template((step.operation.path,), "", session.name, headers, body)


def _spliced(made: str, prefix: str) -> list[str]:
    return [prefix + piece if index % 2 else piece for index, piece in enumerate(_CREDENTIAL.split(made))]


def secrets_of(session: Session) -> dict[str, Any]:
    """What a generator needs of a session, ready to be spliced into JSON or a form."""
    known = {"user": session.user, "password": session.password, "refresh": session.refresh or ""}
    texts = (escaped(name, value) for name, value in known.items())
    return {"headers": [list(pair) for pair in session.headers], **{k: v for part in texts for k, v in part.items()}}
