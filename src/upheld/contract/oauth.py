"""The OAuth 2 authorization server that a service is, read from the document's security schemes or stated in upheld.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from upheld.contract.model import Contract, Operation

BEYOND_PASSWORD = frozenset({"authorizationCode", "clientCredentials", "implicit"})


@dataclass(frozen=True)
class OAuthServer:
    """Its endpoints, where the service itself has them, and the flows that the document declares."""

    token: Operation | None = None
    authorize: Operation | None = None
    flows: frozenset[str] = frozenset()

    @property
    def speaks_oauth(self) -> bool:
        """Its token endpoint answers as RFC 6749 says.

        A password flow alone proves nothing: FastAPI declares one for a login of any kind.
        """
        return self.token is not None and bool(self.flows & BEYOND_PASSWORD)


def oauth_server(contract: Contract) -> OAuthServer:
    """What the document's ``oauth2`` schemes name; ``auth.oauth`` wins."""
    flows = {name: flow for scheme in contract.security_schemes.values() for name, flow in _flows(scheme)}
    stated = contract.policy.auth.oauth
    token = _stated(contract, stated.token) or _named(contract, flows, "tokenUrl", "POST")
    authorize = _stated(contract, stated.authorize) or _named(contract, flows, "authorizationUrl", "GET")
    declared = frozenset(flows) | (frozenset({"clientCredentials"}) if stated.token else frozenset())
    return OAuthServer(token, authorize, declared)


def _flows(scheme: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    flows = scheme.get("flows") if scheme.get("type") == "oauth2" else None
    for name, flow in flows.items() if isinstance(flows, Mapping) else ():
        if isinstance(flow, Mapping):
            yield str(name), flow


def _stated(contract: Contract, pattern: str | None) -> Operation | None:
    return next((op for op in contract.operations if pattern and contract.matches(pattern, op)), None)


def _named(contract: Contract, flows: Mapping[str, Mapping[str, Any]], member: str, method: str) -> Operation | None:
    """The operation that the URL of a flow names, of those beyond the password flow first."""
    for name in sorted(flows, key=lambda name: name not in BEYOND_PASSWORD):
        url = flows[name].get(member)
        path = "/" + urlsplit(url).path.lstrip("./") if isinstance(url, str) and url else ""
        for operation in contract.operations if len(path) > 1 else ():
            if operation.method == method and operation.path in (path, contract.prefix + path):
                return operation
    return None
