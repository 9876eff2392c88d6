"""Which operation tokens are shown to, where the document has several that might do."""

from __future__ import annotations

import pytest
from tests.unit.contract.conftest import contract, operation

from upheld.steps import canary

BEARER = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}}


@pytest.mark.parametrize(
    ("paths", "chosen"),
    [
        (("/a", "/api/users/me"), "/api/users/me"),
        (("/a", "/api/user"), "/api/user"),
        (("/a", "/users/current"), "/users/current"),
        (("/auth", "/extension/invocations/current"), "/auth"),
        (("/shops", "/reports/by/user"), "/shops"),
        (("/shops", "/user"), "/user"),
    ],
)
def test_what_is_about_its_caller_comes_first(paths: tuple[str, ...], chosen: str) -> None:
    secured: list[dict[str, list[str]]] = [{"bearer": []}]
    made = contract({path: {"get": operation(security=secured)} for path in paths}, components=BEARER)
    found = canary(made)
    assert found is not None
    assert found.path == chosen
