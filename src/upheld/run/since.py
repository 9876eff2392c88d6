"""A run of what a change of the contract touches, and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from upheld.contract.load import load, policy_only
from upheld.contract.touched import Touched, touched
from upheld.errors import UsageError
from upheld.run.prepare import EMBEDDED
from upheld.run.revisions import contract_at

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.run.plan import Promise

_NAMED = 8


@dataclass(frozen=True)
class Since:
    """What differs from a revision."""

    revision: str
    touched: Touched

    @property
    def operations(self) -> frozenset[str] | None:
        """Labels of the operations that are checked; None for all."""
        return None if self.touched.everything else self.touched.operations

    def includes(self, promise: Promise) -> bool:
        """Whether the promise speaks of something that differs."""
        labels = self.operations
        if labels is None:
            return True
        subject = promise.subject
        if subject.rule is not None and subject.rule in self.touched.rules:
            return True
        if subject.resource is not None:
            family = subject.resource
            members = (family.create, family.list, family.read, family.replace, family.update, family.delete)
            return any(operation is not None and operation.label in labels for operation in members)
        # A path as a subject stands for all of its operations.
        named = {label for label in labels if label.partition(" ")[2] == subject.label}
        return bool(named) or (subject.operation is not None and subject.operation.label in labels)

    def can_be_fuzzed(self, contract: Contract) -> bool:
        """Whether generated requests may be sent to any of it."""
        return self.operations is None or bool(self.operations - contract.dangerous.keys())

    def told(self, contract: Contract) -> str:
        """What is checked, in a sentence."""
        if self.touched.everything:
            return f"since {self.revision} {self.touched.everything} of upheld.yaml changed: every operation is checked"
        labels = sorted(self.touched.operations)
        more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
        shown = ", ".join([*labels[:_NAMED], *(rule.label for rule in self.touched.rules)])
        of = f"{len(labels)} of {len(contract.operations)} operations"
        return f"only what differs from {self.revision} is checked, {of}: {shown}{more}"


def of_command(path: Path, revision: str | None, target: str | None) -> Since | None:
    """`since` for what a command line says; None where it names no revision."""
    return None if revision is None else since(path, revision, None if target == EMBEDDED else target)


def since(path: Path, revision: str, url: str | None) -> Since:
    """Compare the contract with that of a git revision. Raises `UsageError`, `ContractError`."""
    if (served := policy_only(path).document_served) is not None:
        raise UsageError(f"--since compares documents in git, and this one is served by the target ({served})")
    return Since(revision, touched(contract_at(path, revision, target_url=url), load(path, target_url=url)))
