"""The OpenAPI document: at the URL that was given, where services usually put it, or in a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from upheld.contract.openapi import version
from upheld.contract.references import FILES, bundle, walk
from upheld.contract.source import Located, read
from upheld.errors import ContractError, Place, SetupError
from upheld.exchange import Response
from upheld.report.mask import Masker
from upheld.run.init.visitor import Visitor, origin_of
from upheld.run.init.written import as_yaml
from upheld.run.prepare import WITHIN

PLACES = (
    "/openapi.json", "/openapi.yaml", "/swagger.json", "/v3/api-docs", "/api-docs", "/api/openapi.json",
    "/api/v1/openapi.json", "/api/schema/", "/swagger/v1/swagger.json", "/openapi/v1.json", "/api-json", "/docs-json",
    "/documentation/json", "/q/openapi", "/openapi", "/api/swagger.json", "/server/specs/oas", "/api/v1/_openapi",
)  # fmt: skip
"""FastAPI, Litestar, springdoc, swagger-jsdoc, drf-spectacular, ASP.NET, NestJS, Fastify, Quarkus, Directus, Flask-AppBuilder."""
ACCEPT = {"Accept": "application/openapi+json, application/json, application/yaml;q=0.9, */*;q=0.5"}
_MENTIONED = re.compile(r"""(?:spec-?url|\burl)["']?\s*[:=]\s*["']([^"'\s]{1,300})["']""", re.IGNORECASE)
_DESCRIBED = re.compile(r"<([^>]+)>[^,]*;\s*rel=\"?[^\";,]*\bservice-desc\b", re.IGNORECASE)


@dataclass(frozen=True)
class Document:
    """A document that was found."""

    text: str
    """As it is written down: YAML, as its author wrote it where that was YAML."""
    where: str
    """The URL or file that it came from."""
    served: str | None = None
    """Its path on the service; None for a file, and where it asks for credentials."""
    in_place: bool = False
    """It lies in the folder of the contract already."""
    mended: tuple[str, ...] = ()
    """Schemas that it refers to and does not have; `text` has them, and they take anything."""
    address: str | None = None
    """The service's address: of the URL, else the document's first server where that is absolute."""

    def located(self) -> Located:
        """Its values, read anew: whoever assembles a contract changes them."""
        return read(self.text, self.where)

    @property
    def title(self) -> str:
        info = self.located().value.get("info")
        return str(info.get("title", "")) if isinstance(info, Mapping) else ""


def from_file(path: Path, folder: Path | None = None) -> Document:
    """The document in a file; what it refers to in other files below its folder is drawn in. Raises `ContractError`.

    ``folder`` is where the contract will be: a document that lies there already stays as it is.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        hint = "; a URL begins with http:// or https://" if re.match(r"[\w.-]+:\d+", str(path)) else ""
        raise ContractError((Place(str(path)), f"cannot be read: {error.strerror}{hint}")) from error
    located = read(data, str(path))
    version(located)
    address = _server(located.value)
    if folder is not None and path.parent.resolve() == folder.resolve():
        return Document(data.decode("utf-8-sig"), str(path), in_place=True, address=address)
    mended = _mend(located)
    bundle(located, path.parent)
    changed = bool(mended) or FILES in located.value
    return Document(as_yaml(None if changed else data, located.value), str(path), mended=mended, address=address)


def from_service(visitor: Visitor, url: str, fields: Mapping[str, str]) -> Document:
    """The document at ``url``, that a page there names, or at one of `PLACES`.

    ``fields`` are header fields of these requests. Raises `ContractError` for one that can't be used, `SetupError` where none
    is found, with what was tried.
    """
    asked: list[str] = []
    closed: list[str] = []
    unusable: ContractError | None = None
    for candidate in _candidates(visitor, url, fields, asked):
        answer = candidate[1]
        if answer is None or answer.status != 200:
            closed += [candidate[0]] if answer is not None and answer.status in (401, 403) else []
            continue
        value = _document(answer, candidate[0])
        if value is None:
            continue
        try:
            version(value)
        except ContractError as error:
            if candidate[0] == url:
                raise
            unusable = unusable or error
            continue
        where = Masker()(candidate[0])
        # Nothing is served to a check that would need a credential for it.
        served = None if fields or where != candidate[0] else where.removeprefix(visitor.origin)
        mended = _mend(value)
        text = as_yaml(None if mended else answer.body, value.value)
        return Document(text, where, served, mended=mended, address=visitor.origin)
    if unusable is not None:
        raise unusable
    paths = ", ".join(dict.fromkeys(place.removeprefix(visitor.origin) or "/" for place in asked))
    if closed:
        raise SetupError(
            f"{closed[0]} asks for credentials: give them for the document alone, "
            "`--header 'Authorization: Bearer ${TOKEN}'` (the environment has TOKEN), or fetch it yourself and name the file"
        )
    raise SetupError(
        f"{visitor.origin} has no OpenAPI document at {paths}; name its URL, or its file: "
        f"upheld init openapi.yaml --target {visitor.origin}"
    )


def _candidates(
    visitor: Visitor, url: str, fields: Mapping[str, str], asked: list[str]
) -> Iterator[tuple[str, Response | None]]:
    def ask(place: str) -> tuple[str, Response | None]:
        asked.append(place)
        return place, visitor.get(place, {**ACCEPT, **fields}, within=WITHIN)

    given = ask(url)
    yield given
    base = urlsplit(url).path.rstrip("/")
    named = _named(given[1], url) if given[1] is not None else ()
    # A base path first: a gateway has other documents at its root.
    roots = [visitor.origin + path for path in dict.fromkeys((base, ""))]
    usual = [root + place for root in roots for place in PLACES]
    for place in dict.fromkeys((*named, *usual)):
        if place not in asked and origin_of(place) == visitor.origin:
            yield ask(place)


def _named(answer: Response, url: str) -> Iterator[str]:
    """What the answer says of a document: a link (RFC 8631 service-desc), or the page of Swagger UI, ReDoc and their like."""
    for target in _DESCRIBED.findall(answer.headers.get("link", "")):
        yield urljoin(url, target)
    if answer.media_type == "text/html":
        for target in _MENTIONED.findall(answer.text)[:5]:
            yield urljoin(url, target)


def _document(answer: Response, where: str) -> Located | None:
    if answer.media_type == "text/html":
        return None
    try:
        located = read(answer.body, where)
    except ContractError:
        return None
    is_one = isinstance(located.value, dict) and ("openapi" in located.value or "swagger" in located.value)
    return located if is_one else None


def _mend(located: Located) -> tuple[str, ...]:
    """Puts in the schemas that are referred to and not there, which generators of documents leave out."""
    components = located.value.get("components")
    schemas = components.get("schemas") if isinstance(components, dict) else None
    if not isinstance(schemas, dict):
        return ()
    named = (re.fullmatch(r"#/components/schemas/([\w.-]+)", str(node.get("$ref"))) for node, _ in walk(located))
    missing = dict.fromkeys(found[1] for found in named if found and found[1] not in schemas)
    for name in missing:
        schemas[name] = {"description": "The document refers to this schema and does not have it."}
    return tuple(missing)


def _server(document: Mapping[str, Any]) -> str | None:
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    url = first.get("url") if isinstance(first, Mapping) else None
    absolute = isinstance(url, str) and re.match(r"https?://[^/{}\s]+", url)
    return absolute[0] if absolute else None
