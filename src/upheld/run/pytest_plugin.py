"""pytest collects files named ``upheld.yaml``: each promise is an item, ``upheld.yaml::http/challenge[GET /items]``.

The promises that are selected are examined together, once, when the first of them is due (under xdist once for all
workers); each item then reads its verdict. Without such a file the plugin does nothing, and it imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from upheld.check import Check
    from upheld.contract import Contract
    from upheld.run.plan import Promise
    from upheld.run.since import Since
    from upheld.verdict import Result, Run

NAMES = ("upheld.yaml", "upheld.yml")
SHARED = "upheld_shared"
"""What a worker of xdist is told: the folder in which the workers of one session share their runs."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("upheld", "promises of a running API (upheld.yaml)")
    group.addoption("--upheld-target", metavar="URL", help="the running service; wins over the contract's target")
    group.addoption("--upheld-quick", action="store_true", help="no waiting for rate windows, short fuzzing")
    group.addoption("--upheld-no-fuzz", action="store_true", help="generate no requests")
    group.addoption("--upheld-seed", type=int, help="seed of everything generated")
    group.addoption(
        "--upheld-allow-host", action="append", default=[], metavar="HOST", help="a host that may be contacted"
    )
    group.addoption("--upheld-baseline", metavar="FILE", help="breaches that are known: their tests are skipped")
    group.addoption("--upheld-since", metavar="REV", help="only what differs from the contract at this git revision")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist starts a worker: all of them get one folder of this session alone."""
    config = node.config
    if not hasattr(config, "_upheld_shared"):
        from tempfile import mkdtemp

        config._upheld_shared = mkdtemp(prefix="upheld-")
    node.workerinput[SHARED] = config._upheld_shared


def pytest_unconfigure(config: pytest.Config) -> None:
    shared = getattr(config, "_upheld_shared", None)
    if shared is not None:
        from shutil import rmtree

        rmtree(shared, ignore_errors=True)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.name in NAMES:
        file: ContractFile = ContractFile.from_parent(parent, path=file_path)
        return file
    return None


class ContractFile(pytest.File):
    """One upheld.yaml and its promises."""

    contract: Contract
    since: Since | None = None
    outcome: Run | str | None = None
    """The run, or why there is none."""
    told: bool = False
    """Whether an item has told why the run was worth nothing; the others need not."""

    def collect(self) -> Iterator[pytest.Item]:
        from upheld.errors import UpheldError
        from upheld.run.plan import plan

        quick = self.config.getoption("--upheld-quick")
        try:
            self.contract = self._read()
            self.since = self._since()
            only = self.since.includes if self.since else None
            promises = plan(self.contract, self._checks(), quick=quick, only=only).promises
        except UpheldError as error:
            raise self.CollectError(str(error)) from error
        for promise in promises:
            # Given as text, it is read as pytest reads the ids in its cache (`--lf`): name and parameters apart.
            nodeid = f"{self.nodeid}::{promise.id}"
            item: PromiseItem = PromiseItem.from_parent(self, name=promise.id, nodeid=nodeid, promise=promise)
            _mark_for_allure(item)
            yield item

    def _checks(self) -> list[Check]:
        from upheld.checks import select

        checks = self.contract.policy.checks
        return list(select(checks.only, checks.skip).values())

    def _read(self) -> Contract:
        from upheld.contract.load import load, policy_only
        from upheld.run.prepare import opened

        target = self.config.getoption("--upheld-target")
        if policy_only(self.path).document_served is None:
            return load(self.path, target_url=target)
        with opened(self.path, target, allow_hosts=self._hosts(), profiles=("raised",)) as ready:
            return ready.contract

    def _since(self) -> Since | None:
        from upheld.run.since import since

        revision = self.config.getoption("--upheld-since")
        return since(self.path, revision, self.config.getoption("--upheld-target")) if revision else None

    def _baseline(self) -> Path | None:
        named = self.config.getoption("--upheld-baseline")
        return self.config.invocation_params.dir / named if named else None

    def _hosts(self) -> list[str]:
        hosts: list[str] = self.config.getoption("--upheld-allow-host")
        return hosts

    def examined(self) -> Run | str:
        """The run of all selected promises of this file, made now or already made by another worker; else why there is none."""
        if self.outcome is None:
            worker = getattr(self.config, "workerinput", {})
            self.outcome = self._once(Path(worker[SHARED])) if SHARED in worker else self._examined()
        return self.outcome

    def _once(self, folder: Path) -> Run | str:
        """Under xdist the first worker examines and the others wait for its result."""
        import fcntl
        import hashlib
        import pickle

        kept = folder / f"{hashlib.sha256(bytes(self.path)).hexdigest()[:24]}.run"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                partial = kept.with_suffix(".part")
                partial.write_bytes(pickle.dumps(self._examined()))
                partial.replace(kept)
            outcome: Run | str = pickle.loads(kept.read_bytes())
            return outcome

    def _examined(self) -> Run | str:
        from upheld.errors import UpheldError

        try:
            return self._examine()
        except UpheldError as error:
            return str(error)

    def _examine(self) -> Run:
        import shlex

        from upheld.run.examine import Options, examine
        from upheld.run.prepare import opened

        wanted = {
            item.promise.check.id
            for item in self.session.items
            if isinstance(item, PromiseItem) and item.parent is self
        }
        option = self.config.getoption
        target = option("--upheld-target")
        options = Options(
            quick=option("--upheld-quick"),
            fuzz=not option("--upheld-no-fuzz") and (self.since is None or self.since.can_be_fuzzed(self.contract)),
            seed=option("--upheld-seed"),
            since=self.since,
            again=f"upheld check {shlex.quote(str(self.path.parent))}" + (f" --target {target}" if target else ""),
        )
        checks = [check for check in self._checks() if check.id in wanted]
        timed = () if options.quick else checks
        opening = opened(
            self.path, target, allow_hosts=self._hosts(), played=lambda policy: timed, baseline=self._baseline()
        )
        with opening as ready:
            return examine(ready.contract, checks, ready.running, options)


class Breached(AssertionError):
    """A promise that was not kept, on its way to the report."""

    def __init__(self, result: Result) -> None:
        self.result = result
        super().__init__(block(result))


class PromiseItem(pytest.Item):
    """One promise."""

    def __init__(self, *, promise: Promise, **rest: Any) -> None:
        super().__init__(**rest)
        self.promise = promise

    def runtest(self) -> None:
        from upheld.verdict import Exit, Verdict

        _tell_allure(self)
        file = self.parent
        assert isinstance(file, ContractFile)
        run = file.examined()
        if isinstance(run, str):
            self._worthless(file, run)
            return
        if run.exit_status == Exit.INTERRUPTED:
            raise KeyboardInterrupt
        result = next((result for result in run.results if result.id == self.name), None)
        if result is not None:
            self.user_properties += [("verdict", str(result.verdict)), ("level", result.level), ("seed", run.seed)]
        if result is None or result.verdict in (Verdict.UNPROVEN, Verdict.WAIVED, Verdict.NOT_APPLICABLE):
            settled = result is not None and result.verdict is not Verdict.UNPROVEN
            if run.exit_status in (Exit.USAGE, Exit.TARGET, Exit.HARNESS) and not settled:
                self._worthless(file, run.stopped or "; ".join(run.notes))
            reason = f"{result.verdict}: {result.reason}" if result else "no verdict"
            pytest.skip(f"{reason}{f' | add: {result.add}' if result and result.add else ''}")
        if result.verdict is Verdict.BREACHED:
            raise Breached(result)
        if result.verdict is Verdict.ADVISORY:
            self.add_report_section("call", "advisory", block(result))

    def _worthless(self, file: ContractFile, why: str) -> None:
        """One item fails and says why; hundreds that said the same would hide it."""
        if file.told:
            pytest.skip("unproven: the run did not come to its end; the first item of this file says why")
        file.told = True
        pytest.fail(f"nothing more could be proven: {why}", pytrace=False)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Breached):
            return block(excinfo.value.result)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, f"{self.path.parent.name}: {self.name}"


SEVERITY = {"MUST": "critical", "SHOULD": "normal", "MAY": "minor"}
"""What Allure calls the levels."""


def _mark_for_allure(item: PromiseItem) -> None:
    """Severity, clause and suites as the marks that allure-pytest reads, where it is there to read them."""
    if not hasattr(item.config.option, "allure_report_dir"):
        return
    check = item.promise.check
    labels = {
        "severity": SEVERITY[str(check.level)],
        "parentSuite": item.path.parent.name,
        "suite": check.group,
        "subSuite": check.id,
    }
    for label, value in labels.items():
        item.add_marker(pytest.mark.allure_label(value, label_type=label))
    clause = check.requirement.clause
    item.add_marker(pytest.mark.allure_link(clause.url, link_type="link", name=clause.text))


def _tell_allure(item: PromiseItem) -> None:
    """The title, and the subject as a parameter: without it, all promises of one requirement would share one history."""
    import sys

    allure = sys.modules.get("allure")
    if allure is None or not getattr(item.config.option, "allure_report_dir", None):
        return
    subject = item.promise.subject.label
    allure.dynamic.title(f"{item.promise.check.title}: {subject}")
    allure.dynamic.parameter("subject", subject)


def block(result: Result) -> str:
    """The lines of a breach."""
    lines = [f"{result.verdict.upper()}  {result.requirement}   {result.subject}"]
    if (evidence := result.evidence) is not None:
        pairs = ("sent", "required", "expected", "actual", "again", "curl")
        lines += [f"  {name:<10} {getattr(evidence, name)}" for name in pairs if getattr(evidence, name)]
    return "\n".join(lines)
