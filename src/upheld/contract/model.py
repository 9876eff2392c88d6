"""The contract as checks see it: operations, resources, rules; OpenAPI and upheld.yaml brought together. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from upheld.contract.dialect import Direction, Schemas, Validator
    from upheld.contract.oauth import OAuthServer
    from upheld.contract.policy import Policy, Waiver
    from upheld.contract.source import Located
    from upheld.errors import Place

JsonSchema = Mapping[str, Any] | bool
LatencyClass = Literal["crud", "complex", "auth"]


@dataclass(frozen=True)
class Parameter:
    """One path, query, header or cookie parameter, its schema without ``$ref`` at the top."""

    name: str
    location: Literal["path", "query", "header", "cookie"]
    required: bool
    schema: JsonSchema
    """JSON Schema 2020-12, as all schemas here; OpenAPI 3.0's own dialect is translated."""
    example: Any = None


@dataclass(frozen=True)
class Body:
    """A request body: its schemas by media type (lower case, without parameters)."""

    required: bool
    content: Mapping[str, JsonSchema]
    examples: Mapping[str, Any] = field(default_factory=dict)
    """The document's first example for a media type, where it has one."""

    @property
    def json_schema(self) -> JsonSchema | None:
        """The schema of the first JSON media type, or None."""
        for media_type, schema in self.content.items():
            if media_type == "application/json" or media_type.endswith("+json"):
                return schema
        return None


@dataclass(frozen=True)
class ResponseSpec:
    """One documented answer. ``content`` maps media types to schemas; empty when no body is documented."""

    content: Mapping[str, JsonSchema]
    headers: Mapping[str, tuple[bool, JsonSchema]]
    """Lower-case field name → (required, schema)."""


@dataclass(frozen=True)
class Operation:
    """One method of one path. ``path`` is the full template on the target: server or prefix path and template."""

    method: str
    path: str
    operation_id: str
    parameters: tuple[Parameter, ...]
    body: Body | None
    responses: Mapping[str, ResponseSpec]
    """By status code, ``4XX`` range or ``default``."""
    security: tuple[frozenset[str], ...]
    """Alternatives, each a set of scheme names; empty: no credentials needed. An empty set among them: optional."""
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    summary: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    pointer: str = ""
    """JSON Pointer of the operation in the document."""
    line: int = 0
    """1-based line in openapi.yaml, 0 when unknown."""

    @property
    def label(self) -> str:
        """``"GET /api/v1/items/{id}"``: how promises, reports and rules name it."""
        return f"{self.method} {self.path}"

    @property
    def secured(self) -> bool:
        """Credentials are required: there is an alternative and none of them is empty."""
        return bool(self.security) and all(self.security)

    @property
    def path_parameters(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.location == "path")

    @property
    def query_parameters(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.location == "query")

    @property
    def safe(self) -> bool:
        """RFC 9110 §9.2.1."""
        return self.method in ("GET", "HEAD", "OPTIONS", "TRACE")

    @property
    def success(self) -> int | None:
        """The lowest documented 2xx status."""
        codes = [int(code) for code in self.responses if code.isdigit() and code.startswith("2")]
        return min(codes) if codes else None

    @property
    def redirects(self) -> bool:
        """It documents no 2xx but a redirect: where it goes is its whole answer."""
        return self.success is None and any(code.startswith("3") for code in self.responses)

    def response_for(self, status: int) -> ResponseSpec | None:
        """The documented answer: the exact code, else its ``nXX`` range, else ``default`` (OAS 3.1 Responses Object)."""
        code = str(status)
        return (
            self.responses.get(code)
            or self.responses.get(f"{code[0]}XX")
            or self.responses.get(f"{code[0]}xx")
            or self.responses.get("default")
        )

    def __hash__(self) -> int:
        return hash(self.label)


@dataclass(frozen=True)
class Paging:
    """How a list is read page by page."""

    kind: Literal["cursor", "offset", "page", "size"]
    """``size``: only the size of a page can be chosen."""
    size: str | None = None
    """Query parameter with the size of a page."""
    position: str | None = None
    """Query parameter that says where the page begins."""
    maximum: int | None = None
    """Largest size that the document allows."""
    default: int | None = None
    next_pointer: str | None = None
    """JSON Pointer of the next cursor in a page."""
    total_pointer: str | None = None


@dataclass(frozen=True)
class Resource:
    """A family of operations on one kind of thing: its collection ``/items`` and its members ``/items/{id}``."""

    name: str
    collection: str
    """Path template of the collection."""
    member: str
    """Path template of a member."""
    id_parameter: str
    """Name of the path parameter that identifies a member."""
    id_pointer: str
    """JSON Pointer of the id in a representation, ``/id``."""
    create: Operation | None = None
    list: Operation | None = None
    read: Operation | None = None
    replace: Operation | None = None
    update: Operation | None = None
    delete: Operation | None = None
    items_pointer: str | None = None
    """JSON Pointer of the array in a page of the collection; ``""`` when the page itself is the array."""
    owned: bool = False
    """Members belong to the identity that made them: secured to read, create and not restricted to some roles."""
    paging: Paging | None = None
    """How the collection is paged."""


@dataclass(frozen=True)
class Step:
    """One operation of the session's life (register, login, refresh, logout) and how to call it."""

    operation: Operation
    body: Any
    """JSON template with ``$user``, ``$password``, ``$new_password``, ``$refresh`` and ``$unique``, which may stand inside a
    string too (``$unique@example.com``). None when the operation takes no body."""
    access: str = ""
    """JSON Pointer of the access token in the answer; empty when it gives none. An identity's own login may say ``header:NAME``
    or ``cookie`` instead."""
    refresh: str = ""
    media_type: str = "application/json"
    rotates: bool = False
    grace: float = 0.0
    """Seconds that a used refresh token may be used again."""
    revokes: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header fields of the request, templates as the body is. In an identity's own login ``${NAME}`` is an environment variable."""
    scheme: str = ""
    """How the token that this step gives is sent; empty: as `Auth.scheme` says."""


@dataclass(frozen=True)
class ApiKeys:
    """API keys that callers make and revoke themselves."""

    create: Operation
    key: str
    """JSON Pointer of the key in the answer of ``create``."""
    header: str
    """The header field that carries a key."""
    id_pointer: str = ""
    """JSON Pointer of the key's id in that answer; empty when it shows none."""
    revoke: Operation | None = None


@dataclass(frozen=True)
class Auth:
    """How identities come to be and to be let in. A part that is None is neither stated nor inferred."""

    register: Step | None = None
    login: Step | None = None
    refresh: Step | None = None
    logout: Step | None = None
    change_password: Step | None = None
    delete_account: Step | None = None
    api_keys: ApiKeys | None = None
    scheme: str = "bearer"
    """How an access token is sent, in the notation of `upheld.contract.placement`."""
    user_kind: Literal["email", "name"] = "email"
    """What ``$user`` has to look like: an e-mail address, or a name without ``@``."""


@dataclass(frozen=True)
class RateRule:
    """One line of ``rate_limits``: ``quota`` requests in ``window`` seconds for each ``key``."""

    pattern: str
    quota: int
    window: float
    key: str
    """``ip``, ``user``, ``user-or-ip``, ``ip+route``, ``api_key``."""
    exempt: tuple[str, ...] = ()
    algorithm: str = "any"
    also_by: str = ""
    """``account``: whoever a login names has this quota too, from all addresses together."""

    @property
    def label(self) -> str:
        return f"{self.pattern} {self.quota}/{self.window:g}s"


@dataclass(frozen=True)
class Inference:
    """Something that the document tells although upheld.yaml does not: what, its value, and from what it was read."""

    key: str
    value: str
    source: str


@dataclass(frozen=True, eq=False)
class Contract:
    """One service's promises."""

    name: str
    policy: Policy
    document: Mapping[str, Any] = field(repr=False)
    """The OpenAPI document as parsed."""
    operations: tuple[Operation, ...] = field(repr=False)
    resources: tuple[Resource, ...] = ()
    auth: Auth = field(default_factory=Auth)
    prefix: str = ""
    rate_rules: tuple[RateRule, ...] = ()
    inferences: tuple[Inference, ...] = ()
    folder: Path | None = None
    policy_file: str = "upheld.yaml"
    openapi_file: str = "openapi.yaml"
    security_schemes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unique_fields: tuple[str, ...] = ()
    """Names of fields that must differ from one thing to the next: ``unique:`` and what a documented 409 tells."""
    notes: tuple[tuple[Place, str], ...] = ()
    """What is odd in the document or in a file of identities, though it can be used."""
    logins: Mapping[str, Step] = field(default_factory=dict, repr=False)
    """Identity → its own login, where that is not `Auth.login`."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Identity → why it can't be signed in, whatever the service says."""
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets that a file of identities holds, by the variables that the identities name."""
    known: tuple[tuple[Waiver, Place], ...] = field(default=(), repr=False)
    """Waivers of a baseline, each with its line."""
    written: Located | None = field(default=None, repr=False)
    """upheld.yaml as its author wrote it, with lines; None for a contract made from parts."""

    @cached_property
    def schemas(self) -> Schemas:
        """The document's schemas: references, validators. Schemas of operations are already in 2020-12."""
        from upheld.contract.dialect import Schemas

        return Schemas(self.document)

    def validator(self, schema: JsonSchema, direction: Direction = "response") -> Validator:
        """The compiled schema of an operation, made once for each direction (readOnly, writeOnly)."""
        return self.schemas.validator(schema, direction)

    def place(self, *path: str | int) -> Place:
        """Where upheld.yaml says it: ``place("rate_limits", 0, "quota")``; the file alone when it does not."""
        from upheld.errors import Place

        return self.written.place(path) if self.written else Place(self.policy_file)

    @property
    def waivers(self) -> tuple[tuple[Waiver, Place], ...]:
        """Those of upheld.yaml and of the baseline, each with its line."""
        own = ((waiver, self.place("waive", at)) for at, waiver in enumerate(self.policy.waive))
        return (*own, *self.known)

    def unset(self, variable: str) -> str:
        """That an environment variable which upheld.yaml names is not set, and where it is named."""
        named = (path for path, name in self.policy.environment_names() if name == variable)
        where = next((f"{self.place(*path)}, {'.'.join(path)}" for path in named), self.policy_file)
        return f"the environment variable {variable} is not set ({where})"

    def paging(self, operation: Operation) -> Paging | None:
        """How a list operation is paged; None when it takes no paging parameters."""
        from upheld.contract.families import find_paging

        return find_paging(operation, self.schemas) if operation.method == "GET" else None

    @cached_property
    def by_label(self) -> Mapping[str, Operation]:
        return {operation.label: operation for operation in self.operations}

    @cached_property
    def oauth(self) -> OAuthServer:
        """The OAuth 2 endpoints that the service has itself."""
        from upheld.contract.oauth import oauth_server

        return oauth_server(self)

    def operation(self, label: str | None) -> Operation | None:
        """The operation with this label, or None."""
        return self.by_label.get(label or "")

    # The rest asks upheld.contract.patterns, so that one glob means one thing everywhere.

    def matches(self, pattern: str, operation: Operation) -> bool:
        """``"POST /auth/*"``, ``"* /admin/**"``, ``"**"``: the pattern fits the full path or the path after the prefix."""
        from upheld.contract.patterns import matches

        return matches(pattern, operation.method, operation.path, self.prefix)

    def is_public(self, operation: Operation) -> bool:
        """It may be called without credentials: the document asks for none, or ``public:`` lists it."""
        return not operation.secured or any(self.matches(p, operation) for p in self.policy.public)

    def has_own_errors(self, operation: Operation) -> bool:
        """Its errors are no problem documents: ``errors.exempt`` lists it, or it is an OAuth token endpoint (RFC 6749 §5.2)."""
        if operation == self.oauth.token and self.oauth.speaks_oauth:
            return True
        return any(self.matches(pattern, operation) for pattern in self.policy.errors.exempt)

    def rate_rule(self, operation: Operation) -> RateRule | None:
        """The first rule that matches; None when none does or it exempts the operation."""
        for rule in self.rate_rules:
            if self.matches(rule.pattern, operation):
                exempt = any(self.matches(p, operation) for p in rule.exempt)
                return None if exempt else rule
        return None

    def roles(self, operation: Operation) -> tuple[str, ...] | None:
        """The roles that may call it by the first ``roles:`` line that matches, else by the scopes that the document asks
        for and the identities state; None when neither restricts it."""
        from upheld.contract.scopes import roles_by_scope

        for rule in self.policy.roles:
            if self.matches(rule.op, operation):
                return rule.allow
        return roles_by_scope(self, operation)

    def latency_class(self, operation: Operation) -> LatencyClass:
        """``complex`` where listed, ``auth`` for the session's operations that hash, else ``crud``."""
        if any(self.matches(p, operation) for p in self.policy.latency.complex_ops):
            return "complex"
        hashing = (self.auth.register, self.auth.login)
        return "auth" if any(step and step.operation == operation for step in hashing) else "crud"

    def latency_target(self, operation: Operation) -> float:
        """Seconds within which 95 % of its requests are answered: its own line of ``latency.ops``, else those of its class."""
        own = (seconds for pattern, seconds in self.policy.latency.ops.items() if self.matches(pattern, operation))
        return next(own, self.policy.latency.of(self.latency_class(operation)))

    def resource_of(self, operation: Operation) -> Resource | None:
        """The family that the operation belongs to."""
        for resource in self.resources:
            if operation.path in (resource.collection, resource.member):
                return resource
        return None

    @cached_property
    def dangerous(self) -> Mapping[str, str]:
        """Label → why fuzzing never sends it: listed under ``never:``, or it ends sessions, accounts, data or the service."""
        from upheld.contract.danger import dangerous

        return dangerous(self)
