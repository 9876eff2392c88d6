"""What is wrong with an upheld.yaml, in the words of its author: from Pydantic's errors to sentences with places."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, get_args

from upheld.contract.units import found
from upheld.errors import Place

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    from upheld.contract.source import Located

_KINDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping (lines of 'name: value')",
    "mapping": "a mapping (lines of 'name: value')",
    "model": "a mapping (lines of 'key: value')",
    "date": "a date such as 2027-06-30",
}
_BOUNDS = {
    "greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt",
}  # fmt: skip
_COMPARED = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def from_validation(error: ValidationError, model: type[BaseModel], written: Located) -> list[tuple[Place, str]]:
    """Every problem of the file, in the order of its lines."""
    problems = []
    for item in error.errors(include_url=False):
        path = tuple(step for step in item["loc"] if step != "[key]")
        problems.append((written.place(path), _sentence(item, path, model)))
    return sorted(set(problems), key=lambda problem: (problem[0].line, problem[1]))


def _sentence(item: Any, path: Sequence[int | str], model: type[BaseModel]) -> str:
    kind, context, name = item["type"], item.get("ctx", {}), dotted(path)
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), dotted(path[:-1]), _keys(model, path[:-1]))
    if kind == "missing":
        owner = dotted(path[:-1])
        return f"{path[-1]!r} is missing" + (f" from {owner}" if owner else "")
    if kind == "value_error":
        return f"{name} {context['error']}"
    if kind == "literal_error":
        return f"{name} must be {_choices(context['expected'])}, found {found(item['input'])}"
    if kind == "string_pattern_mismatch":
        return f"{name} must look like {_example(model, path)}, found {found(item['input'])}"
    if kind == "string_too_short":
        return f"{name} must not be empty"
    if kind in _BOUNDS:
        bound = _BOUNDS[kind]
        return f"{name} must be {_COMPARED[bound]} {context[bound]}, found {found(item['input'])}"
    for start, expected in _KINDS.items():
        if kind.startswith(start):
            if start == "string" and isinstance(item["input"], (int, float)):
                return f"{name} must be text, found {found(item['input'])}; put it in quotes"
            return f"{name or 'the file'} must be {expected}, found {found(item['input'])}"
    return f"{name}: {item['msg']}"


def unknown_key(key: str, owner: str, known: Iterable[str]) -> str:
    """``unknown key 'rate_limts'; did you mean 'rate_limits'?``"""
    where = f" in {owner}" if owner else ""
    near = difflib.get_close_matches(key, sorted(known), 1, cutoff=0.6)
    if near:
        return f"unknown key {key!r}{where}; did you mean {near[0]!r}?"
    return f"unknown key {key!r}{where}; it knows {', '.join(sorted(known))}"


def dotted(path: Sequence[int | str]) -> str:
    """``("rate_limits", 0, "op")`` → ``rate_limits[0].op``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("_", "").replace("-", "").isalnum():
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text


def _choices(expected: str) -> str:
    return expected.replace("'", "")


def _example(model: type[BaseModel], path: Sequence[int | str]) -> str:
    owner = _model_at(model, path[:-1])
    field = owner.model_fields.get(str(path[-1])) if owner else None
    if field is not None and field.examples:
        return " or ".join(str(example) for example in field.examples)
    pattern = next((m.pattern for m in (field.metadata if field else []) if getattr(m, "pattern", None)), "")
    return {r"^https?://\S+$": "http://127.0.0.1:8000", r"^/": "/health"}.get(str(pattern), str(pattern))


def _keys(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    owner = _model_at(model, path)
    return list(owner.model_fields) if owner else []


def _model_at(model: type[BaseModel], path: Sequence[int | str]) -> type[BaseModel] | None:
    """The model of the mapping at this path."""
    here: Any = model
    for step in path:
        if _is_model(here) and step in here.model_fields:
            here = here.model_fields[step].annotation
        else:
            here = (
                get_args(here)[-1]
                if isinstance(step, str) and len(get_args(here)) > 1
                else (get_args(here) or [None])[0]
            )
        if not _is_model(here):
            # Optional[X] and Annotated[X, ...] are X here; containers keep their arguments for the next step.
            inner = [argument for argument in get_args(here) if _is_model(argument)]
            if inner and type(None) in get_args(here):
                here = inner[0]
    return here if _is_model(here) else None


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and hasattr(thing, "model_fields")
