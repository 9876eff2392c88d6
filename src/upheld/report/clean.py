"""Text from the wire made harmless and visible: no terminal escapes, no bidirectional tricks, no lone surrogates."""

from __future__ import annotations

import unicodedata

_SPACES = {"Zs"}


def visible(text: str, keep: str = "\n") -> str:
    """``text`` with every character that prints nothing, or changes how others print, written as its escape.

    ``ESC`` becomes the four characters ``\\x1b``. Ordinary spaces stay, and so do the characters in ``keep``. Nothing is
    removed: two halves of a masked word cannot close up.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep or unicodedata.category(char) in _SPACES else _escape(char)
        for char in text
    )


def one_line(text: str) -> str:
    """``text`` on one line: escapes as in `visible`, line ends as spaces."""
    return visible(" ".join(text.split()), keep="")


def _escape(char: str) -> str:
    code = ord(char)
    if char in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
