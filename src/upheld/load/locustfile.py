"""The locustfile: ``upheld load`` starts Locust with it, and so may you (see load/README.md). It names what it reads:

* ``UPHELD_LOAD_PLAN``: the plan, written by ``upheld load --save-plan FILE``,
* ``UPHELD_LOAD_SECRETS``: the credentials that belong to it; ``FILE.secrets`` when unset, standard input
  when it is ``-``,
* ``UPHELD_LOAD_RESULT``: where the counts go at the end; without it the verdict is logged.

Locust gives the process, the connections, its web interface and its workers; the schedule, the latencies and the verdict are
ours, because Locust's run time, waits and percentiles answer other questions.
"""

# Locust patches socket and ssl, which must happen before anything else imports them.
import locust  # isort: skip

import gc
import json
import logging
import os
import resource
import secrets as entropy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
from geventhttpclient.url import URL
from locust.contrib.fasthttp import LocustBadStatusCode, LocustUserAgent
from locust.runners import WorkerRunner

from upheld.load import protocol
from upheld.load.driver import Answer, Driver
from upheld.load.outcome import load_run
from upheld.load.plan import Plan, Secrets, loads, missing_secrets
from upheld.load.verdict import MISSED
from upheld.verdict import Exit

CONNECTIONS = 900
"""Most connections at once: geventhttpclient asks select() whether one is alive, which ends at descriptor 1,023."""
ANSWER_WITHIN = 60.0

log = logging.getLogger("upheld.load")


def _text(secrets: str) -> str:
    if secrets == "-":
        return sys.stdin.read()
    file = Path(secrets)
    return file.read_text(encoding="utf-8") if file.exists() else "{}"


def _read() -> tuple[Plan, Secrets]:
    name = os.environ.get("UPHELD_LOAD_PLAN")
    if not name:
        sys.exit(
            "UPHELD_LOAD_PLAN names no plan, so there is nothing to send. Make one, then start Locust again:\n"
            "  upheld load CONTRACT --save-plan plan.json\n"
            "  UPHELD_LOAD_PLAN=plan.json locust -f load/locustfile.py"
        )
    try:
        plan = loads(Path(name).read_text(encoding="utf-8"))
        beside = os.environ.get("UPHELD_LOAD_SECRETS") or f"{name}.secrets"
        known: Secrets = json.loads(_text(beside))
    except (OSError, ValueError) as error:
        sys.exit(f"{name}: {error}")
    if missing := list(missing_secrets(plan, known)):
        sys.exit(f"{beside} has no credentials of {', '.join(missing)}")
    return plan, known


_plan, _secrets = _read()
gc.freeze()
# Follow no redirect. Said for each request, allow_redirects=False is not safe in parallel: it changes the shared client.
LocustUserAgent.redirect_response_codes = frozenset()
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(_hard, max(_soft, CONNECTIONS + 200)), _hard))


class Generator(locust.FastHttpUser):
    """Sends the whole plan of this process; a second one in the same process has nothing to do."""

    host = _plan.base_url
    concurrency = CONNECTIONS
    insecure = False
    max_redirects = 0
    connection_timeout = ANSWER_WITHIN
    network_timeout = ANSWER_WITHIN
    driver: Driver | None = None
    """The run of this process, from its start to its end."""
    exit_status = Exit.KEPT

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        agent = self.client.client
        # Cookies would go from one identity to another.
        agent.cookiejar = None
        # The pool's size is also how often the client sends a request again whose connection broke: once is enough.
        agent.clientpool.get_client(URL(self.host))._connection_pool.size = 0

    @locust.task
    def press(self) -> None:
        if Generator.driver is not None:
            gevent.sleep(3600)
            return
        runner = self.environment.runner
        worker = isinstance(runner, WorkerRunner)
        Generator.driver = Driver(
            _plan,
            _secrets,
            self.send,
            generator=runner.worker_index if worker else 0,
            generators=max(1, self.environment.parsed_options.expect_workers) if worker else 1,
            namespace="".join(entropy.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(6)),
        )
        Generator.driver.run()
        if not worker:
            gevent.spawn(runner.quit if self.environment.parsed_options.headless else runner.stop)
        gevent.sleep(3600)

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, label: str) -> Answer:
        answer = self._send(method, path, headers, body, label)
        # A server may close an idle connection just when a request is put on it (RFC 9112 §9.3.1). Browsers and proxies send
        # again on a new one when not one octet came back; to call it the service's error would be false.
        return self._send(method, path, headers, body, label) if answer.error == "HTTPConnectionClosed" else answer

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, label: str) -> Answer:
        session: Any = self.client
        with session.request(
            method, path, name=label, data=body, headers=dict(headers), catch_response=True
        ) as response:
            broken = response.request_meta["exception"]
            if broken is not None and not isinstance(broken, LocustBadStatusCode):
                return Answer(0, type(broken).__name__)
            return Answer(response.status_code, body=response.content or b"", headers=response.headers or {})


def _finish() -> None:
    driver = Generator.driver
    if driver is None:
        return
    Generator.driver = None
    result = driver.result()
    if target := os.environ.get("UPHELD_LOAD_RESULT"):
        protocol.write(Path(target), result)
        return
    run = load_run(_plan, result)
    for note in run.notes:
        log.info("%s", note)
    for row in run.rows:
        log.info("%-12s %s%s", row.verdict, row.name, f": {row.reason}" if row.reason else "")
    Generator.exit_status = Exit.BREACHED if any(row.verdict == MISSED for row in run.rows) else Exit.KEPT


def _begin(environment: Any, **_: Any) -> None:
    Generator.driver = None


def _stop(environment: Any, **_: Any) -> None:
    _finish()


def _announce(environment: Any, **_: Any) -> None:
    if not os.environ.get("UPHELD_LOAD_RESULT"):
        return

    def tell() -> None:
        while True:
            gevent.sleep(1)
            if Generator.driver is not None:
                protocol.tell(Generator.driver.progress())

    gevent.spawn(tell)


def _quit(environment: Any, **_: Any) -> None:
    runner = environment.runner
    if runner is not None and Generator.driver is not None:
        runner.stop()
    _finish()
    environment.process_exit_code = int(Generator.exit_status)


_events: Any = locust.events
_events.init.add_listener(_announce)
_events.test_start.add_listener(_begin)
_events.test_stop.add_listener(_stop)
_events.quitting.add_listener(_quit)
