"""How `upheld plan` grows with the document: `python benchmarks/plan.py`.

Made documents of 125, 250 and 500 operations; prints wall seconds, peak memory, and the ratio of seconds to those of half as many.
The aim: 500 operations in under 5 s and 500 MB, and time in proportion to the operations.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def document(operations: int) -> dict[str, Any]:
    """An OpenAPI document of so many operations: families of five, each with schemas of its own."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    error = {"description": "a problem", "content": {"application/problem+json": {"schema": {"type": "object"}}}}
    for number in range(operations // 5):
        name = f"thing{number}s"
        fields = {f"field{i}": {"type": "string", "maxLength": 50 + i} for i in range(8)}
        schemas[name] = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, **fields}}
        body = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
        page = {"application/json": {"schema": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}}}
        answers = {"200": {"description": "it", **body}, "404": error, "422": error}
        identifier = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        secured = {"security": [{"bearer": []}]}
        paths[f"/api/v1/{name}"] = {
            "get": {"responses": {"200": {"description": "a page", "content": page}}, **secured},
            "post": {
                "requestBody": body,
                "responses": {"201": {"description": "made", **body}, "422": error},
                **secured,
            },
        }
        paths[f"/api/v1/{name}/{{id}}"] = {
            "parameters": [identifier],
            "get": {"responses": answers, **secured},
            "put": {"requestBody": body, "responses": answers, **secured},
            "delete": {"responses": {"204": {"description": "gone"}, "404": error}, **secured},
        }
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
    components = {"schemas": schemas, "securitySchemes": schemes}
    return {"openapi": "3.1.0", "info": {"title": "made", "version": "1"}, "paths": paths, "components": components}


def measured(operations: int) -> tuple[float, float]:
    """(seconds, peak MB) of `upheld plan` on a made document."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "openapi.json").write_text(json.dumps(document(operations)))
        Path(folder, "upheld.yaml").write_text(
            "upheld: 1\nopenapi: openapi.json\nextends: standard\nidentities: {alice: {role: user}, bob: {role: user}}\n"
        )
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "upheld", "plan", "--json"], cwd=folder, stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"upheld plan ended with {process.returncode}")
        return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    before = 0.0
    for operations in (125, 250, 500):
        seconds, peak = min(measured(operations) for _ in range(3))
        ratio = f"  {seconds / before:.2f} × the time of half as many" if before else ""
        print(f"{operations:>5} operations  {seconds:6.2f} s  {peak:6.0f} MB{ratio}")
        before = seconds


if __name__ == "__main__":
    main()
