"""Writes the pages that are made from the code: docs/checks/, docs/matrix.md, the list of decisions and the tables of
contracts/README.md.

``scripts/docs`` runs it; tests/test_docs.py holds that what it would write is what is committed. With ``--site DIR`` it makes a
site of all documents instead, as docs/conf.py says.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from upheld.check import Check
from upheld.checks import catalogue
from upheld.contract import units
from upheld.contract.patterns import PATTERN
from upheld.contract.policy import Policy
from upheld.contract.schema import json_schema
from upheld.reference.mutants import registry
from upheld.report.docs import page

REPO = Path(__file__).parents[1]
BEGIN = "<!-- What follows is made by scripts/docs from the model and the checks. -->"
END = "<!-- End of what scripts/docs makes. -->"


def pages() -> dict[str, str]:
    """Every generated file, by its path in the repository."""
    checks = catalogue()
    made = {_page_of(check.id): _check_page(check) for check in checks.values()}
    made["docs/checks/README.md"] = _index(checks)
    made["docs/matrix.md"] = _matrix(checks)
    made["docs/decisions/README.md"] = _decisions()
    path = "contracts/README.md"
    made[path] = _spliced((REPO / path).read_text(encoding="utf-8"), _keys(checks))
    return made


def stale(made: Mapping[str, str]) -> list[Path]:
    """Pages of checks that are there no longer."""
    there = (REPO / "docs" / "checks").rglob("*.md")
    return sorted(file for file in there if file.relative_to(REPO).as_posix() not in made)


def site(folder: Path) -> int:
    """Build the site into ``folder``. Returns the status of Sphinx: not 0 where it has anything to warn of."""
    with tempfile.TemporaryDirectory() as cache:
        options = ["--builder", "html", "--quiet", "--fail-on-warning", "--conf-dir", "docs", "--doctree-dir", cache]
        return subprocess.run(
            [sys.executable, "-m", "sphinx", *options, ".", str(folder.resolve())], cwd=REPO
        ).returncode


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/docs", description="Write the pages that are made from the code.")
    parser.add_argument("--site", type=Path, metavar="DIR", help="make a site of all documents there instead")
    if folder := parser.parse_args().site:
        sys.exit(site(folder))
    made = pages()
    for path, text in made.items():
        file = REPO / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    for file in stale(made):
        file.unlink()
        print(f"removed {file.relative_to(REPO)}")


# -- checks and mutants --------------------------------------------------------------------------------------------------


def _page_of(id: str) -> str:
    return f"docs/checks/{id}.md"


def _check_page(check: Check) -> str:
    source = f"src/upheld/checks/{check.id.replace('-', '_')}.py"
    return f"<!-- Made by scripts/docs from {source}. -->\n\n{page(check)}"


def _groups(checks: Mapping[str, Check]) -> dict[str, list[Check]]:
    groups: dict[str, list[Check]] = defaultdict(list)
    for check in checks.values():
        groups[check.group].append(check)
    return groups


def _index(checks: Mapping[str, Check]) -> str:
    musts = sum(check.level == "MUST" for check in checks.values())
    lines = [
        "<!-- Made by scripts/docs from src/upheld/checks. -->",
        "",
        "# The catalogue",
        "",
        f"{len(checks)} requirements, {musts} of them at the level MUST. `upheld list` prints this list, `upheld explain ID`",
        "one of the pages. A breach of a MUST fails a run; a SHOULD that is not met is an advisory, unless `checks.fail_on`",
        "says otherwise.",
    ]
    for group, members in _groups(checks).items():
        lines += ["", f"## {group}", "", "| requirement | level | what it claims | clause |", "|---|---|---|---|"]
        for check in members:
            clause, name = check.requirement.clause, check.id.removeprefix(f"{group}/")
            link = f"[{check.id}]({group}/{name}.md)"
            title = check.title[:1].upper() + check.title[1:]
            lines.append(_row(link, check.level.value, _cell(title), f"[{_cell(clause.text)}]({clause.url})"))
    return "\n".join(lines) + "\n"


def _matrix(checks: Mapping[str, Check]) -> str:
    mutants = sorted(registry().values(), key=lambda mutant: (mutant.requirement, mutant.name))
    lines = [
        "<!-- Made by scripts/docs from src/upheld/reference/mutants. -->",
        "",
        "# The detection matrix",
        "",
        "A mutant is the reference backend with one defect switched on. `tests/mutants` starts each of them and holds that the",
        "check named here reports it, and that no other check does except those under *also*, which see the same defect from",
        "another side. These runs generate no requests, except for requirements about generated ones; what needs a store of its own or a",
        "load is seen in `tests/live`. The same tests hold that",
        "every check is silent on the reference as shipped, fuzzing included, on SQLite and on PostgreSQL with Redis.",
        "",
        "How to read a line: *seen by* is the requirement that has to go red, *what is wrong* the mistake that somebody could make,",
        "*also* the requirements that rightly go red with it. An empty *also* says that nothing else does.",
        "",
        "`upheld serve --mutant NAME` starts one; `UPHELD_REFERENCE_MUTANT=NAME upheld check` checks it.",
        "",
        f"{len(mutants)} mutants, {len({mutant.requirement for mutant in mutants} & set(checks))} of {len(checks)} checks.",
        "",
        "| seen by | mutant | what is wrong | also |",
        "|---|---|---|---|",
    ]
    for mutant in mutants:
        also = ", ".join(_link(name, "checks/") for name in mutant.also)
        lines.append(_row(_link(mutant.requirement, "checks/"), f"`{mutant.name}`", _cell(mutant.says), also))
    if without := sorted(set(checks) - {mutant.requirement for mutant in mutants}):
        lines += [
            "",
            "Without a mutant, and so not proven in this way: " + ", ".join(f"`{id}`" for id in without) + ".",
        ]
    return "\n".join(lines) + "\n"


def _decisions() -> str:
    lines = [
        "<!-- Made by scripts/docs from the pages beside this one. -->",
        "",
        "# Decisions",
        "",
        "Where there were several ways, and why it is this one; a page each, with context, decision and consequences.",
        "",
    ]
    for file in sorted((REPO / "docs" / "decisions").glob("[!R]*.md")):
        title = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({file.name})")
    return "\n".join(lines) + "\n"


def _link(id: str, base: str) -> str:
    return f"[{id}]({base}{id}.md)"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# -- upheld.yaml ---------------------------------------------------------------------------------------------------------

ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "upheld": "the reader of the file",
        "openapi": "the reader of the file",
        "extends": "the reader of the file",
        "target": "whatever starts or finds the service",
        "target.served_spec": "the reader of the file, `upheld diff`",
        "target.base_ref": "`upheld diff`",
        "roles": "sign-in, load",
        "auth.scheme": "sign-in",
        "auth.register": "sign-in",
        "auth.login": "sign-in",
        "auth.refresh.rotates": "the checks of `auth.refresh`",
        "auth.logout.revokes": "the checks of what ends a session",
        "auth.password": "sign-in",
        "auth.jwt.access_ttl": "load",
        "auth.jwt.key_env": "the masking of secrets",
        "identities": "sign-in",
        "rate_limits": "load",
        "rate_limits.headers": "the checks of `rate_limit.headers`",
        "caching.if_match": "load",
        "latency": "load",
        "load": "load",
        "never": "fuzzing",
        "unique": "fuzzing",
        "secrets": "checks that change members of a body, which leave these alone",
        "idempotency.ops": "`upheld plan`",
        "waive": "the verdicts",
        "auth.oauth.clients": "checks of OAuth 2",
        "checks": "the run",
        "fuzz": "fuzzing",
        "fuzz.seed": "everything that is generated; the option `--seed` wins",
    }
)
"""Who reads a key besides the checks. A section's line stands for its keys."""

NOT_YET = frozenset(
    {
        "auth.enumeration.register",
        "caching.etag",
        "limits.json_depth",
        "limits.read_timeout",
        "idempotency.ttl",
        "idempotency.required",
    }
)
"""Keys that may be written and that nothing acts on in this version."""


@dataclass(frozen=True)
class Key:
    """One key of upheld.yaml: its path without the names that the author chooses, its schema, its default."""

    path: str
    schema: Mapping[str, Any]
    default: Any
    section: str
    """Name of the definition that it opens; empty for a plain value."""


class Keys:
    """Every key of the file, section by section, from its JSON Schema and the model's defaults."""

    def __init__(self) -> None:
        self.schema = json_schema()
        self.definitions: Mapping[str, Any] = self.schema["$defs"]

    def of(self, path: str, schema: Mapping[str, Any], model: type[BaseModel]) -> Iterator[Key]:
        for name, inner in schema["properties"].items():
            default = model.model_fields[name].get_default(call_default_factory=False)
            yield Key(f"{path}.{name}" if path else name, inner, default, self._opens(inner))

    def _opens(self, schema: Mapping[str, Any]) -> str:
        """The definition behind a section, a list of sections or a mapping of names to sections."""
        places = [schema, schema.get("items", {}), schema.get("additionalProperties", {}), *schema.get("anyOf", ())]
        found = (place.get("$ref", "") for place in places if isinstance(place, dict))
        return next((ref.rpartition("/")[2] for ref in found if ref), "")

    def sections(self) -> Iterator[tuple[tuple[Key, ...], tuple[Key, ...]]]:
        """(the keys that open it, its keys), from the outside in. The first one is the file itself, which no key opens."""
        yield (), tuple(self.of("", self.schema, Policy))
        for key in self.of("", self.schema, Policy):
            yield from self._below((key,))

    def _below(self, openers: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], tuple[Key, ...]]]:
        definition = openers[0].section
        if not definition:
            return
        inner = tuple(self.of(openers[0].path, self.definitions[definition], _model(definition)))
        yield openers, inner
        alike: dict[str, list[Key]] = defaultdict(list)
        for key in inner:
            alike[key.section].append(key)
        for section, keys in alike.items():
            if section:
                yield from self._below(tuple(keys))

    def paths(self) -> set[str]:
        """Every key by its path."""
        found: set[str] = set()
        for openers, inner in self.sections():
            for opener in openers:
                found |= {f"{opener.path}.{key.path.rpartition('.')[2]}" for key in inner}
            found |= {key.path for key in inner}
        return found


def _model(definition: str) -> type[BaseModel]:
    import upheld.contract.policy as module

    model = getattr(module, definition)
    assert isinstance(model, type)
    assert issubclass(model, BaseModel)
    return model


def _keys(checks: Mapping[str, Check]) -> str:
    readers: dict[str, list[str]] = defaultdict(list)
    for check in checks.values():
        for path in check.requirement.reads:
            readers[path].append(check.id)
    keys = Keys()
    top = keys.of("", keys.schema, Policy)
    parts = ["Sections: " + " · ".join(f"[{key.path}](#{key.path})" for key in top if key.section) + "."]
    for openers, inner in keys.sections():
        if not openers:
            parts.append("## At the top\n\n" + _table([key for key in inner if not key.section], openers, readers))
            continue
        depth = openers[0].path.count(".")
        title = ", ".join(f"`{key.path}`" for key in openers)
        said = keys.definitions[openers[0].section]["description"]
        own = openers[0].schema.get("description", "") if len(openers) == 1 else ""
        lead = [max(said, own, key=len).replace("``", "`")]
        lead += [
            f"`{key.path}` as a whole is read by {_links(readers[key.path])}." for key in openers if readers[key.path]
        ]
        if depth == 0:
            lead += [_form(openers[0]), _example(openers[0].path)]
        parts.append(
            f"{'#' * (depth + 2)} {title}\n\n"
            + "\n".join(filter(None, lead))
            + "\n\n"
            + _table(inner, openers, readers)
        )
    return "\n\n".join(parts)


def _form(key: Key) -> str:
    if "items" in key.schema:
        return "A list; every entry has these keys."
    return "A mapping of names that you choose to these keys." if "additionalProperties" in key.schema else ""


def _example(section: str) -> str:
    """The lines of the reference's own contract, which are true of a backend that anybody can start."""
    text = (REPO / "contracts" / "reference" / "upheld.yaml").read_text(encoding="utf-8")
    found = re.search(rf"^{section}:.*\n(?:[ ].*\n)*", text, re.MULTILINE)
    return f"\nThe reference says:\n\n```yaml\n{found[0]}```" if found else ""


def _table(keys: Sequence[Key], openers: Sequence[Key], readers: Mapping[str, list[str]]) -> str:
    lines = ["| key | what it says | written as | default | read by |", "|---|---|---|---|---|"]
    for key in keys:
        said = key.schema.get("description") or "see below"
        if "anyOf" in key.schema and key.section:
            said += " A mapping of the keys below says more."
        lines.append(
            _row(
                f"`{key.path.rpartition('.')[2]}`",
                _cell(said),
                _cell(_written_as(key.schema) + _such_as(key.schema)),
                _cell(_default(key.default, key.schema)),
                _read_by(key, openers, readers),
            )
        )
    return "\n".join(lines)


def _read_by(key: Key, openers: Sequence[Key], readers: Mapping[str, list[str]]) -> str:
    name = key.path.rpartition(".")[2]
    paths = [f"{opener.path}.{name}" for opener in openers] or [key.path]
    checks = list(dict.fromkeys(id for path in paths for id in readers.get(path, ())))
    if checks:
        return ", ".join(filter(None, (_links(checks), ELSEWHERE.get(key.path, ""))))
    if NOT_YET.intersection(paths):
        return "nothing yet"
    if key.section and openers:
        return "see below"
    if exact := [ELSEWHERE[path] for path in paths if path in ELSEWHERE]:
        return ", ".join(exact)
    ancestors = (
        ELSEWHERE.get(path[: path.rindex(".")], ELSEWHERE.get(path.split(".")[0])) for path in paths if "." in path
    )
    others = list(dict.fromkeys(text for text in ancestors if text))
    if any(readers.get(opener.path) for opener in openers):
        others.append("the checks of the section")
    return ", ".join(others)


FEW = 3


def _links(ids: Sequence[str]) -> str:
    """Each requirement by its name; where a group has more than a few of them, the group and how many."""
    groups: dict[str, list[str]] = defaultdict(list)
    for id in ids:
        groups[id.partition("/")[0]].append(id)
    return ", ".join(
        f"[{len(members)} of {group}](../docs/checks/README.md#{group})"
        if len(members) > FEW
        else ", ".join(_link(id, "../docs/checks/") for id in members)
        for group, members in groups.items()
    )


KINDS: Mapping[str, str] = MappingProxyType(
    {
        units.DURATION_PATTERN: "duration",
        units.QUOTA_PATTERN: "quota",
        units.PERCENT_PATTERN: "percentage",
        units.RATE_PATTERN: "rate",
        PATTERN: "operations",
        r"^[A-Za-z_][A-Za-z0-9_]*$": "name of an environment variable",
        r"^(/.*)?$": "JSON Pointer",
        r"^/": "path",
        r"^https?://\S+$": "URL",
    }
)
PLAIN: Mapping[str, str] = MappingProxyType(
    {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "`true` or `false`",
        "object": "mapping",
    }
)


def _written_as(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("pattern") in KINDS:
        return KINDS[schema["pattern"]]
    if schema.get("type") == "array":
        return f"list of: {_written_as(schema['items'])}"
    inner = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), None)
    if isinstance(inner, dict) and "$ref" not in inner:
        names = "operations" if "patternProperties" in schema else "names"
        return f"mapping of {names} to: {_written_as(inner)}"
    if "anyOf" in schema and "'$ref'" not in str(schema["anyOf"]):
        sizes = any(option.get("pattern") == units.SIZE_PATTERN for option in schema["anyOf"])
        return "size" if sizes else " or ".join(_written_as(option) for option in schema["anyOf"])
    if isinstance(schema.get("type"), list):
        return " or ".join(PLAIN[kind] for kind in schema["type"])
    if "type" not in schema and "'$ref'" not in str(schema):
        return "anything"
    return PLAIN.get(schema.get("type", ""), "section")


def _such_as(schema: Mapping[str, Any]) -> str:
    """An example of a plain value, as it is written in the file; what has a unit is explained above the tables."""
    if schema.get("pattern") in KINDS:
        return ""
    examples = [example for example in schema.get("examples", ()) if isinstance(example, str)]
    return f", such as `{examples[0]}`" if examples and "enum" not in schema else ""


def _default(value: Any, schema: Mapping[str, Any]) -> str:
    if isinstance(value, BaseModel) or value is None or repr(value) == "PydanticUndefined" or value in ((), {}):
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    kind = KINDS.get(schema.get("pattern", ""))
    if kind == "duration":
        return f"`{value * 1000:g}ms`" if 0 < value < 1 else f"`{value:g}s`"
    return f"`{value * 100:g}%`" if kind == "percentage" else f"`{value}`"


def _spliced(text: str, made: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"contracts/README.md has lost its marks: {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


if __name__ == "__main__":
    main()
