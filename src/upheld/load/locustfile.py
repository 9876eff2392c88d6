"""The locustfile: ``upheld load`` starts Locust with it, and so may you (see load/README.md). It names what it reads:

* ``UPHELD_LOAD_PLAN``: the plan, written by ``upheld load --save-plan FILE``; a worker gets it from its master when unset,
* ``UPHELD_LOAD_SECRETS``: the credentials that belong to it; ``FILE.secrets`` when unset, standard input
  when it is ``-``,
* ``UPHELD_LOAD_SHARE_SECRETS``: ``1`` when a master is to send them, unencrypted, to workers that have no plan,
* ``UPHELD_LOAD_RESULT``: where the counts go at the end; without it the verdict is logged,
* ``UPHELD_LOAD_METRICS_PORT``: port of loopback on which the counts are told in Prometheus' text format while it runs.

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
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.pywsgi import WSGIServer
from locust.runners import MasterRunner, WorkerRunner

from upheld.load import protocol
from upheld.load.client import CONNECTIONS
from upheld.load.conductor import Decided
from upheld.load.metrics import CONTENT_TYPE, Moment, exposition
from upheld.load.nodes import Alone, Master, Node, Worker, lacking
from upheld.load.outcome import load_run
from upheld.load.plan import Plan, Secrets, loads
from upheld.load.process import METRICS, PLAN, RESULT, SECRETS, SHARE
from upheld.load.sequential import Watch, promises
from upheld.load.verdict import MISSED
from upheld.verdict import Exit

NO_PLAN = (
    "UPHELD_LOAD_PLAN names no plan, so there is nothing to send. Make one, then start Locust again:\n"
    "  upheld load CONTRACT --save-plan plan.json\n"
    "  UPHELD_LOAD_PLAN=plan.json locust -f load/locustfile.py"
)

log = logging.getLogger("upheld.load")


def _read_plan() -> Plan | None:
    name = os.environ.get(PLAN)
    try:
        return loads(Path(name).read_text(encoding="utf-8")) if name else None
    except (OSError, ValueError) as error:
        sys.exit(f"{name}: {error}")


def _beside() -> str:
    plan = os.environ.get(PLAN)
    return os.environ.get(SECRETS) or (f"{plan}.secrets" if plan else "")


def _read_secrets() -> Secrets | None:
    """None when there are none here."""
    name = _beside()
    try:
        if name == "-":
            known: Secrets = json.loads(sys.stdin.read())
        elif name and Path(name).exists():
            known = json.loads(Path(name).read_text(encoding="utf-8"))
        else:
            return None
    except (OSError, ValueError) as error:
        sys.exit(f"{name}: {error}")
    return known


_plan, _secrets = _read_plan(), _read_secrets()
gc.freeze()
# Every spawn would look at the stack.
gevent.config.track_greenlet_tree = False
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(_hard, max(_soft, CONNECTIONS + 200)), _hard))


class Generator(locust.FastHttpUser):
    """What Locust starts, stops and shows. The requests are sent by the driver of its process, however many users there are."""

    host = _plan.base_url if _plan else "http://127.0.0.1"

    @locust.task
    def idle(self) -> None:
        gevent.sleep(3600)


_node: Node | None = None
_exit_status = Exit.KEPT


def _decided(plan: Plan) -> Decided:
    return Watch(promises(plan)).decided


def _tell(progress: Mapping[str, Any]) -> None:
    if os.environ.get(RESULT):
        protocol.tell(progress)


def _conclude(plan: Plan, result: Mapping[str, Any] | None, trouble: str) -> None:
    global _exit_status
    if target := os.environ.get(RESULT):
        protocol.write(Path(target), {"trouble": trouble, **(result or {})})
        return
    run = load_run(plan, result, trouble=trouble)
    for said in (*run.notes, run.reason):
        if said:
            log.info("%s", said)
    for row in run.rows:
        log.info("%-12s %s%s", row.verdict, row.name, f": {row.reason}" if row.reason else "")
    _exit_status = Exit.BREACHED if any(row.verdict == MISSED for row in run.rows) else Exit.KEPT


def _serve_metrics(plan: Plan, port: int) -> None:
    def answer(environ: Mapping[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"the counts are at /metrics\n"]
        start_response("200 OK", [("Content-Type", CONTENT_TYPE)])
        return [exposition(plan, _node.moment() if _node else Moment({})).encode()]

    server = WSGIServer(("127.0.0.1", port), answer, log=None)
    try:
        server.start()
    except OSError as error:
        sys.exit(f"{METRICS}: 127.0.0.1:{port} can't be listened on: {error.strerror or error}")


def _prepare(environment: Any, **_: Any) -> None:
    global _node
    runner = environment.runner
    # After Locust's own listener, and so, because they are called in reverse, before that cuts the connection.
    environment.events.quitting.add_listener(_quit)
    if isinstance(runner, WorkerRunner):
        _node = Worker(environment, _plan, _secrets, _beside() or SECRETS)
        return
    if _plan is None:
        sys.exit(NO_PLAN)

    def conclude(plan: Plan, result: Mapping[str, Any] | None, trouble: str) -> None:
        _conclude(plan, result, trouble)
        gevent.spawn(runner.quit if environment.parsed_options.headless else runner.stop)

    if isinstance(runner, MasterRunner):
        shared = _secrets if os.environ.get(SHARE) == "1" else None
        _node = Master(environment, _plan, shared, decided=_decided(_plan), tell=_tell, conclude=conclude)
        _tell({"port": runner.server.port})
    else:
        if trouble := lacking(_plan, _secrets, _beside()):
            sys.exit(trouble)
        _node = Alone(environment, _plan, _secrets or {}, decided=_decided(_plan), tell=_tell, conclude=conclude)
    if port := os.environ.get(METRICS):
        _serve_metrics(_plan, int(port))


def _start(environment: Any, **_: Any) -> None:
    if _node is not None:
        _node.start()


def _stop(environment: Any, **_: Any) -> None:
    if _node is not None:
        _node.stop()


def _quit(environment: Any, **_: Any) -> None:
    _stop(environment)
    environment.process_exit_code = int(_exit_status)


_events: Any = locust.events
_events.init.add_listener(_prepare)
_events.test_start.add_listener(_start)
_events.test_stopping.add_listener(_stop)
