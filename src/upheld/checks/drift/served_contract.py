"""The document that the service serves is the contract.

## What it requires

The OpenAPI document at `target.served_spec` says the same as the committed one in everything that binds: paths, methods, parameters, whether
they are required, request and response media types, schemas and statuses. Order, texts, names, examples, tags and servers are free.

## Why

Two documents that differ are two contracts. Teams generate clients from whichever they find, the tests hold the service to the one, and
the other is believed.

## What it sends

One GET of `target.served_spec`. The two documents are compared operation by operation, references followed, null and const written in
one way.

## Example of a breach

The contract has `limit` with `maximum: 100`; the service generates its document from code that says 500.

## When to waive it

While a document that is generated from code can't express what the contract says: take `served_spec:` out until it can.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    SERVICE,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subjects,
    Unproven,
    send,
)
from upheld.errors import ContractError
from upheld.exchange import NotJson, Request, Response
from upheld.steps import describe

if TYPE_CHECKING:
    from upheld.contract import Contract

REQUIREMENT = Requirement(
    title="The document that the service serves is the contract",
    level=MUST,
    clause=Clause(
        "OWASP API9:2023",
        "https://owasp.org/API-Security/editions/2023/en/0xa9-improper-inventory-management/",
        "Generate documentation automatically by adopting open standards. Include the documentation build in your CI/CD pipeline.",
    ),
    catalogue=("DRIFT-01",),
    reads=("target.served_spec", "target.url", "openapi.served"),
    cost=1,
    owasp="API9:2023",
    cwe=("CWE-1059",),
)

_TOLD = 8
"""Differences that are told in words; the rest is counted."""


def subjects(contract: Contract) -> Subjects:
    if contract.policy.target.served_spec is None:
        if contract.policy.openapi.served is not None:
            return NotApplicable("the document that is served is the contract")
        return Unproven("nobody says where the service serves its document", "target: {served_spec: /openapi.json}")
    return [SERVICE]


def converse(lane: Lane) -> Conversation:
    from upheld.contract.difference import differences

    path = lane.contract.policy.target.served_spec or ""
    request = Request("GET", path)
    response = yield from send(request)
    if response.status in (401, 403, 429, 503):
        return Unproven(f"GET {path} was answered with {describe(response)}")
    if not response.ok or response.truncated:
        why = "more than is read" if response.truncated else describe(response)
        return Finding(expected=f"the OpenAPI document at {path}", actual=why, request=request)
    served = _read(lane.contract, response)
    if isinstance(served, Unproven):
        return served
    found = list(dict.fromkeys(differences(lane.contract, served)))
    if not found:
        return Kept(f"{len(served.operations)} operations")
    more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return Finding(
        expected=f"what {lane.contract.openapi_file} says",
        actual=f"{len(found)} difference{'s' * (len(found) > 1)} (contract → served): {'; '.join(found[:_TOLD])}{more}",
        request=request,
    )


def _read(contract: Contract, response: Response) -> Contract | Unproven:
    from upheld.contract.load import from_parts

    try:
        document = response.json()
    except NotJson:
        import yaml

        try:
            document = yaml.safe_load(response.text)
        except yaml.YAMLError as error:
            return Unproven(f"what is served is neither JSON nor YAML: {str(error)[:120]}")
    # Only its address decides where the paths of a document begin; nothing else of the policy is read.
    address = {"target": {"url": contract.policy.target.url}} if contract.policy.target.url else {}
    try:
        return from_parts({"upheld": 1, **address}, document, name="served")
    except ContractError as error:
        return Unproven(f"the served document can't be read: {str(error)[:200]}")


_POLICY = {"target": {"served_spec": "/openapi.json"}}
_ITEMS = "/api/v1/items"


def _serving(says: str, change: Callable[[dict[str, Any]], object] = lambda document: None) -> Example:
    """A service that serves the sample's document, with one change."""
    copy: dict[str, Any] = {}

    def keep(document: dict[str, Any]) -> None:
        copy.update(deepcopy(document))

    def alter(request: Request, response: Response) -> Response:
        if request.path != "/openapi.json":
            return response
        served = deepcopy(copy)
        change(served)
        return Response.of(200, served)

    return Example(says, alter=alter, policy=_POLICY, document=keep)


def _free(document: dict[str, Any]) -> None:
    document["servers"] = [{"url": "/"}]
    document["info"]["title"] = "Another title"
    document["paths"] = dict(reversed(document["paths"].items()))
    document["components"]["schemas"]["Thing"] = document["components"]["schemas"].pop("Item")
    for schema in ("Thing", "ItemPage"):
        document["components"]["schemas"][schema]["description"] = "said in other words"
    document["components"]["schemas"]["ItemPage"]["properties"]["items"]["items"] = {
        "allOf": [{"$ref": "#/components/schemas/Thing"}]
    }
    for item in document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation["operationId"] += "_generated"
                for response in operation["responses"].values():
                    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
                    if schema.get("$ref", "").endswith("/Item"):
                        schema["$ref"] = "#/components/schemas/Thing"


CONFORMING = (
    _serving("the same document"),
    _serving("the same contract in other words and another order", _free),
)

BREACHING = (
    _serving("a looser bound", lambda d: d["paths"][_ITEMS]["get"]["parameters"][0]["schema"].update(maximum=500)),
    _serving("an operation more", lambda d: d["paths"].update({"/debug": {"get": {"responses": {"200": {}}}}})),
    _serving("an operation less", lambda d: d["paths"][_ITEMS].pop("post")),
    _serving("an error less", lambda d: d["paths"][_ITEMS]["get"]["responses"].pop("429")),
    _serving("a field that need not be there", lambda d: d["components"]["schemas"]["Item"]["required"].remove("name")),
    _serving(
        "a field that may be null",
        lambda d: d["components"]["schemas"]["Item"]["properties"].update(
            name={"type": ["string", "null"], "minLength": 1, "maxLength": 100}
        ),
    ),
    Example("nothing there", policy=_POLICY),
)
