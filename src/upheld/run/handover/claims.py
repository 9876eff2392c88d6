"""What an implementation report claims, each claim with the promises that would prove it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upheld.contract.implementation import Endpoint, Implementation, Named, pointer
from upheld.contract.patterns import matches
from upheld.run.handover.measures import MEASURES, meant
from upheld.run.handover.models import models, named_model
from upheld.run.handover.rates import rule_for, with_rules

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, RateRule

EXISTS, OPEN, RUNS = "claim/endpoint", "claim/auth", "claim/command"
"""Ids of what is asked because a report claims it, beside the catalogue."""
NOBODY = "nobody here knows how to prove that from outside"


@dataclass(frozen=True)
class Proof:
    """Promises of one requirement that have to hold."""

    requirement: str
    subject: str = ""
    """The one of them that is meant; empty for all."""


@dataclass(frozen=True)
class Claim:
    """One claim of a report. ``pointer`` is its JSON Pointer there."""

    pointer: str
    text: str
    proofs: tuple[Proof, ...] = ()
    reason: str = ""
    """Why nothing that is asked can prove it."""
    add: str = ""
    wrong: str = ""
    """What contradicts it without asking the service."""
    seen: str = ""
    """What holds without asking the service."""
    any_of: bool = False
    """One proof that holds is enough, as long as none is refuted."""


@dataclass(frozen=True)
class Claims:
    """All claims of a report, and the contract that they are held against: with the quotas that they name."""

    contract: Contract
    claims: tuple[Claim, ...]
    endpoints: dict[str, tuple[Endpoint, Operation | None]]
    """Pointer → what is claimed, and the contract's operation."""


def claims(report: Implementation, contract: Contract) -> Claims:
    """Read a report's claims. Sends nothing."""
    found: list[Claim] = []
    rules: list[RateRule] = []
    endpoints: dict[str, tuple[Endpoint, Operation | None]] = {}
    for endpoint in report.endpoints:
        operation = operation_of(contract, endpoint)
        endpoints[endpoint.pointer] = (endpoint, operation)
        found += _of_endpoint(contract, endpoint, operation)
        if endpoint.rate_limit:
            claim, rule = _of_rate(contract, endpoint, operation)
            found.append(claim)
            if rule is not None and rule not in (*rules, *contract.rate_rules):
                rules.append(rule)
    found += (_of_model(contract, model) for model in report.models)
    found += (_of_measure(each) for each in (*report.middleware, *report.measures))
    found += (
        Claim(pointer("test_commands", at), line, (Proof(RUNS, pointer("test_commands", at)),))
        for at, line in enumerate(report.commands)
    )
    found += _of_documentation(report, contract, endpoints)
    return Claims(with_rules(contract, rules), tuple(found), endpoints)


def operation_of(contract: Contract, endpoint: Endpoint) -> Operation | None:
    """The operation that a report means: with or without the version prefix, whatever it calls the parameters."""
    path = "/".join(_segment(part) for part in endpoint.path.partition("?")[0].split("/"))
    wanted = f"{endpoint.method} {path}"
    same = [op for op in contract.operations if matches(wanted, op.method, op.path, contract.prefix)]
    # `/users/{id}` fits `/users/me` too; who wrote a template means a template.
    alike = [op for op in same if ("{" in op.path) == ("{" in path)]
    return next(iter((*alike, *same)), None)


def _segment(part: str) -> str:
    return "{" + part[1:] + "}" if part.startswith(":") else part


# -- endpoints -------------------------------------------------------------------------------------------------------------


def _of_endpoint(contract: Contract, endpoint: Endpoint, operation: Operation | None) -> Iterator[Claim]:
    sent = operation is not None and operation.label not in contract.dangerous
    there = Proof("drift/operation-exists", operation.label) if operation and sent else Proof(EXISTS, endpoint.pointer)
    yield Claim(endpoint.pointer, f"{endpoint.label} exists", (there,))
    if endpoint.needs_credentials is None:
        return
    where = f"{endpoint.pointer}/auth"
    asked = Proof(OPEN, endpoint.pointer)
    if endpoint.needs_credentials and operation is not None and sent and not contract.is_public(operation):
        asked = Proof("auth/credentials-required", operation.label)
    needs = "asks for credentials" if endpoint.needs_credentials else "asks for no credentials"
    yield Claim(where, f"{endpoint.label} {needs}", (asked,))


def _of_rate(contract: Contract, endpoint: Endpoint, operation: Operation | None) -> tuple[Claim, RateRule | None]:
    where, text = f"{endpoint.pointer}/rate_limit", f"{endpoint.label} is limited to {endpoint.rate_limit}"
    if operation is None:
        reason = f"the contract has no {endpoint.label}, and only what it describes is asked often"
        return Claim(where, text, reason=reason, add=f"the operation in {contract.openapi_file}"), None
    rule = rule_for(contract, operation, endpoint.rate_limit)
    if rule is None:
        return Claim(where, text, reason=f"{endpoint.rate_limit!r} is no quota; it looks like 10/min or 100/h"), None
    return Claim(where, text, (Proof("ratelimit/quota", rule.label),)), rule


# -- models and measures ---------------------------------------------------------------------------------------------------


def _of_model(contract: Contract, model: Named) -> Claim:
    text = f"the model {model.name}"
    schema = named_model(contract.document, model.name)
    if schema is None:
        reason = f"{contract.openapi_file} has no schema of this name, and what is inside of a service is not seen from outside"
        return Claim(model.pointer, text, reason=reason)
    name, properties = schema
    missing = [field for field in model.fields if field not in properties]
    if missing:
        wrong = f"{contract.openapi_file} has the schema {name} without {', '.join(missing)}"
        return Claim(model.pointer, text, wrong=wrong)
    parts = (("body/response-schema", "responses"), ("body/invalid-input", "requestBody"))
    proofs = [
        Proof(requirement, operation.label)
        for requirement, part in parts
        for operation in contract.operations
        if name in models(contract.document, operation.raw.get(part))
    ]
    if not proofs:
        return Claim(model.pointer, text, reason=f"no body of the document has the schema {name}")
    # Who sends it and who shows it may be two: what is shown tells as much as what is refused.
    return Claim(model.pointer, text, tuple(proofs), any_of=True)


def _of_measure(claimed: Named) -> Claim:
    found = meant(claimed.text)
    proofs = dict.fromkeys(Proof(id_) for measure in found for id_ in measure.proofs)
    beyond = "; ".join(measure.beyond for measure in found if measure.beyond)
    return Claim(claimed.pointer, claimed.text, tuple(proofs), reason=beyond if found else NOBODY)


def requirements() -> frozenset[str]:
    """Ids of all requirements that a claim may rest on."""
    own = {"drift/operation-exists", "auth/credentials-required", "ratelimit/quota", "body/response-schema"}
    return frozenset({*own, "drift/served-contract", *(id_ for measure in MEASURES for id_ in measure.proofs)})


# -- documentation ---------------------------------------------------------------------------------------------------------


def _of_documentation(
    report: Implementation, contract: Contract, endpoints: dict[str, tuple[Endpoint, Operation | None]]
) -> Iterable[Claim]:
    if report.openapi_updated:
        where, text = pointer("documentation", "openapi_updated"), "the OpenAPI document has what was built"
        strange = [endpoint.label for endpoint, operation in endpoints.values() if operation is None]
        if strange:
            yield Claim(where, text, wrong=f"{contract.openapi_file} has no {', '.join(strange)}")
        elif contract.policy.openapi.served is not None:
            yield Claim(where, text, seen="the service itself serves the document that has it")
        else:
            yield Claim(where, text, (Proof("drift/served-contract"),))
    if report.postman_collection:
        where = pointer("documentation", "postman_collection")
        yield _of_collection(where, report.file.parent, report.postman_collection)


def _of_collection(where: str, folder: Path, name: str) -> Claim:
    text = f"{name} is a Postman collection"
    try:
        # What a stranger names is read only where the report lies.
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            return Claim(where, text, reason=f"{name} was not handed over with the report")
        document: Any = json.loads(path.read_bytes())
    except OSError as error:
        return Claim(where, text, reason=f"{name} cannot be read: {error.strerror}")
    except (ValueError, RecursionError) as error:
        return Claim(where, text, wrong=f"it is not JSON: {error}")
    info = document.get("info") if isinstance(document, dict) else None
    if not isinstance(info, dict) or "collection/v2" not in str(info.get("schema")):
        return Claim(where, text, wrong="it does not name the schema of a collection in its info")
    requests = list(_requests(document))
    if not requests:
        return Claim(where, text, wrong="it holds no request")
    return Claim(where, text, seen=f"it holds {len(requests)} requests")


def _requests(folder: Any) -> Iterator[Any]:
    for item in folder.get("item", ()) if isinstance(folder, dict) else ():
        if isinstance(item, dict) and "request" in item:
            yield item["request"]
        else:
            yield from _requests(item)
