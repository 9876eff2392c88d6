"""The command line. It imports the rest lazily: ``--version``, ``--help`` and ``list`` answer at once."""

from __future__ import annotations

from upheld.cli import (
    baseline,
    capacity,
    catalogue,
    check,
    compare,
    completion,
    diff,
    init,
    load,
    plan,
    replay,
    report,
    serve,
    soak,
    verify,
    wfc,
)
from upheld.cli.group import main

for _command in (
    check.check,
    replay.replay,
    report.report,
    verify.verify,
    baseline.baseline,
    plan.plan,
    diff.diff,
    catalogue.list_,
    catalogue.explain,
    init.init,
    load.load,
    serve.serve,
    wfc.wfc,
    catalogue.schema,
    completion.completion,
):
    main.add_command(_command)

for _command in (compare.compare, capacity.capacity, soak.soak):
    load.load.add(_command)

__all__ = ["main"]
