"""pytest collects files named ``upheld.yaml``: each promise is an item, ``upheld.yaml::http/challenge[GET /items]``.

The promises that are selected are examined together, once, when the first of them is due (under xdist once for all
workers); each item then reads its verdict. Without such a file the plugin does nothing, and it imports nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.run.plan import Promise
    from upheld.verdict import Result, Run

NAMES = ("upheld.yaml", "upheld.yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("upheld", "promises of a running API (upheld.yaml)")
    group.addoption("--upheld-target", metavar="URL", help="the running service; wins over the contract's target")
    group.addoption("--upheld-quick", action="store_true", help="no waiting for rate windows, short fuzzing")
    group.addoption("--upheld-no-fuzz", action="store_true", help="generate no requests")
    group.addoption("--upheld-seed", type=int, help="seed of everything generated")
    group.addoption(
        "--upheld-allow-host", action="append", default=[], metavar="HOST", help="a host that may be contacted"
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name in NAMES:
        file: ContractFile = ContractFile.from_parent(parent, path=file_path)
        return file
    return None


class ContractFile(pytest.File):
    """One upheld.yaml and its promises."""

    contract: Contract
    outcome: Run | None = None

    def collect(self) -> Iterator[pytest.Item]:
        from upheld.checks import select
        from upheld.run.plan import plan

        self.contract = self._read()
        checks = self.contract.policy.checks
        made = plan(
            self.contract,
            select(checks.only, checks.skip).values(),
            quick=self.config.getoption("--upheld-quick"),
        )
        for promise in made.promises:
            yield PromiseItem.from_parent(self, name=promise.id, promise=promise)

    def _read(self) -> Contract:
        from upheld.contract.load import load, policy_only
        from upheld.errors import UpheldError
        from upheld.run.prepare import opened

        target = self.config.getoption("--upheld-target")
        try:
            if policy_only(self.path).document_served is None:
                return load(self.path, target_url=target)
            with opened(self.path, target, allow_hosts=self._hosts(), profiles=("raised",)) as ready:
                return ready.contract
        except UpheldError as error:
            raise self.CollectError(str(error)) from error

    def _hosts(self) -> list[str]:
        hosts: list[str] = self.config.getoption("--upheld-allow-host")
        return hosts

    def examined(self) -> Run:
        """The run of all selected promises of this file, made now or already made by another worker."""
        if self.outcome is None:
            worker = getattr(self.config, "workerinput", None)
            self.outcome = self._once(worker["testrunuid"]) if worker else self._examine()
        return self.outcome

    def _once(self, run_id: str) -> Run:
        """Under xdist the first worker examines and the others wait for its result."""
        import fcntl
        import hashlib
        import pickle
        import tempfile

        name = hashlib.sha256(f"{run_id} {self.path}".encode()).hexdigest()[:24]
        # Owned by us alone: what lies in it is unpickled.
        folder = Path(tempfile.gettempdir()) / f"upheld-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to somebody else")
        kept = folder / f"{name}.run"
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                partial = kept.with_suffix(".part")
                partial.write_bytes(pickle.dumps(self._examine()))
                partial.replace(kept)
            run: Run = pickle.loads(kept.read_bytes())
            return run

    def _examine(self) -> Run:
        from upheld.checks import select
        from upheld.run.examine import Options, examine
        from upheld.run.prepare import opened

        wanted = {
            item.promise.check.id
            for item in self.session.items
            if isinstance(item, PromiseItem) and item.parent is self
        }
        option = self.config.getoption
        options = Options(
            quick=option("--upheld-quick"),
            fuzz=not option("--upheld-no-fuzz"),
            seed=option("--upheld-seed"),
            again=f"upheld check {self.path.parent}",
        )
        with opened(self.path, option("--upheld-target"), allow_hosts=self._hosts()) as ready:
            return examine(ready.contract, list(select(sorted(wanted)).values()), ready.running, options)


class Breached(Exception):
    """A promise that was not kept, on its way to the report."""

    def __init__(self, result: Result) -> None:
        self.result = result
        super().__init__(result.id)


class PromiseItem(pytest.Item):
    """One promise."""

    def __init__(self, *, promise: Promise, **rest: Any) -> None:
        super().__init__(**rest)
        self.promise = promise

    def runtest(self) -> None:
        from upheld.errors import UpheldError
        from upheld.verdict import Verdict

        assert isinstance(self.parent, ContractFile)
        try:
            run = self.parent.examined()
        except UpheldError as error:
            pytest.fail(str(error), pytrace=False)
        result = next((result for result in run.results if result.id == self.name), None)
        for result_ in [result] if result else []:
            self.user_properties += [("verdict", str(result_.verdict)), ("level", result_.level), ("seed", run.seed)]
        if result is None or result.verdict in (Verdict.UNPROVEN, Verdict.WAIVED, Verdict.NOT_APPLICABLE):
            if run.exit_status in (3, 4) and run.stopped:
                pytest.fail(f"the run ended early: {run.stopped}", pytrace=False)
            reason = f"{result.verdict}: {result.reason}" if result else "no verdict"
            pytest.skip(f"{reason}{f' | add: {result.add}' if result and result.add else ''}")
        if result.verdict is Verdict.BREACHED:
            raise Breached(result)
        if result.verdict is Verdict.ADVISORY:
            self.add_report_section("call", "advisory", block(result))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Breached):
            return block(excinfo.value.result)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.path.parent.name}: {self.name}"


def block(result: Result) -> str:
    """The lines of a breach."""
    lines = [f"{result.verdict.upper()}  {result.requirement}   {result.subject}"]
    if (evidence := result.evidence) is not None:
        pairs = ("sent", "required", "expected", "actual", "again", "curl")
        lines += [f"  {name:<10} {getattr(evidence, name)}" for name in pairs if getattr(evidence, name)]
    return "\n".join(lines)
