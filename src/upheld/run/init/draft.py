"""The text of a first upheld.yaml: in force is only what nobody could infer again; the rest is there to be switched on.

Prose begins with ``#``, one space and a word. In a line that is switched off, ``#`` stands before the key or its indentation:
without it, it is YAML in its place.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from upheld.contract.sessions import STEPS, sent_as
from upheld.contract.words import words
from upheld.report.clean import one_line
from upheld.run.init.people import People, administers
from upheld.run.init.signs import Sign
from upheld.run.init.written import flow

if TYPE_CHECKING:
    from upheld.contract import Contract, Inference, Operation

WIDTH = 118
MOST = 12
"""Lines of one kind that are worth reading here; `upheld plan` has them all."""
_COMPLEX = frozenset({"report", "reports", "search", "statistics", "stats", "analytics", "export", "aggregate"})
_SECTIONS = ("errors", "auth", "rate_limits", "rate_limit", "caching", "cors", "idempotency")


def grounds(inference: Inference) -> str:
    """From what it was read, without saying the value again."""
    return inference.source.removeprefix(f"{inference.value}: ")


@dataclass
class Sheet:
    """Lines of the file."""

    lines: list[str] = field(default_factory=list)
    _said: str = ""

    def say(self, text: str) -> None:
        """Prose."""
        for line in textwrap.wrap(one_line(text), WIDTH, break_on_hyphens=False):
            self.lines.append(f"# {line}")

    def put(self, line: str, why: str = "", *, on: bool = True) -> None:
        """A line of YAML, in force or switched off, and the reason for it, which is not said twice in a row."""
        mark = "" if on else "#"
        why, self._said = ("" if why == self._said else one_line(why)), why
        if why and len(mark + line) + len(why) + 4 > WIDTH:
            named = re.match(r" *(\w+):", line)
            self.say(f"{named[1]}: {why}" if named else why)
            why = ""
        self.lines.append(f"{mark}{line}" + (f"  # {why}" if why else ""))

    def gap(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append("")

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip() + "\n"


@dataclass(frozen=True)
class Address:
    """Where the service is, as far as it is known."""

    url: str | None
    served: str | None = None
    """Path of the document on it."""
    in_force: bool = True


@dataclass(frozen=True)
class Doors:
    """``public`` of the new file, for a document that does not say who may come in; empty for one that does."""

    public: tuple[str, ...] = ()
    why: str = ""
    in_force: bool = False


def draft(
    contract: Contract,
    people: People,
    signs: Iterable[Sign],
    address: Address,
    doors: Doors,
    *,
    folder: str,
    document: str,
) -> str:
    """The file. ``contract`` is the document alone; ``folder`` is how the contract will be named on the command line."""
    sheet = Sheet()
    sheet.say(
        f"Begun by `upheld init`. A key behind `#` is switched off. It was read from the document, where "
        f"`upheld check` reads it again: switch it on to pin or to change it. Or it was seen in an answer: switch it on to promise "
        f"it. `upheld plan {folder}` shows what will be checked."
    )
    sheet.put("upheld: 1")
    sheet.put(f"openapi: {flow(document)}")
    _target(sheet, contract, address)
    _identities(sheet, people)
    if doors.public:
        sheet.put(f"public: {flow(doors.public)}", f"{doors.why}; all others do", on=doors.in_force)
    seen = list(signs)
    offered = _offered(contract, [sign for sign in seen if sign.value is not None])
    _access(sheet, contract, [sign.source for sign in seen if sign.key == "public"])
    for section in _SECTIONS:
        remarks = [sign.source for sign in seen if sign.value is None and sign.key == section]
        _section(sheet, section, offered[section], remarks)
    _only_the_author_knows(sheet, contract)
    _families(sheet, contract)
    return sheet.text


def _target(sheet: Sheet, contract: Contract, address: Address) -> None:
    health = contract.policy.target.health
    on = address.in_force and address.url is not None
    sheet.put("target:", "" if on else "where it runs is not known", on=on)
    sheet.put(f"  url: {flow(address.url or 'http://127.0.0.1:8000')}", on=on)
    if address.served:
        sheet.put(f"  served_spec: {flow(address.served)}", on=on)
    if health:
        sheet.put(f"  health: {flow(health)}", _source(contract, "target.health"), on=False)


def _identities(sheet: Sheet, people: People) -> None:
    sheet.put("identities:", people.why, on=people.in_force)
    for name, identity in people.identities.items():
        sheet.put(f"  {flow(name)}: {flow(identity)}", on=people.in_force)


def _source(contract: Contract, key: str) -> str:
    return next((grounds(found) for found in contract.inferences if found.key == key), "")


# -- what was read, and what was seen ------------------------------------------------------------------------------------

Offer = tuple[str, Any, str]
"""(key below the section, value, from what)"""


def _offered(contract: Contract, signs: list[Sign]) -> dict[str, list[Offer]]:
    offers: dict[str, list[Offer]] = {section: [] for section in _SECTIONS}
    offers["auth"] = list(_auth(contract))
    seen: dict[str, tuple[Any, str]] = {}
    for sign in signs:
        value, source = seen.get(sign.key, (None, sign.source))
        if isinstance(value, Mapping):
            seen[sign.key] = ({**value, **sign.value}, source)
        elif isinstance(value, list):
            seen[sign.key] = (list(dict.fromkeys([*value, *sign.value])), source)
        else:
            seen[sign.key] = (sign.value, source)
    for key, (value, source) in seen.items():
        section, _, rest = key.partition(".")
        offers[section].append((rest, value, f"seen: {source}"))
    read = _read(contract)
    for key, (value, source) in read.items():
        section, _, rest = key.partition(".")
        if key not in seen:
            offers[section].append((rest, value, source))
    return offers


def _read(contract: Contract) -> dict[str, tuple[Any, str]]:
    """What the document tells of sections that answers tell of too."""
    found: dict[str, tuple[Any, str]] = {}
    if source := _source(contract, "errors.format"):
        found["errors.format"] = ("rfc9457", source)
    tagged = [op for op in contract.operations if op.method == "GET" and _documents_tag(op)]
    if tagged:
        found["caching.etag"] = ([op.label for op in tagged[:MOST]], f"{tagged[0].label} documents ETag or 304")
    if (ops := contract.policy.idempotency.ops) and (source := _source(contract, "idempotency.ops")):
        found["idempotency.ops"] = (list(ops), source)
    return found


def _documents_tag(operation: Operation) -> bool:
    return "304" in operation.responses or any("etag" in answer.headers for answer in operation.responses.values())


def _auth(contract: Contract) -> Iterable[Offer]:
    auth = contract.auth
    for name in STEPS:
        step = getattr(auth, name)
        if step is None:
            continue
        value: dict[str, Any] = {"op": step.operation.label}
        if step.body is not None:
            value["body"] = step.body
        value |= {part: found for part in ("access", "refresh") if (found := getattr(step, part))}
        if step.body is not None and step.media_type != "application/json":
            value["media_type"] = step.media_type
        yield name, value, _source(contract, f"auth.{name}.op")
    if auth.api_keys:
        keys = {"create": auth.api_keys.create.label, "key": auth.api_keys.key}
        if auth.api_keys.revoke:
            keys["revoke"] = auth.api_keys.revoke.label
        yield "api_keys", keys, _source(contract, "auth.api_keys.create")
    if contract.security_schemes:
        yield "scheme", auth.scheme, _source(contract, "auth.scheme") or "securitySchemes"
    if (least := contract.policy.auth.password.min) is not None:
        yield "password", {"min": least}, _source(contract, "auth.password.min")


def _section(sheet: Sheet, name: str, offers: list[Offer], remarks: list[str]) -> None:
    if not offers and not remarks:
        return
    sheet.gap()
    for remark in remarks:
        sheet.say(f"Seen: {remark}")
    if not offers:
        return
    key, value, why = offers[0]
    if not key:
        sheet.put(f"{name}:", why, on=False)
        for item in value:
            sheet.put(f"  - {flow(item)}", on=False)
        return
    if len(offers) == 1:
        sheet.put(f"{name}: {flow({key: value})}", why, on=False)
        return
    sheet.put(f"{name}:", on=False)
    for key, value, why in offers:
        sheet.put(f"  {key}: {flow(value)}", why, on=False)


# -- what is about the whole document ------------------------------------------------------------------------------------


def _access(sheet: Sheet, contract: Contract, remarks: list[str]) -> None:
    operations, schemes = contract.operations, contract.security_schemes
    sheet.gap()
    for remark in remarks:
        sheet.say(f"Seen: {remark}")
    if contract.prefix:
        sheet.put(f"prefix: {flow(contract.prefix)}", _source(contract, "prefix"), on=False)
    for name, scheme in schemes.items():
        users = sum(any(name in names for names in op.security) for op in operations)
        kind = sent_as(scheme) or " ".join(str(scheme.get(part, "")) for part in ("type", "scheme")).strip()
        sheet.say(f"Security scheme {name}: {kind}, {users} of {len(operations)} operations")
    if unique := contract.unique_fields:
        sheet.put(f"unique: {flow(list(unique))}", _source(contract, "unique"), on=False)


def _only_the_author_knows(sheet: Sheet, contract: Contract) -> None:
    sheet.gap()
    sheet.say("Only you know these; each line that is switched on is checked.")
    if patterns := administers(contract):
        for number, pattern in enumerate(patterns):
            if not number:
                sheet.put("roles:", on=False)
            sheet.put(f"  - {flow({'op': pattern, 'allow': ['admin']})}", on=False)
    if any(resource.owned for resource in contract.resources):
        owned = ", ".join(resource.name for resource in contract.resources[:MOST] if resource.owned)
        sheet.put(f"ownership: {flow({'foreign': 404})}", f"or 403; whose things are whose: {owned}", on=False)
    if contract.oauth.speaks_oauth and contract.oauth.token:
        sheet.say(
            f"OAuth 2 at {contract.oauth.token.label}: a client under auth.oauth.clients lets its token endpoint be checked."
        )
    slow = [op.label for op in contract.operations if op.method == "GET" and _COMPLEX & set(words(op.path))][:4]
    latency = {"crud": "200ms", "complex": "500ms", "auth": "1s"} | ({"complex_ops": slow} if slow else {})
    hashing = [op.label for op in contract.operations if contract.latency_class(op) == "auth"]
    sheet.put(f"latency: {flow(latency)}", f"95th percentiles; auth: {', '.join(hashing) or 'no operation'}", on=False)


def _families(sheet: Sheet, contract: Contract) -> None:
    families = [found for found in contract.inferences if found.key.startswith("resource ")]
    if not families:
        return
    sheet.gap()
    sheet.say("Families of resources:")
    for found in families[:MOST]:
        sheet.say(f"- {found.key.removeprefix('resource ')} ({found.source.rpartition(' and ')[2]}): {found.value}")
    if len(families) > MOST:
        sheet.say(f"- and {len(families) - MOST} more, which `upheld plan` shows")
