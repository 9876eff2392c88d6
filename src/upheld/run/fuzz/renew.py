"""A request that is sent once more gets fresh values where they must be unique: a second account of one name is a 409."""

from __future__ import annotations

import json
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from upheld.exchange import Headers, NotJson
from upheld.run.fuzz.job import idempotency_key, unique_fields
from upheld.run.fuzz.steering import at, steps
from upheld.run.fuzz.uniques import fits, fresh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from upheld.contract import Contract
    from upheld.exchange import Request


class Renewer:
    """``token`` keeps its values apart from those of others; letters and digits of one case."""

    def __init__(self, contract: Contract, token: str) -> None:
        self._contract = contract
        self._token = token
        self._numbers = count(1)
        self._unique: dict[str, list[dict[str, Any]]] = {}

    def renewed(self, label: str | None, request: Request) -> Request:
        """The request with another Idempotency-Key, and with other values in the unique fields of its JSON or form."""
        operation = self._contract.operation(label or "")
        if operation is None:
            return request
        key = idempotency_key(self._contract, operation)
        if key is not None:
            name = key["path"].lower()
            pairs = ((n, self._other(key, v) if n.lower() == name else v) for n, v in request.headers.pairs)
            request = request.with_(headers=Headers(pairs))
        form = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if form == "application/x-www-form-urlencoded" and request.body is not None:
            body: Any = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        else:
            form, body = "", parsed(request.body)
        new = body
        if operation.label not in self._unique:
            # Once: a failure that is made smaller sends one operation dozens of times.
            self._unique[operation.label] = unique_fields(self._contract, operation)
        for field in self._unique[operation.label]:
            new = at(new, steps(field["path"]), partial(self._other, field))
        if new == body:
            return request
        return request.with_(body=urlencode(new).encode() if form else encoded(new))

    def _other(self, field: Mapping[str, Any], value: Any) -> Any:
        """Of the same length: a case may be about it. A value that its schema refuses is left alone for the same reason."""
        if not fits(value, field):
            return value
        return fresh(value, field, self._token, next(self._numbers), keep_length=True)


def encoded(value: Any) -> bytes:
    """The value as a JSON body."""
    # Lone surrogates are what some cases are about; escapes keep them, UTF-8 cannot.
    return json.dumps(value).encode()


def parsed(body: bytes | None) -> Any:
    """The body as JSON; None when it is none. Looser than the house's parser: NaN is what some cases are about."""
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError, NotJson):
        return None
