"""How fast the catalogue's own examples play, a check: `python benchmarks/catalogue.py`. The aim is under 1 ms a check."""

from __future__ import annotations

import time

from upheld.check import Check
from upheld.checks import catalogue
from upheld.rehearse import rehearse


def once(check: Check) -> float:
    """Seconds for one example of the check, on average."""
    examples = (*check.conforming, *check.breaching)
    began = time.perf_counter()
    for example in examples:
        rehearse(check, example)
    return (time.perf_counter() - began) / len(examples)


def main() -> None:
    checks = list(catalogue().values())
    for check in checks:
        once(check)  # compiles schemas and contracts
    times = {check.id: min(once(check) for _ in range(5)) for check in checks}
    for id, seconds in sorted(times.items(), key=lambda item: -item[1])[:10]:
        print(f"{seconds * 1000:7.2f} ms  {id}")
    print(f"{sum(times.values()) / len(times) * 1000:7.2f} ms  an example, over {len(times)} checks")


if __name__ == "__main__":
    main()
