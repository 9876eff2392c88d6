"""Defects of how extreme values are read."""

from __future__ import annotations

import re

from . import Context, Mutant
from .errors import read_bodies_through

_NAN = re.compile(rb"(?<=:)\s*NaN\b")


def _nan_is_zero(ctx: Context) -> None:
    read_bodies_through(ctx, lambda body: _NAN.sub(b"0", body))


def _overlong_decoded(ctx: Context) -> None:
    read_bodies_through(ctx, lambda body: body.replace(b"\xc0\xaf", b"/"))


MUTANTS = (
    Mutant(
        name="robust/nan-is-zero",
        requirement="robust/numbers",
        says="A lenient parser reads NaN as 0, and 0 is stored.",
        apply=_nan_is_zero,
    ),
    Mutant(
        name="robust/overlong-decoded",
        requirement="robust/text",
        says="An old decoder takes the overlong form of a slash (C0 AF) for a slash.",
        apply=_overlong_decoded,
    ),
)
