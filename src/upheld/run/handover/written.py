"""An implementation report from the report of a run and its contract: what was verified is claimed, all else is told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upheld.contract.example import body_example
from upheld.contract.implementation import SCHEMA, pointer
from upheld.contract.placement import placement
from upheld.errors import UsageError
from upheld.exchange import Request, Session
from upheld.report.curl import curl
from upheld.report.mask import Masker
from upheld.run.handover.measures import MEASURES
from upheld.run.handover.models import models, named_schemas
from upheld.run.handover.rates import written as rate_in_words
from upheld.steps import fill_step

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation

_FAILING = frozenset({"breached", "advisory", "waived"})
NOT_JUDGED = "the run did not judge it"


@dataclass(frozen=True)
class RunReport:
    """What the JSON report of a run tells of promises and answers."""

    document: Mapping[str, Any]
    file: Path = Path()

    @property
    def contract(self) -> str:
        return str(self.document["contract"])

    def promises(self, requirement: str, subject: str = "") -> list[Mapping[str, Any]]:
        """Those of one requirement; ``subject`` is one of its subjects, empty for all."""
        same = (promise for promise in self.document["promises"] if promise["requirement"] == requirement)
        return [promise for promise in same if not subject or promise["subject"] == subject]

    def held(self, requirement: str, subject: str = "") -> tuple[str, ...]:
        """Ids of the promises that were upheld; none where one of them was not."""
        found = self.promises(requirement, subject)
        if any(promise["verdict"] in _FAILING or promise["flaky"] for promise in found):
            return ()
        return tuple(promise["id"] for promise in found if promise["verdict"] == "upheld")

    def statuses(self, label: str) -> frozenset[str]:
        """Which answers an operation gave in all phases."""
        return frozenset(self.document["coverage"]["operations"].get(label, ()))

    def why_not(self, requirement: str, subject: str = "") -> tuple[str, str]:
        """(why a requirement is not claimed, what would let it be)."""
        found = self.promises(requirement, subject)
        for promise in found:
            if promise["verdict"] in _FAILING or promise["flaky"]:
                return f"{promise['id']} is {promise['verdict']}", ""
        for promise in found:
            if promise.get("reason"):
                return f"{promise['id']} is {promise['verdict']}: {promise['reason']}", promise.get("add", "")
        return f"{requirement}: {NOT_JUDGED}", ""


def read_run(path: Path) -> RunReport:
    """Read the JSON report of a run. Raises `UsageError`."""
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        sentence = f"{path} cannot be read: {error.strerror}; `upheld check` writes it, or name another report"
        raise UsageError(sentence) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict) or not str(document.get("schema", "")).startswith("upheld.report/1"):
        raise UsageError(f"{path} is not a JSON report of `upheld check`")
    return RunReport(document, path)


def implementation(
    run: RunReport, contract: Contract, *, base_url: str = "", feature: str = "", collection: str = ""
) -> dict[str, Any]:
    """The report as JSON, by ``upheld.contract.implementation.schema()``.

    ``base_url`` is where its commands find the service, ``collection`` the path of a Postman collection.
    """
    return _Writer(run, contract, base_url, feature, collection).document()


@dataclass
class _Writer:
    run: RunReport
    contract: Contract
    base_url: str
    feature: str
    collection: str
    verified: dict[str, list[str]] = field(default_factory=dict)
    unproven: list[dict[str, str]] = field(default_factory=list)
    there: list[Operation] = field(default_factory=list)
    """Operations that were seen to exist."""

    def document(self) -> dict[str, Any]:
        title = str(self.contract.document.get("info", {}).get("title") or self.contract.name)
        endpoints = list(self._endpoints())
        found = {
            "schema": SCHEMA,
            "feature": self.feature or title,
            "endpoints_created": endpoints,
            "models_created": list(self._models()),
            "middleware_added": list(self._measures("middleware_added", middleware=True)),
            "security_measures": list(self._measures("security_measures", middleware=False)),
            "test_commands": list(self._commands()),
            "documentation": self._documentation(),
        }
        source = {name: self.run.document.get(name) for name in ("contract", "target", "started", "version", "stopped")}
        return {**found, "verified": self.verified, "unproven": self.unproven, "run": source}

    def _claim(self, ids: Iterable[str], *where: str | int) -> None:
        self.verified[pointer(*where)] = list(dict.fromkeys(ids))

    def _leave_out(self, claim: str, reason: str, add: str = "") -> None:
        self.unproven.append({"claim": claim, "reason": reason, **({"add": add} if add else {})})

    # -- endpoints -------------------------------------------------------------------------------------------------------

    def _endpoints(self) -> Iterator[dict[str, Any]]:
        for operation in self.contract.operations:
            label = operation.label
            ids = self.run.held("drift/operation-exists", label) or self._answered(label)
            if not ids:
                never = self.contract.dangerous.get(label)
                why = self.run.why_not("drift/operation-exists", label)
                self._leave_out(label, *((f"never sent on its own: {never}",) if never else why))
                continue
            at = ("endpoints_created", len(self.there))
            self.there.append(operation)
            self._claim(ids, *at)
            endpoint: dict[str, Any] = {"method": operation.method, "path": operation.path}
            endpoint |= self._auth(operation, at) | self._rate(operation, at)
            yield endpoint

    def _answered(self, label: str) -> tuple[str, ...]:
        good = sorted(status for status in self.run.statuses(label) if status.startswith("2"))
        broken = any(p["verdict"] in _FAILING for p in self.run.promises("drift/operation-exists", label))
        return tuple(f"coverage[{label}]: {status}" for status in good) if not broken else ()

    def _auth(self, operation: Operation, at: tuple[str, int]) -> dict[str, str]:
        label = operation.label
        if not self.contract.is_public(operation):
            if ids := self.run.held("auth/credentials-required", label):
                self._claim(ids, *at, "auth")
                return {"auth": self._scheme(operation)}
            self._leave_out(f"{label}: auth", *self.run.why_not("auth/credentials-required", label))
            return {}
        if ids := self._open(operation):
            self._claim(ids, *at, "auth")
            return {"auth": "none"}
        self._leave_out(f"{label}: auth", "no good answer to a request without credentials was told")
        return {}

    def _open(self, operation: Operation) -> tuple[str, ...]:
        """What shows that it answers those who bring no credentials."""
        auth, label = self.contract.auth, operation.label
        steps = (auth.login, auth.register, auth.refresh)
        if not operation.secured and any(step and step.operation == operation for step in steps):
            return self._answered(label)  # whoever signs in has nothing to show yet
        bare = [p for p in self.run.promises("drift/operation-exists", label) if p["verdict"] == "upheld"]
        good = any(p.get("detail", "").startswith("answered with 2") for p in bare)
        return tuple(p["id"] for p in bare) if good and not operation.secured else ()

    def _scheme(self, operation: Operation) -> str:
        """``bearer``, ``basic``, ``apiKey`` …: the first alternative of the document."""
        names = sorted(next(iter(operation.security), frozenset()))
        schemes = [self.contract.security_schemes.get(name, {}) for name in names]
        words = [str(scheme.get("scheme") or scheme.get("type") or "required").lower() for scheme in schemes]
        return " and ".join(word.replace("apikey", "apiKey") for word in words) or "required"

    def _rate(self, operation: Operation, at: tuple[str, int]) -> dict[str, str]:
        rule = self.contract.rate_rule(operation)
        if rule is None:
            return {}
        if ids := self.run.held("ratelimit/quota", rule.label):
            self._claim(ids, *at, "rate_limit")
            return {"rate_limit": rate_in_words(rule)}
        self._leave_out(f"{operation.label}: rate_limit", *self.run.why_not("ratelimit/quota", rule.label))
        return {}

    # -- models and measures ---------------------------------------------------------------------------------------------

    def _models(self) -> Iterator[str]:
        shown: dict[str, list[str]] = {}
        broken: set[str] = set()
        for operation in self.contract.operations:
            asked = operation.raw.get("requestBody")
            for requirement, part in (
                ("body/response-schema", self._answers(operation)),
                ("body/invalid-input", asked),
            ):
                names = models(self.contract.document, part)
                if ids := self.run.held(requirement, operation.label):
                    for name in names:
                        shown.setdefault(name, []).extend(ids)
                elif any(p["verdict"] in _FAILING for p in self.run.promises(requirement, operation.label)):
                    broken |= names
        claimed = [name for name in named_schemas(self.contract.document) if name in shown and name not in broken]
        for number, name in enumerate(claimed):
            self._claim(shown[name], "models_created", number)
            yield name
        for name in named_schemas(self.contract.document):
            if name not in claimed:
                why = "a body that holds it is not as it says" if name in broken else "no body that holds it was judged"
                self._leave_out(f"model {name}", why)

    def _answers(self, operation: Operation) -> list[Any]:
        """What the document says of the answers that were seen."""
        responses = operation.raw.get("responses")
        if not isinstance(responses, Mapping):
            return []
        codes = {str(code): said for code, said in responses.items()}
        seen = self.run.statuses(operation.label)
        return [codes.get(status, codes.get(f"{status[0]}XX", codes.get("default"))) for status in sorted(seen)]

    def _measures(self, member: str, *, middleware: bool) -> Iterator[str]:
        number = 0
        for measure in MEASURES:
            if measure.middleware is not middleware or measure.beyond:
                continue
            ids = [self.run.held(proof) for proof in measure.proofs]
            if all(ids):
                self._claim((id_ for each in ids for id_ in each), member, number)
                number += 1
                yield measure.says
            elif any(
                promise["verdict"] != "not applicable"
                for proof in measure.proofs
                for promise in self.run.promises(proof)
            ):
                missing = next(proof for proof, each in zip(measure.proofs, ids, strict=True) if not each)
                self._leave_out(measure.says, *self.run.why_not(missing))

    # -- commands and documents ------------------------------------------------------------------------------------------

    def _commands(self) -> Iterator[str]:
        if not self.base_url:
            self._leave_out("test_commands", "where the service runs is not known", "--target URL")
            return
        number = 0
        for operation in self.there:
            request = self._request(operation)
            good = self._answered(operation.label)
            if request is None or not good:
                continue
            self._claim(good, "test_commands", number)
            number += 1
            yield curl(
                request, self.base_url, Masker((), (*self.contract.policy.secret_fields(), *self._user_fields()))
            )

    def _user_fields(self) -> Iterator[str]:
        """Members of the login's body that say who signs in."""
        login = self.contract.auth.login
        for name, value in login.body.items() if login is not None and isinstance(login.body, Mapping) else ():
            if isinstance(value, str) and "$user" in value:
                yield name

    def _request(self, operation: Operation) -> Request | None:
        """One that anybody can send: the login, and what reads without naming anything."""
        login = self.contract.auth.login
        if login is not None and login.operation == operation:
            # Values that look like secrets to the masker become variables in the command.
            names = {"$user": "somebody", "$password": "a password", "$unique": "example"}
            return fill_step(login, names)
        if operation.method != "GET" or any(p.required for p in operation.parameters):
            return None
        if operation.label in self.contract.dangerous or body_example(self.contract, operation, unique=str) is not None:
            return None
        request = Request("GET", operation.path)
        if self.contract.is_public(operation):
            return request
        carried = placement(self.contract.auth.scheme).field("a-token")
        return request.as_(Session("", "", headers=(carried,))) if carried else None

    def _documentation(self) -> dict[str, Any]:
        said: dict[str, Any] = {}
        served = self.run.promises("drift/served-contract")
        if ids := self.run.held("drift/served-contract"):
            said["openapi_updated"] = True
            self._claim(ids, "documentation", "openapi_updated")
        elif any(promise["verdict"] in _FAILING for promise in served):
            said["openapi_updated"] = False
            self._claim((p["id"] for p in served), "documentation", "openapi_updated")
        else:
            self._leave_out("documentation: openapi_updated", *self.run.why_not("drift/served-contract"))
        if self.collection:
            said["postman_collection"] = self.collection
        return said
