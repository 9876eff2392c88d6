"""Identifiers. Nothing here is sequential, so one id says nothing about its neighbours."""

from __future__ import annotations

import os
import time
from uuid import UUID


def time_ordered_uuid() -> UUID:
    """A version 7 UUID: 48 bits of milliseconds, 12 bits of their fraction (RFC 9562 §5.7 and §6.2 method 3), 62 random bits.

    Rows sorted by such an id are sorted by their age, so that any UUID is also a position in a list: keyset paging
    needs no other cursor, and a forged one is only another position in the caller's own rows.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    random_bits = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    return UUID(int=(milliseconds & ((1 << 48) - 1)) << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random_bits)
