"""A load is for the service that the contract names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from upheld import sample
from upheld.check import Example
from upheld.errors import SetupError
from upheld.exchange import Response
from upheld.load.target import recognise

URL = "http://127.0.0.1:1/shop"
TARGET = {"served_spec": "/openapi.json", "health": "/health"}


def ask(answers: Mapping[str, Response]) -> list[str]:
    """The paths that were asked for."""
    asked: list[str] = []

    def answer(method: str, path: str, headers: Mapping[str, str]) -> Response:
        asked.append(path)
        return answers.get(path, Response.of(200, {}))

    recognise(sample.contract(Example("", policy={"target": TARGET})), URL, answer)
    return asked


def served(*paths: str) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {} for path in paths}}


def test_its_own_document_and_health_are_enough() -> None:
    document = Response.of(200, served("/api/v1/items/{id}", "/new"))
    assert ask({"/shop/openapi.json": document}) == ["/shop/openapi.json", "/shop/health"]


def test_another_services_document_is_a_set_up_error() -> None:
    with pytest.raises(SetupError, match="describes another service: none of its 2 paths"):
        ask({"/shop/openapi.json": Response.of(200, served("/pets", "/pets/{id}"))})


@pytest.mark.parametrize("status", [404, 302])
def test_a_health_path_that_is_not_there_is_a_set_up_error(status: int) -> None:
    with pytest.raises(SetupError, match=f"/health answers {status}"):
        ask({"/shop/health": Response.of(status, {})})


@pytest.mark.parametrize(
    "answer",
    [
        Response.of(401, {}), Response.of(503, {}), Response(0), Response(200, body=b"<html>"), Response.of(200, []),
        Response.of(200, served()),
    ],
)  # fmt: skip
def test_what_proves_nothing_stops_nothing(answer: Response) -> None:
    assert ask({"/shop/openapi.json": answer, "/shop/health": Response.of(503, {})})
