"""The sample shop: a small contract and a conforming service in memory, which the catalogue's examples talk to.

An example that breaches changes one thing of it: an answer (`Example.alter`), its state (`Example.shop`), a rule
(`Example.policy`), or the document.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING

from upheld.sample.document import POLICY, PREFIX, document
from upheld.sample.shop import ENVIRONMENT, Shop

if TYPE_CHECKING:
    from upheld.check import Example
    from upheld.contract import Contract

__all__ = ["ENVIRONMENT", "POLICY", "PREFIX", "Shop", "contract"]


@cache
def _plain() -> Contract:
    from upheld.contract.load import from_parts

    return from_parts(deepcopy(POLICY), deepcopy(document()), name="sample")


def contract(example: Example | None = None) -> Contract:
    """The sample's contract, with what the example changes of it."""
    if example is None or (not example.policy and example.document is None):
        return _plain()
    from upheld.contract.load import from_parts

    changed = deepcopy(document())
    if example.document is not None:
        example.document(changed)
    return from_parts({**deepcopy(POLICY), **example.policy}, changed, name="sample")
