"""What every test may ask for, and what a run has to have done to count."""

from __future__ import annotations

import gc
import os
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

import pytest
from hypothesis import settings

from tests import browser, services

# The suite is a gate: the same tree gives the same answer. `HYPOTHESIS_PROFILE=explore scripts/test` looks for new examples.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

SERVICES = {"redis_url", "postgres_server", "postgres_url"}
NEEDS = ("needs", "services")


class Guard:
    """Fails a run that had to try the tests with real services and tried none of them."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()

    @property
    def complaint(self) -> str:
        tried = self.outcomes["passed"] + self.outcomes["failed"]
        if os.environ.get("UPHELD_TEST_REQUIRE_SERVICES") != "1" or tried or os.environ.get("UPHELD_TEST_REPEATED"):
            return ""
        return (
            f"UPHELD_TEST_REQUIRE_SERVICES=1, and no test with a real service ran ({self.outcomes['skipped']} skipped)"
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        needs = NEEDS in (tuple(pair) for pair in report.user_properties)
        if needs and (report.when == "call" or (report.when == "setup" and not report.passed)):
            self.outcomes[report.outcome] += 1

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.complaint and not session.config.option.collectonly:
            session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.complaint:
            terminalreporter.write_line(self.complaint, red=True)


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in its background with the interrupt ignored; what the tests start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Guard(), "upheld-services-guard")


def pytest_collection_finish() -> None:
    """Thousands of collected items live until the end: no collector needs to look at them again and again."""
    gc.freeze()


def pytest_report_header() -> str:
    return services.described()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Whoever asks for a service is marked, without having to say so."""
    if SERVICES & set(getattr(item, "fixturenames", ())):
        item.add_marker("services")
    if item.get_closest_marker("services"):
        # Unlike the marker's name among the keywords, this cannot be mistaken for a folder; xdist carries it along.
        item.user_properties.append(NEEDS)


Service = TypeVar("Service")


def _entered(stack: ExitStack, service: AbstractContextManager[Service]) -> Service:
    try:
        return stack.enter_context(service)
    except services.Unavailable as error:
        if services.required():
            pytest.fail(f"a service that has to be there is not: {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis. Tests of one process share it: keep to keys of your own, or empty it first."""
    with ExitStack() as stack:
        yield _entered(stack, services.redis())


@pytest.fixture(scope="session")
def chromium() -> Iterator[browser.Chromium]:
    """A real browser; ask it for a page of your own."""
    with ExitStack() as stack:
        yield _entered(stack, browser.chromium())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real PostgreSQL, by the URL of its maintenance database."""
    with ExitStack() as stack:
        yield _entered(stack, services.postgres())


@pytest.fixture(scope="module")
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty PostgreSQL database for this test module alone."""
    with services.database(postgres_server, f"upheld_test_{secrets.token_hex(6)}") as url:
        yield url
