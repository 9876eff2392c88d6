"""Who signs in: registered where the document lets anybody register, else somebody whom only the author knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from upheld.contract.words import words

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

Ask = Callable[[str, str], str]
"""(question, what Enter alone answers) → the answer; empty where nobody knows or nobody is there."""
REGISTERED = {"alice": {"role": "user"}, "bob": {"role": "user"}}


@dataclass(frozen=True)
class People:
    """``identities`` of the new file."""

    identities: Mapping[str, Mapping[str, Any]]
    why: str
    in_force: bool
    """False: a form to be filled in, which stays a comment."""

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables that they need, where they are in force."""
        found = re.findall(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b", repr(self.identities))
        return tuple(dict.fromkeys(found)) if self.in_force else ()


def people(contract: Contract, name: str, ask: Ask) -> People:
    """``name`` is the service's; the environment variables begin with it."""
    prefix = variable(name)
    auth = contract.auth
    if auth.register and not auth.register.operation.secured:
        found: dict[str, Any] = dict(REGISTERED)
        if administers(contract) and (admin := ask("User of an administrator, for what only one may do", "")):
            found["admin"] = _signed_in("admin", admin, prefix)
        return People(found, f"registered by {auth.register.operation.label} for each run", True)
    if auth.login:
        how = f"signed in by {auth.login.operation.label}; nobody can register"
        first = ask("User who may sign in for tests", "")
        if not first:
            form = {who: _signed_in("user", f"{who}@example.com", prefix, who) for who in ("alice", "bob")}
            return People(form, f"{how}: name two users of one role", False)
        role = ask(f"Role of {first}", "user")
        found = {slug(first) or "first": _signed_in(role, first, prefix)}
        if second := ask(f"Another user whose role is {role}, to see that what is one's is not the other's", ""):
            found[slug(second) or "second"] = _signed_in(role, second, prefix)
        return People(found, how, True)
    if not contract.security_schemes:
        return People(REGISTERED, "the document has no way to sign in", False)
    form = {who: {"role": "user", **_credential(contract, f"{prefix}_{who.upper()}")} for who in ("alice", "bob")}
    if "headers" in form["alice"] or not ask(
        f"Set {prefix}_ALICE_… in the environment for who signs in? yes or no", "no"
    ).startswith("y"):
        return People(form, "no login is known: the environment holds a credential of each", False)
    return People({"alice": form["alice"]}, "the environment holds the credential", True)


def silent(contract: Contract) -> str:
    """That the document knows how to sign in, and hardly ever says where that is needed; else empty."""
    operations = contract.operations
    stated = sum("security" in op.raw or bool(op.security) for op in operations)
    if not contract.security_schemes or stated * 10 >= len(operations):
        return ""
    return f"the document says of {stated} of {len(operations)} operations whether they ask for credentials"


def public(contract: Contract, answered: Iterable[str] = ()) -> list[str]:
    """What surely needs no credentials: ``answered`` (labels), the health, the operations that let people in."""
    auth, health = contract.auth, contract.policy.target.health
    steps = [step.operation.label for step in (auth.login, auth.refresh) if step]
    if auth.register and re.search(r"regist|sign-?up", auth.register.operation.path, re.IGNORECASE):
        steps.append(auth.register.operation.label)
    steps += [op.label for op in contract.operations if op.method == "POST" and forgot(op)]
    return list(dict.fromkeys([*([f"GET {health}"] if health else []), *answered, *steps]))


def forgot(operation: Operation) -> bool:
    """Who has no password any more can't sign in to ask for another."""
    named = set(words(operation.path))
    return "password" in named and bool(named & {"forgot", "forgotten", "request", "reset", "recover", "recovery"})


def administers(contract: Contract) -> tuple[str, ...]:
    """Patterns of the operations below a part of the path that is named admin."""
    found = []
    for operation in contract.operations:
        path = operation.path.removeprefix(contract.prefix).split("/")
        if "admin" in path:
            found.append("* " + "/".join(path[: path.index("admin") + 1]) + "/**")
    return tuple(dict.fromkeys(found))[:5]


def _signed_in(role: str, user: str, prefix: str, who: str = "") -> dict[str, Any]:
    return {"role": role, "user": user, "password_env": f"{prefix}_{variable(who or user)}_PASSWORD"}


def _credential(contract: Contract, variable: str) -> dict[str, Any]:
    kinds = [
        scheme for scheme in contract.security_schemes.values() if str(scheme.get("scheme", "")).lower() == "basic"
    ]
    if len(kinds) == len(contract.security_schemes):
        return {"headers": {"Authorization": f"Basic ${{{variable}_BASIC}}"}}
    if contract.auth.scheme.startswith("apiKey:"):
        return {"api_key_env": f"{variable}_KEY"}
    return {"token_env": f"{variable}_TOKEN"}


def slug(text: str) -> str:
    """``"Shop API (v2)"`` → ``shop-api-v2``: a name for a folder or an identity."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"@.*", "", text).lower())[:40].strip("-")


def variable(text: str) -> str:
    """The same as the beginning of an environment variable's name."""
    made = slug(text).replace("-", "_").upper()
    return made if re.match(r"[A-Z]", made) else f"S_{made}".rstrip("_")
