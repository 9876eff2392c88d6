"""A contract as a Postman collection, format 2.1.0: a folder a group of operations, and a login that hands its token to all others.

No secret goes into the file: credentials are collection variables that are empty until somebody fills them in.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from upheld.contract.example import body_example
from upheld.contract.placement import api_key_field, placement

if TYPE_CHECKING:
    from upheld.contract.model import Contract, Operation, Parameter, Step

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
_VARIABLES = {
    "$user": "{{user}}",
    "$password": "{{password}}",
    "$new_password": "{{new_password}}",
    "$refresh": "{{refresh_token}}",
    "$unique": "{{$guid}}",
}
_ENVIRONMENT = re.compile(r"\$\{(\w+)\}")
_MARKS = re.compile("|".join(re.escape(mark) for mark in sorted(_VARIABLES, key=len, reverse=True)))
_LANGUAGES = {"application/json": "json", "application/xml": "xml", "text/plain": "text"}


def collection(contract: Contract, base_url: str) -> dict[str, Any]:
    """The collection as JSON. The same contract and address give the same collection."""
    return _Collection(contract, base_url.rstrip("/")).document()


def dumps(contract: Contract, base_url: str) -> str:
    """`collection` as text."""
    return json.dumps(collection(contract, base_url), indent=2, ensure_ascii=False) + "\n"


class _Collection:
    def __init__(self, contract: Contract, base_url: str) -> None:
        self.contract = contract
        self.variables: dict[str, str] = {"base_url": base_url}
        auth = contract.auth
        steps = (auth.login, auth.register, auth.refresh, auth.logout, auth.change_password, auth.delete_account)
        self.steps: dict[Operation, Step] = {step.operation: step for step in reversed(steps) if step is not None}

    def document(self) -> dict[str, Any]:
        folders: dict[str, list[dict[str, Any]]] = {}
        for operation in self.contract.operations:
            folders.setdefault(self._group(operation), []).append(self._item(operation))
        info = self.contract.document.get("info", {})
        name = str(info.get("title") or self.contract.name)
        self._variable("token")
        return {
            "info": {
                "_postman_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"upheld:{name}")),
                "name": name,
                "description": str(info.get("description") or ""),
                "schema": FORMAT,
            },
            "item": [{"name": folder, "item": items} for folder, items in folders.items()],
            "auth": self._auth(),
            "variable": [{"key": key, "value": value, "type": "string"} for key, value in self.variables.items()],
        }

    def _variable(self, name: str) -> str:
        """The variable in Postman's notation, declared with nothing in it."""
        self.variables.setdefault(name, "")
        return f"{{{{{name}}}}}"

    def _group(self, operation: Operation) -> str:
        if operation.tags:
            return operation.tags[0]
        below = operation.path.removeprefix(self.contract.prefix).strip("/")
        return below.partition("/")[0] or "root"

    # -- credentials -----------------------------------------------------------------------------------------------------

    def _auth(self) -> dict[str, Any]:
        """What all requests carry that do not say otherwise."""
        place = placement(self.contract.auth.scheme)
        if place.notation == "bearer":
            return {"type": "bearer", "bearer": _settings(token=self._variable("token"))}
        if place.where == "cookie":
            value = f"{place.name}={place.template.replace('{token}', self._variable('token'))}"
            return {"type": "apikey", "apikey": _settings(**{"key": "Cookie", "value": value, "in": "header"})}
        value = place.template.replace("{token}", self._variable("token"))
        return {"type": "apikey", "apikey": _settings(**{"key": place.name, "value": value, "in": place.where})}

    def _own_auth(self, operation: Operation) -> dict[str, Any] | None:
        """What this operation asks for in place of it: nothing, or an API key."""
        if self.contract.is_public(operation):
            return {"type": "noauth"}
        schemes = self.contract.security_schemes
        kinds = [{str(schemes.get(name, {}).get("type")) for name in names} for names in operation.security]
        if kinds and all(kind == {"apiKey"} for kind in kinds) and self.contract.auth.login is None:
            key, value = api_key_field(schemes), self._variable("api_key")
            return {"type": "apikey", "apikey": _settings(**{"key": key, "value": value, "in": "header"})}
        return None

    def _tokens(self, operation: Operation) -> dict[str, Any] | None:
        """The script that keeps the tokens of an answer."""
        step = self.steps.get(operation)
        kept = {"token": step.access, "refresh_token": step.refresh} if step is not None else {}
        lines = [
            f'  pm.collectionVariables.set("{name}", answer{_members(pointer)});'
            for name, pointer in kept.items()
            if pointer.startswith("/")
        ]
        if not lines:
            return None
        script = ["if (pm.response.code < 300) {", "  const answer = pm.response.json();", *lines, "}"]
        return {"listen": "test", "script": {"type": "text/javascript", "exec": script}}

    # -- requests --------------------------------------------------------------------------------------------------------

    def _item(self, operation: Operation) -> dict[str, Any]:
        request: dict[str, Any] = {
            "method": operation.method,
            "header": self._headers(operation),
            "url": self._url(operation),
            "description": operation.summary,
        }
        if (auth := self._own_auth(operation)) is not None:
            request["auth"] = auth
        if (body := self._body(operation)) is not None:
            media_type, value = body
            request["header"].append({"key": "Content-Type", "value": media_type})
            request["body"] = _content(media_type, value)
        item: dict[str, Any] = {"name": operation.summary or operation.label, "request": request, "response": []}
        if (script := self._tokens(operation)) is not None:
            item["event"] = [script]
        return item

    def _headers(self, operation: Operation) -> list[dict[str, Any]]:
        step = self.steps.get(operation)
        own = [{"key": name, "value": self._filled(value)} for name, value in (step.headers if step else {}).items()]
        asked = (p for p in operation.parameters if p.location == "header" and p.name.lower() != "authorization")
        return [*own, *(self._parameter(parameter) for parameter in asked)]

    def _parameter(self, parameter: Parameter) -> dict[str, Any]:
        value = "{{$guid}}" if parameter.name.lower().endswith("idempotency-key") else _text(parameter.example)
        return {"key": parameter.name, "value": value, "disabled": not parameter.required}

    def _url(self, operation: Operation) -> dict[str, Any]:
        inside: list[str] = []

        def segment(text: str) -> str:
            if re.fullmatch(r"\{[^{}]+\}", text):
                inside.append(text[1:-1])
                return f":{text[1:-1]}"
            return re.sub(r"\{([^{}]+)\}", lambda found: self._variable(found[1]), text)

        path = [segment(part) for part in operation.path.strip("/").split("/")]
        query = [self._parameter(parameter) for parameter in operation.query_parameters]
        asked = "&".join(f"{each['key']}={each['value']}" for each in query if not each["disabled"])
        url: dict[str, Any] = {
            "raw": f"{self._variable('base_url')}/{'/'.join(path)}" + (f"?{asked}" if asked else ""),
            "host": [self._variable("base_url")],
            "path": path,
        }
        if query:
            url["query"] = query
        if inside:
            examples = {parameter.name: parameter.example for parameter in operation.path_parameters}
            url["variable"] = [{"key": name, "value": _text(examples.get(name))} for name in inside]
        return url

    def _body(self, operation: Operation) -> tuple[str, Any] | None:
        """(media type, value), as `body_example` gives it."""
        step = self.steps.get(operation)
        if step is not None and step.body is not None:
            return step.media_type, self._filled(step.body)
        return body_example(self.contract, operation, unique=lambda: "example")

    def _filled(self, template: Any) -> Any:
        """The template with our marks as variables of Postman."""
        if isinstance(template, str):
            text = _ENVIRONMENT.sub(lambda found: self._variable(found[1].lower()), template)
            for mark in _MARKS.findall(text):
                if not (name := _VARIABLES[mark].strip("{}")).startswith("$"):
                    self._variable(name)
            return _MARKS.sub(lambda found: _VARIABLES[found[0]], text)
        if isinstance(template, Mapping):
            return {name: self._filled(value) for name, value in template.items()}
        return [self._filled(value) for value in template] if isinstance(template, list | tuple) else template


def _content(media_type: str, value: Any) -> dict[str, Any]:
    if media_type == "application/x-www-form-urlencoded" and isinstance(value, Mapping):
        fields = [{"key": name, "value": _text(member), "type": "text"} for name, member in value.items()]
        return {"mode": "urlencoded", "urlencoded": fields}
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    language = _LANGUAGES.get(media_type, "json" if media_type.endswith("+json") else "text")
    return {"mode": "raw", "raw": text, "options": {"raw": {"language": language}}}


def _settings(**values: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value, "type": "string"} for key, value in values.items()]


def _members(pointer: str) -> str:
    """``/data/access_token`` → ``["data"]["access_token"]``."""
    parts = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    return "".join(f"[{json.dumps(int(part) if part.isdigit() else part)}]" for part in parts)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
