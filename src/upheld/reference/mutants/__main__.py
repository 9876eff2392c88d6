"""`python -m upheld.reference.mutants` lists them: name, the check that has to see it, what is wrong."""

from __future__ import annotations

from . import registry

for mutant in sorted(registry().values(), key=lambda mutant: mutant.name):
    print(f"{mutant.name:<34} {mutant.requirement:<28} {mutant.says}")
