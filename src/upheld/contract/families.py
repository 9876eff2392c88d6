"""Resources: families of create, list, read, replace, update and delete, with their ids, pages and owners."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from upheld.contract import shapes
from upheld.contract.model import Inference, Operation, Paging, Resource
from upheld.contract.references import escape
from upheld.contract.words import key, singular, words

if TYPE_CHECKING:
    from upheld.contract.dialect import Schemas
    from upheld.contract.model import JsonSchema

_MEMBER = re.compile(r"^(?P<collection>.*)/\{(?P<id>[^{}/]+)\}/?$")
_WRAPPERS = ("data", "item", "result", "attributes", "payload")
_ITEMS = ("items", "data", "results", "content", "records", "entries", "rows", "elements", "list", "values")
_SIZE = ("limit", "size", "per_page", "page_size", "max_results", "count", "first", "take", "top", "pagesize")
_CURSOR = (
    "cursor",
    "after",
    "page_token",
    "next_token",
    "starting_after",
    "continuation_token",
    "next_cursor",
    "before",
)
_OFFSET = ("offset", "skip", "start", "from")
_PAGE = ("page", "page_number", "page_no", "pagenumber")
_NEXT = (
    "next_cursor",
    "next",
    "next_page_token",
    "next_token",
    "cursor",
    "next_page",
    "continuation_token",
    "end_cursor",
)
_TOTAL = ("total", "total_count", "count", "total_items", "total_elements", "total_results")


def find_resources(
    operations: Iterable[Operation],
    schemas: Schemas,
    owned: Callable[[Operation], bool],
    sessions: Container[Operation] = (),
) -> tuple[tuple[Resource, ...], list[Inference]]:
    """Every family, in the order of the document. ``owned`` tells whether an operation asks whose the thing is.

    ``sessions`` make no members: a login posts to ``/auth`` beside ``/auth/{provider}`` and creates no provider.
    """
    by_path: dict[str, dict[str, Operation]] = {}
    order: list[str] = []
    for operation in operations:
        path = operation.path.rstrip("/")
        order.append(path)
        if operation.method != "POST" or operation not in sessions:
            by_path.setdefault(path, {})[operation.method] = operation
    resources: list[Resource] = []
    inferences: list[Inference] = []
    for path in dict.fromkeys(order):
        match = _MEMBER.match(path)
        if match is None or path not in by_path:
            continue
        members, collection = by_path[path], by_path.get(match["collection"], {})
        resource = _family(match["collection"], match["id"], members, collection, schemas, owned)
        if resource is None:
            continue
        resources.append(resource)
        parts = [name for name in ("create", "list", "read", "replace", "update", "delete") if getattr(resource, name)]
        source = f"{resource.collection} and {resource.member}"
        value = f"{', '.join(parts)}; id {resource.id_pointer}" + ("; owned" if resource.owned else "")
        inferences.append(Inference(f"resource {resource.name}", value, source))
    return tuple(resources), inferences


def _family(
    collection: str,
    id_parameter: str,
    members: Mapping[str, Operation],
    siblings: Mapping[str, Operation],
    schemas: Schemas,
    owned: Callable[[Operation], bool],
) -> Resource | None:
    create, listing, read = siblings.get("POST"), siblings.get("GET"), members.get("GET")
    if not (read or create or members.keys() & {"PUT", "PATCH", "DELETE"}) or not collection:
        return None
    name = _name(collection)
    deciding = [operation for operation in (read, create) if operation is not None]
    return Resource(
        name=name,
        collection=next((op.path for op in (listing, create) if op), collection),
        member=next(iter(members.values())).path,
        id_parameter=id_parameter,
        id_pointer=_id_pointer(name, id_parameter, [read, create, listing, *members.values()], schemas),
        create=create,
        list=listing,
        read=read,
        replace=members.get("PUT"),
        update=members.get("PATCH"),
        delete=members.get("DELETE"),
        items_pointer=_items_pointer(name, listing, schemas) if listing else None,
        owned=len(deciding) == 2 and all(owned(operation) for operation in deciding),
        paging=find_paging(listing, schemas) if listing else None,
    )


def _name(collection: str) -> str:
    fixed = [segment for segment in collection.split("/") if segment and "{" not in segment]
    return fixed[-1] if fixed else collection


def _id_pointer(name: str, parameter: str, operations: Iterable[Operation | None], schemas: Schemas) -> str:
    thing = singular("_".join(words(name)))
    wanted = [key(parameter), key(parameter).removeprefix(thing + "_"), "id", "uuid", f"{thing}_id", "_id", "slug"]
    for operation in operations:
        schema = shapes.success_schema(operation) if operation else None
        if schema is None:
            continue
        inner = shapes.items(schemas, schema)
        if inner is not None:
            schema = inner
        for pointer, node in _representations(thing, schema, schemas):
            found = {key(property_): property_ for property_ in shapes.properties(schemas, node)}
            for candidate in wanted:
                if candidate in found:
                    return f"{pointer}/{escape(found[candidate])}"
    return "/id"


def _representations(thing: str, schema: JsonSchema, schemas: Schemas) -> Iterable[tuple[str, JsonSchema]]:
    """The schema itself, then what a wrapper such as ``data`` holds."""
    yield "", schema
    for name, value in shapes.properties(schemas, schema).items():
        if key(name) in (*_WRAPPERS, thing):
            yield f"/{escape(name)}", value


def _items_pointer(name: str, listing: Operation, schemas: Schemas) -> str | None:
    schema = shapes.success_schema(listing)
    if schema is None:
        return None
    if shapes.items(schemas, schema) is not None:
        return ""
    wanted = (*_ITEMS, *(key(name), "_".join(words(name))))
    arrays = list(shapes.find(schemas, schema, lambda _, value: shapes.items(schemas, value) is not None, depth=2))
    named = [pointer for pointer, _ in arrays if key(pointer.rpartition("/")[2]) in wanted]
    return named[0] if named else arrays[0][0] if len(arrays) == 1 else None


def find_paging(operation: Operation, schemas: Schemas) -> Paging | None:
    """How a list is paged, from its query parameters and its answer; None when it takes no paging parameters."""
    names = {key(parameter.name): parameter for parameter in operation.query_parameters}

    def pick(wanted: tuple[str, ...]) -> str | None:
        return next((names[name].name for name in wanted if name in names), None)

    size, cursor, offset, page = pick(_SIZE), pick(_CURSOR), pick(_OFFSET), pick(_PAGE)
    if not (size or cursor or offset or page):
        return None
    kind: Any = "cursor" if cursor else "offset" if offset else "page" if page else "size"
    schema = shapes.success_schema(operation)

    def pointer(wanted: tuple[str, ...]) -> str | None:
        if schema is None:
            return None
        found = [(p, wanted.index(key(p.rpartition("/")[2])))
                 for p, _ in shapes.find(schemas, schema, lambda name, _: key(name) in wanted, depth=2)]  # fmt: skip
        return min(found, key=lambda item: item[1])[0] if found else None

    maximum = default = None
    if size:
        for branch in shapes.branches(schemas, next(p for p in operation.query_parameters if p.name == size).schema):
            maximum = branch.get("maximum", maximum)
            default = branch.get("default", default)
    return Paging(
        kind=kind,
        size=size,
        position=cursor or offset or page,
        maximum=int(maximum) if isinstance(maximum, (int, float)) else None,
        default=int(default) if isinstance(default, (int, float)) else None,
        next_pointer=pointer(_NEXT) if cursor else None,
        total_pointer=pointer(_TOTAL),
    )
