"""Which operations generated requests never call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upheld.contract.model import Contract


def dangerous(contract: Contract) -> Mapping[str, str]:
    return {}
