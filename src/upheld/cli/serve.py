"""``upheld serve``: the reference backend."""

from __future__ import annotations

import sys

import click

from upheld.errors import UsageError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8500, show_default=True)
@click.option("--workers", default=1, show_default=True)
@click.option("--mutant", metavar="NAME", help="Start it with this defect switched on (`--mutant list` shows them).")
def serve(host: str, port: int, workers: int, mutant: str | None) -> None:
    """Start the reference backend: the house standard made flesh."""
    import os
    import subprocess
    from importlib.util import find_spec

    from upheld.targets import ports

    if find_spec("fastapi") is None:
        raise UsageError("the reference backend needs its extra: pip install 'upheld[reference]'")
    if mutant != "list" and host in ("127.0.0.1", "0.0.0.0", "localhost") and not ports.is_free(port):
        raise UsageError(f"port {port} is taken by another process; --port names another one")
    command = [sys.executable, "-m", "upheld.reference", "--host", host, "--port", str(port), "--workers", str(workers)]
    if mutant == "list":
        command = [sys.executable, "-m", "upheld.reference.mutants"]
    elif mutant:
        os.environ["UPHELD_REFERENCE_MUTANT"] = mutant
    else:
        click.echo(f"the reference backend at http://{host}:{port} (Ctrl-C ends it)", err=True)
    sys.exit(subprocess.call(command))
