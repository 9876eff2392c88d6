"""What single answers of a service tell: limits from header fields alone, errors, caches, origins. Values in, values out.

One answer is no promise: whatever is seen here is offered to the author of upheld.yaml, never put into force.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upheld.contract.example import parameters_example
from upheld.contract.words import words
from upheld.exchange import NotJson, Request, Response
from upheld.steps import canary

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

OPEN = 4
"""GETs that are looked at without credentials."""
ORIGIN = "https://upheld.example"
"""An origin that no service has heard of (RFC 2606): one that is let in all the same says that all are."""
_NOT_ONLY_READ = frozenset({"login", "callback", "authorize", "oauth", "sso", "export", "download", "stream", "events", "sse",
                            "ws", "verify", "confirm", "random", "redirect"})  # fmt: skip
_ABOUT = frozenset({"health", "ping", "info", "status", "version"})
_WINDOWS = (1, 60, 3600, 86400)


@dataclass(frozen=True)
class Look:
    """One request and what came of it."""

    operation: Operation | None
    """None for a path that the document does not have."""
    request: Request
    response: Response

    @property
    def label(self) -> str:
        return self.operation.label if self.operation else f"{self.request.method} {self.request.path}"


@dataclass(frozen=True)
class Sign:
    """Something that was seen, and where: a key of upheld.yaml and the value that would promise it."""

    key: str
    value: Any
    """None where nothing is to be promised; ``key`` is then the section that it is about."""
    source: str


def open_reads(contract: Contract) -> tuple[Operation, ...]:
    """At most `OPEN` harmless GETs that need neither credentials nor parameters: what is about the service first, then lists."""
    lists = {resource.list for resource in contract.resources}
    health = contract.policy.target.health

    def harmless(op: Operation) -> bool:
        streams = any("event-stream" in media for spec in op.responses.values() for media in spec.content)
        return (
            op.method == "GET"
            and contract.is_public(op)
            and "{" not in op.path
            and not any(parameter.required for parameter in op.parameters)
            and op.label not in contract.dangerous
            and not op.redirects
            and not streams
            and not _NOT_ONLY_READ & {*words(op.path), *words(op.operation_id)}
        )

    def order(op: Operation) -> tuple[bool, bool, bool, int]:
        return op.path != health, not _ABOUT & set(words(op.path)), op not in lists, len(op.path)

    return tuple(sorted(filter(harmless, contract.operations), key=order)[:OPEN])


def refusable(contract: Contract, token: str) -> tuple[Operation | None, Request]:
    """One GET to be refused: an operation that asks for credentials, else a path that does not exist.

    ``token`` makes that path one that nobody has.
    """
    operation = canary(contract) or next(
        (
            op
            for op in contract.operations
            if op.method == "GET" and not contract.is_public(op) and op.label not in contract.dangerous
        ),
        None,
    )
    if operation is None:
        return None, Request("GET", f"{contract.prefix}/upheld-{token}")
    path = operation.path
    for name, value in parameters_example(contract, operation, lambda: token)["path"].items():
        path = path.replace(f"{{{name}}}", re.sub(r"[^\w-]", "-", str(value)) or token)
    return operation, Request("GET", path)


def signs(contract: Contract, looks: Sequence[Look], refused: Look | None) -> tuple[Sign, ...]:
    """Everything that the answers tell, in the order of upheld.yaml's sections."""
    every = [*looks, *([refused] if refused else [])]
    return (
        *_unexpected(looks),
        *(_refusal(refused) if refused else ()),
        *_limits(every),
        *_caching([look for look in looks if look.response.ok]),
        *_origins(every),
    )


def _unexpected(looks: Iterable[Look]) -> Iterator[Sign]:
    for status in (401, 403):
        if labels := [look.label for look in looks if look.response.status == status]:
            said = f"{', '.join(labels)} without credentials answered {status}, although the document asks for none"
            yield Sign("public", None, said)


# -- errors --------------------------------------------------------------------------------------------------------------


def _refusal(look: Look) -> Iterator[Sign]:
    answer = look.response
    how = f"{look.label} without credentials" if look.operation else f"{look.label}, which does not exist,"
    if answer.status < 400:
        yield Sign("auth", None, f"{how} answered {answer.status}, although the document asks for credentials")
        return
    if answer.status >= 500:
        yield Sign("errors", None, f"{how} answered {answer.status}")
        return
    if answer.status == 401:
        challenge = answer.headers.get("www-authenticate")
        said = f"WWW-Authenticate: {challenge}" if challenge else "no WWW-Authenticate"
        yield Sign("auth", None, f"{how} answered 401 with {said}")
    try:
        body = answer.json()
    except NotJson:
        body = None
    members = [str(name) for name in body] if isinstance(body, dict) else []
    said = f"{how} answered {answer.status} {answer.media_type or 'without a Content-Type'}"
    said += f" with {', '.join(members[:8])}" if members else ""
    if answer.media_type != "application/problem+json":
        yield Sign("errors", None, said)
        return
    yield Sign("errors.format", "rfc9457", said)
    # The members that most promise; "instance" and "detail" come and go.
    if require := [name for name in ("type", "title", "status") if name in members]:
        yield Sign("errors.require", require, said)


# -- limits --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Limit:
    quota: int
    window: int
    field: str
    """The field as it came, for the reader."""
    style: str
    """Which fields: as ``rate_limit.headers`` names them."""


def _limits(looks: Sequence[Look]) -> Iterator[Sign]:
    told = [(look, limit) for look in looks if (limit := limit_of(look.response))]
    if not told:
        return
    by_quota: dict[tuple[int, int], list[tuple[Look, _Limit]]] = {}
    for look, limit in told:
        by_quota.setdefault((limit.quota, limit.window), []).append((look, limit))
    silent = [look.operation.path for look in looks if look.operation and limit_of(look.response) is None]
    rules: list[dict[str, Any]] = []
    for (quota, window), seen in sorted(by_quota.items(), key=lambda item: len(item[1])):
        names = [look.operation.label for look, _ in seen if look.operation]
        last = len(rules) == len(by_quota) - 1
        for name in ["**"] if last else names:
            rule: dict[str, Any] = {"op": name, "quota": f"{quota}/{_span(window)}", "key": "user-or-ip"}
            if last and silent:
                rule["exempt"] = list(dict.fromkeys(silent))
            rules.append(rule)
    look, limit = told[0]
    yield Sign("rate_limits", rules, f"{look.label} answered {limit.field}; whose quota it is, no field says")
    yield Sign("rate_limit.headers", limit.style, f"{look.label} answered {limit.field}")


def limit_of(answer: Response) -> _Limit | None:
    """Quota and window in seconds as the fields tell them; the window of X-RateLimit is the least that its reset fits into."""
    fields = answer.headers
    if policy := fields.get("ratelimit-policy"):
        if limit := _by_draft(policy):
            return limit
        if old := re.search(r"(?:^|,)\s*(\d{1,9})\s*;\s*w=(\d{1,9})", policy):  # the drafts before the eighth
            return _usable(int(old[1]), int(old[2]), f"RateLimit-Policy: {policy}", "any")
    for prefix, style in (("x-ratelimit-", "x-ratelimit"), ("x-rate-limit-", "any"), ("ratelimit-", "any")):
        quota = re.match(r"\d{1,9}\b", fields.get(f"{prefix}limit", ""))
        if quota is None:
            continue
        reset = fields.get(f"{prefix}reset", "")
        shown = f"{prefix.title()}Limit: {quota[0]}" + (f", {prefix.title()}Reset: {reset}" if reset else "")
        return _usable(int(quota[0]), _window(reset, answer), shown.replace("Ratelimit", "RateLimit"), style)
    return None


def _by_draft(policy: str) -> _Limit | None:
    from upheld.checks.ratelimit._policies import Unreadable, items

    try:
        numbers = items("RateLimit-Policy", policy)[0].numbers
    except Unreadable:
        return None
    return _usable(numbers["q"], numbers.get("w", 60), f"RateLimit-Policy: {policy}", "draft-10")


def _usable(quota: int, window: int, field: str, style: str) -> _Limit | None:
    return _Limit(quota, window, field, style) if quota and window else None


def _window(reset: str, answer: Response) -> int:
    from email.utils import parsedate_to_datetime

    try:
        left = float(reset)
        if left > 1e12:  # milliseconds since 1970
            left /= 1000
        if left > 1e9:
            left -= parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, TypeError):
        return 60
    return next((window for window in _WINDOWS if left <= window), _WINDOWS[-1])


def _span(window: int) -> str:
    names = {1: "s", 60: "min", 3600: "h", 86400: "d"}
    return names.get(window, f"{window}s")


# -- caches and origins --------------------------------------------------------------------------------------------------


def _caching(looks: Iterable[Look]) -> Iterator[Sign]:
    for look in looks:
        control = look.response.headers.get("cache-control", "")
        age = re.search(r"\b(?:s-maxage|max-age)\s*=\s*\"?(\d{1,9})", control)
        if age and int(age[1]) and not re.search(r"no-store|no-cache|private", control, re.IGNORECASE):
            said = f"{look.label} answered Cache-Control: {control}"
            yield Sign("caching.routes", {look.label: f"{age[1]}s"}, said)
        if tag := look.response.headers.get("etag"):
            yield Sign("caching.etag", [look.label], f"{look.label} answered ETag: {tag}")


def _origins(looks: Sequence[Look]) -> Iterator[Sign]:
    for look in looks:
        fields = look.response.headers
        let_in = fields.get("access-control-allow-origin")
        if let_in is None:
            continue
        credentials = fields.get("access-control-allow-credentials", "").lower() == "true"
        said = f"{look.label} from {ORIGIN} answered Access-Control-Allow-Origin: {let_in}"
        said += " with credentials" if credentials else ""
        if let_in == ORIGIN and credentials:
            yield Sign("cors", None, said)
        elif let_in in ("*", ORIGIN):
            yield Sign("cors.origins", ["*"], said)
        elif let_in != "null":
            yield Sign("cors.origins", [let_in], said)
        return
    if looks:
        yield Sign("cors", None, f"no answer let {ORIGIN} read it: no Access-Control-Allow-Origin")
