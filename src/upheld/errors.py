"""What can go wrong, by whose fault it is. A breach of the contract by the service is no exception: it is a verdict.

* UpheldError
  x UsageError            the call or the contract is wrong (exit 2)
    + ContractError       upheld.yaml or openapi.yaml: file, line, what to do
  x TargetError           the target cannot be reached, or died (exit 3)
    + TargetUnreachable
    + TargetDied
    + SetupError          it answers, but not as the thing that the contract describes (every operation 404)
  x HarnessError          a defect of ours (exit 4)
    + CheckIncomplete     a file of the catalogue lacks something
"""

from __future__ import annotations

from dataclasses import dataclass


class UpheldError(Exception):
    """Base of every error that the commands turn into a message and an exit status."""

    exit_status = 4


class UsageError(UpheldError):
    """The call is wrong: an unknown requirement, a bad option."""

    exit_status = 2


@dataclass(frozen=True)
class Place:
    """Where in a file: 1-based line and column; 0 when unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class ContractError(UsageError):
    """A contract file is missing, broken or says what cannot be. ``problems`` are (place, sentence) pairs, all at once."""

    def __init__(self, *problems: tuple[Place, str]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{place}: {sentence}" for place, sentence in problems))


class TargetError(UpheldError):
    """The target is not there, or not what it should be."""

    exit_status = 3


class TargetUnreachable(TargetError):
    """Nobody answers at the target's address."""


class TargetDied(TargetError):
    """The target answered before and does not any more."""


class SetupError(TargetError):
    """The target answers, but every operation is 404 or every credential is refused: nothing can be judged."""


class HarnessError(UpheldError):
    """A defect of ours, never a finding about the service."""

    exit_status = 4


class CheckIncomplete(HarnessError):
    """A file under ``upheld.checks`` lacks its page, clause, catalogue number or examples."""
