"""The command line. It imports the rest lazily: ``--version``, ``--help`` and ``list`` answer at once."""

from __future__ import annotations

from upheld.cli import capacity, catalogue, check, compare, load, plan, serve, wfc
from upheld.cli.group import main

for _command in (
    check.check,
    plan.plan,
    catalogue.list_,
    catalogue.explain,
    load.load,
    serve.serve,
    wfc.wfc,
    catalogue.schema,
):
    main.add_command(_command)

for _command in (compare.compare, capacity.capacity):
    load.load.add(_command)

__all__ = ["main"]
