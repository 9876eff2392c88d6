"""Small documents and contracts, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from upheld.contract import Contract
from upheld.contract.load import from_parts, load
from upheld.errors import ContractError

Document = dict[str, Any]
Write = Callable[..., Path]


def operation(**parts: Any) -> dict[str, Any]:
    """An Operation Object that answers 200 with nothing, unless told otherwise."""
    return {"responses": {"200": {"description": "ok"}}, **parts}


def body(schema: Any, media_type: str = "application/json", **rest: Any) -> dict[str, Any]:
    return {"required": True, "content": {media_type: {"schema": schema, **rest}}}


def answer(schema: Any, status: str = "200", media_type: str = "application/json") -> dict[str, Any]:
    return {status: {"description": "", "content": {media_type: {"schema": schema}}}}


def fields(*names: str, required: tuple[str, ...] | None = None, **schemas: Any) -> dict[str, Any]:
    """An object schema: text properties by name, others by keyword; all are required unless told otherwise."""
    properties = {**{name: {"type": "string"} for name in names}, **schemas}
    return {
        "type": "object",
        "properties": properties,
        "required": list(required if required is not None else properties),
    }


def document(paths: dict[str, Any], version: str = "3.1.0", **rest: Any) -> Document:
    return {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": paths, **rest}


def contract(paths: dict[str, Any], policy: dict[str, Any] | None = None, **rest: Any) -> Contract:
    return from_parts(policy or {}, document(paths, **rest))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write(upheld="...", openapi={...})`` → the folder."""

    def write(*, upheld: str = "upheld: 1\n", openapi: str | Document | None = None, **files: str) -> Path:
        (tmp_path / "upheld.yaml").write_text(upheld)
        if openapi is not None:
            text = openapi if isinstance(openapi, str) else json.dumps(openapi, indent=1)
            (tmp_path / "openapi.yaml").write_text(text)
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_yaml", ".yaml").replace("_json", ".json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def problems(folder: Path, **options: Any) -> list[str]:
    """What `load` says is wrong, with files named as from the folder: ``upheld.yaml:3: ...``."""
    with pytest.raises(ContractError) as caught:
        load(folder, **options)
    return [f"{place}: {sentence}".replace(f"{folder}/", "") for place, sentence in caught.value.problems]
