"""Values as YAML that this house, whose plain scalars are those of YAML 1.2, reads back as they were."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from upheld.contract.source import read
from upheld.contract.yaml_reader import plain
from upheld.errors import ContractError
from upheld.report.clean import visible

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text else '"' if plain(text) != text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(data: bytes | None, value: Any) -> str:
    """A document as YAML. ``data`` is its own text: kept where it is YAML already, None where ``value`` is no longer that."""
    if data is not None:
        text = data.decode("utf-8-sig")
        if not text.lstrip().startswith(("{", "[")):
            return text if text.endswith("\n") else text + "\n"
    made: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    try:
        if read(made, "openapi.yaml").value == value:
            return made
    except ContractError:
        pass
    # JSON is YAML, and leaves nothing to how a scalar is resolved.
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


_BARE = re.compile(r"[A-Za-z0-9$/][\w$./@%-]*(?: [\w$./@%-]+)*", re.ASCII)


def flow(value: Any) -> str:
    """A value on one line: ``{op: POST /auth/login, body: {email: $user}}``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(str(name))}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and _BARE.fullmatch(value) and plain(value) == value:
        return value
    # The escapes of JSON and those of `visible` are all YAML's too.
    return visible(json.dumps(value, ensure_ascii=False))
