"""The page of a check as HTML, to stand below a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from upheld.report import docs

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

    from upheld.check import Check


def page(check: Check) -> str:
    """What `docs.page` says as HTML, its headings below those of a finding. Elements in it are told as text."""
    parser = _parser()
    tokens = list(_below(parser.parse(docs.page(check))))
    return str(parser.renderer.render(tokens, parser.options, {}))


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).disable("image")


def _below(tokens: Sequence[Token]) -> Iterator[Token]:
    """Without the title, which the finding has already; sections two levels deeper."""
    title = 0
    for token in tokens:
        if token.tag == "h1":
            title += token.nesting
        elif not title:
            if token.type in ("heading_open", "heading_close"):
                token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
            yield token
