"""``python -m upheld.reference --port 8500``: the backend on uvicorn."""

from __future__ import annotations

import argparse
import os

from .mutants import UnknownMutantError
from .server import serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m upheld.reference", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--workers", type=int, default=os.environ.get("UPHELD_REFERENCE_WORKERS", "1"))
    arguments = parser.parse_args()
    try:
        serve(arguments.host, arguments.port, arguments.workers)
    except UnknownMutantError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
