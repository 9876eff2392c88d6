"""A real Chromium for tests that look at a page: the DevTools protocol over a pipe, so no port and no driver is needed.

https://chromedevtools.github.io/devtools-protocol/ names the methods and the events.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.services import Unavailable

SILENT_FOR = 120.0
"""Seconds after which a browser that says nothing has failed."""
FLAGS = (
    "--headless", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip
KEYS = {"Tab": 9, "Enter": 13, "/": 191}


def program() -> str:
    """Raises `Unavailable`."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        raise Unavailable("no chromium on PATH (Debian: apt-get install chromium)")
    return found


@contextmanager
def chromium() -> Iterator[Chromium]:
    """It runs, and ends with its pages and its profile. Raises `Unavailable`."""
    found = program()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as folder:
        running = Chromium(found, Path(folder))
        try:
            yield running
        finally:
            running.end()


class Chromium:
    """The browser itself."""

    def __init__(self, found: str, folder: Path) -> None:
        self._log = folder / "log"
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        # It reads from 3 and writes to 4; from above those numbers neither is closed by setting the other.
        low = (theirs_in, theirs_out)
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
        sandbox = () if os.geteuid() else ("--no-sandbox",)
        self._pid = os.posix_spawn(
            found,
            [found, *FLAGS, *sandbox, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, high[0], 3),
                (os.POSIX_SPAWN_DUP2, high[1], 4),
                (os.POSIX_SPAWN_OPEN, 1, str(self._log), os.O_WRONLY | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setpgroup=0,
        )
        for end in (*low, *high):
            os.close(end)
        self._read = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, session: str = "", /, **params: Any) -> dict[str, Any]:
        """The result of one method. Events that come before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def wait(self, event: str, session: str, since: int) -> None:
        """Until this event is among those that came after the first ``since`` ones."""
        while not any(e.get("method") == event and e.get("sessionId") == session for e in self.events[since:]):
            self.events.append(self._next())

    def page(self) -> Page:
        """A new one that shows nothing yet."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        return Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._from], [], [], SILENT_FOR)
            read = os.read(self._from, 1 << 16) if ready else b""
            assert read, f"the browser is silent or gone: {self._log.read_text(errors='replace')[-2000:]}"
            self._read += read
        line, _, self._read = self._read.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


class Page:
    """One page of the browser."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser, self._session = browser, session
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Until it is loaded."""
        since = len(self._browser.events)
        self._call("Page.navigate", url=url)
        self._browser.wait("Page.loadEventFired", self._session, since)

    def size(self, width: int, height: int) -> None:
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def scheme(self, name: str) -> None:
        """``light`` or ``dark``, as the reader's system prefers it."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def without_script(self) -> None:
        self._call("Emulation.setScriptExecutionDisabled", value=True)

    def press(self, key: str) -> None:
        text = {"Enter": "\r", "Tab": ""}.get(key, key)
        named: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        self._call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **named)
        self._call("Input.dispatchKeyEvent", type="keyUp", **named)

    def write(self, text: str) -> None:
        """Into what has the focus."""
        self._call("Input.insertText", text=text)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited where it is a promise."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    @property
    def requested(self) -> list[str]:
        """The addresses that it asked for."""
        return [seen["params"]["request"]["url"] for seen in self._events("Network.requestWillBeSent")]

    @property
    def complaints(self) -> list[str]:
        """Errors of its script, and what its own policy refused."""
        thrown = [str(seen["params"]["exceptionDetails"]) for seen in self._events("Runtime.exceptionThrown")]
        return thrown + [seen["params"]["entry"]["text"] for seen in self._events("Log.entryAdded")]

    def _events(self, method: str) -> Iterator[dict[str, Any]]:
        self.ask("1")  # whatever happened before has been told by then
        return (e for e in self._browser.events if e.get("method") == method and e.get("sessionId") == self._session)

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **params)
