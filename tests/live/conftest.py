"""What several live tests ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.live.loading import Law


@pytest.fixture
def law() -> Iterator[Law]:
    server = Law()
    try:
        yield server
    finally:
        server.close()
