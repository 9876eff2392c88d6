"""``python -m upheld`` is the command ``upheld``."""

from upheld.cli import main

main(prog_name="upheld")
