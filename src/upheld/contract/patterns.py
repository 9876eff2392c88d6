"""One glob for operations everywhere in upheld.yaml: ``POST /auth/*``, ``* /admin/**``, ``/health``, ``**``.

* A method and a space may come first; ``*`` or none means any method.
* ``*`` is one segment (or a part of one), ``**`` any number of them; ``/admin/**`` includes ``/admin`` itself.
* ``{id}`` in a pattern stands for one segment whatever its name, so templates can be copied from the document.
* The path may be written in full or from after the version prefix; a slash at its end makes no difference.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import lru_cache

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")
PATTERN = r"^(?:(?:[A-Za-z]+|\*) +)?(?:/\S*|\*\*?)$"


def check(pattern: str) -> str:
    """The pattern with its spaces tidied. Raises ValueError with a sentence when it is none."""
    text = " ".join(pattern.split())
    if not re.fullmatch(PATTERN, text):
        hint = f"; the path begins with '/': {_with_slash(text)!r}" if re.search(r"[A-Za-z]", text) else ""
        raise ValueError(f"must be an operation pattern such as 'POST /auth/*' or '**', found {pattern!r}{hint}")
    method, _ = split(text)
    if method and method not in METHODS:
        near = difflib.get_close_matches(method, METHODS, 1)
        raise ValueError(f"{method!r} is no HTTP method" + (f"; did you mean {near[0]!r}?" if near else ""))
    return text


def _with_slash(text: str) -> str:
    method, _, path = text.rpartition(" ")
    return f"{method} /{path.lstrip('/')}".strip()


def split(pattern: str) -> tuple[str | None, str]:
    """(method in upper case or None for any, glob)."""
    head, space, tail = pattern.strip().partition(" ")
    if not space:
        return None, "**" if head == "*" else head
    return (None if head == "*" else head.upper()), tail.strip()


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> tuple[str | None, re.Pattern[str]]:
    method, glob = split(pattern)
    return method, re.compile(_regex(glob))


def _regex(glob: str) -> str:
    if glob == "**":
        return r".*"
    out: list[str] = []
    for segment in [s for s in glob.split("/") if s]:
        if segment == "**":
            out.append(r"(?:/[^/]*)*")
        else:
            # A template segment may hold text around its names: {id}.json, {from}-{to}.
            parts = re.split(r"(\{[^{}/]*\}|\*+)", segment)
            body = "".join(r"[^/]*" if part[:1] in ("{", "*") and part else re.escape(part) for part in parts)
            out.append("/" + (r"[^/]+" if body == r"[^/]*" else body))
    return "".join(out) + r"/?" if out else r"/?"


def matches(pattern: str, method: str, path: str, prefix: str = "") -> bool:
    """Whether the pattern fits this method and path, in full or after ``prefix``. ``path`` is a template or concrete."""
    wanted, regex = _compiled(pattern)
    if wanted is not None and wanted != method.upper():
        return False
    if regex.fullmatch(path):
        return True
    return under(path, prefix) and bool(prefix) and regex.fullmatch(path[len(prefix) :] or "/") is not None


def under(path: str, prefix: str) -> bool:
    """Whether the path lies under the prefix: ``/api/v1/x`` under ``/api/v1``, but ``/api/v10`` not."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


def near(pattern: str, labels: Iterable[str], prefix: str = "", count: int = 3) -> list[str]:
    """Labels of operations that somebody may have meant, nearest first."""
    method, glob = split(pattern)
    names: dict[str, str] = {}
    for label in labels:
        verb, _, path = label.partition(" ")
        short = path[len(prefix) :] if prefix and under(path, prefix) else path
        names.setdefault(f"{verb} {short}" if method else short, label)
        names.setdefault(label if method else path, label)
    wanted = f"{method} {glob}" if method else glob
    ratios = {name: difflib.SequenceMatcher(None, wanted, name).ratio() for name in names}
    best = max(ratios.values(), default=0.0)
    # Only what is about as near as the nearest: a long list of guesses helps nobody.
    chosen = sorted((name for name in names if ratios[name] >= max(0.6, best - 0.05)), key=lambda name: -ratios[name])
    return list(dict.fromkeys(names[name] for name in chosen))[:count]
