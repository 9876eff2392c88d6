"""Between the engine and the socket: keeping within quotas, backing off from 429 and 503, source addresses on loopback.

Runs inside the engine's process, as the adapter of its HTTP library, because that is the one place which everything passes:
cases, and the engine's own probes too. What it backs off from the engine never sees.
"""

from __future__ import annotations

import email.utils
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from upheld.contract.model import RateRule
from upheld.run.pace import Book, Claim

LONGEST_WAIT = 10.0
"""Seconds that one Retry-After is waited for at most."""
TRIES = 3
STEP = 0.2
"""Seconds after which a longer wait looks whether it is still wanted."""
SPREAD = 10
"""A quota is used up in so many parts: its time is shared out among all operations, which follow one another."""


class Quotas:
    """Keeps what the engine sends within the contract's quotas."""

    def __init__(self, told: Mapping[str, Any], credentials: Mapping[str, Sequence[Sequence[str]]]) -> None:
        rules = [RateRule(**{**rule, "exempt": tuple(rule["exempt"])}) for rule in told["rules"]]
        self._book = Book(rules, told["prefix"])
        parts = [replace(r, quota=max(1, r.quota // SPREAD) + 1, window=r.window / SPREAD) for r in rules]
        self._parts = dict(zip(rules, parts, strict=True))
        self._even = Book(parts, told["prefix"])
        self._people = {value: told["people"][who] for who, fields in credentials.items() for _, value in fields}
        for rule, key, age in told["used"]:
            self._book.add([Claim(rules[rule], key)], age)

    def claims(self, request: requests.PreparedRequest, address: str | None) -> set[Claim]:
        """The places that it takes."""
        values = [v.decode("latin-1") if isinstance(v, bytes) else v for v in request.headers.values()]
        people = {self._people[value] for value in values if value in self._people}
        return self._book.claims(request.method or "GET", urlsplit(request.url or "").path or "/", people, address)

    def delay(self, claims: set[Claim]) -> float:
        """Seconds until there is room for it."""
        evenly = self._even.delay(dict.fromkeys(self._part(claims), 1))
        return max(self._book.delay(dict.fromkeys(claims, 1)), evenly)

    def sent(self, claims: set[Claim]) -> None:
        """It was answered, or will not be."""
        self._book.add(claims)
        self._even.add(self._part(claims))

    def _part(self, claims: set[Claim]) -> set[Claim]:
        return {Claim(self._parts[claim.rule], claim.key) for claim in claims}


class Patience:
    """How long the run may wait in all, and what it has waited for."""

    def __init__(
        self, addresses: Sequence[str], budget: float, requests: int | None = None, quotas: Quotas | None = None
    ) -> None:
        self.quotas = quotas
        """None where the limits are raised."""
        self.addresses = list(addresses)
        self.budget = budget
        self.requests = requests
        """How many may still be sent; None for as many as there is time for."""
        self.spent = False
        self.end = float("inf")
        """Wall-clock time after which nothing is sent."""
        self.over = False
        self.waited = 0.0
        self.seen: Counter[int] = Counter()
        self.given_up: Counter[int] = Counter()
        self._current = 0
        self._adapters: dict[int, HTTPAdapter] = {}
        self._lock = threading.Lock()

    def adapter(self) -> HTTPAdapter:
        """The adapter that is bound to the current source address."""
        with self._lock:
            number = self._current
            if number not in self._adapters:
                source = self.addresses[number] if number < len(self.addresses) else None
                self._adapters[number] = _Bound(source)
            return self._adapters[number]

    @property
    def address(self) -> str | None:
        """The current source address; None where it can't be chosen."""
        return self.addresses[self._current] if self._current < len(self.addresses) else None

    def admit(self, request: requests.PreparedRequest) -> set[Claim]:
        """Wait until the quotas have room for the request, or go on from an address that has. The places that it takes."""
        if self.quotas is None:
            return set()
        while True:
            claims = self.quotas.claims(request, self.address)
            seconds = self.quotas.delay(claims)
            if not seconds:
                return claims
            if f"address {self.address}" in {claim.key for claim in claims} and self.move():
                continue
            time.sleep(min(seconds, STEP))
            self._until_over()

    def take(self) -> None:
        """Account for a request about to be sent. Past a budget it ends the engine's work as Ctrl-C does.

        In the thread that sends: from there the engine still tells what it judged, from outside it would not.
        """
        self._until_over()
        with self._lock:
            if self.requests is not None:
                if self.requests <= 0:
                    self.spent = True
                    raise KeyboardInterrupt
                self.requests -= 1

    def _until_over(self) -> None:
        if time.time() >= self.end:
            self.over = True
            raise KeyboardInterrupt

    def stop(self) -> None:
        """Send nothing any more. Called from a signal handler, so it takes no lock."""
        self.end = 0.0

    def move(self) -> bool:
        """Go on from the next source address: a limit keyed by address has not seen it. False when none is left."""
        with self._lock:
            if self._current + 1 >= len(self.addresses):
                return False
            old = self._adapters.pop(self._current, None)
            self._current += 1
        if old is not None:
            old.close()
        return True

    def wait(self, seconds: float) -> bool:
        """Sleep, within the budget. False when there is no budget left to sleep as long as was asked."""
        seconds = max(0.05, seconds)
        if seconds > LONGEST_WAIT or self.waited + seconds > self.budget:
            return False
        self.waited += seconds
        time.sleep(seconds)
        return True


class _Bound(HTTPAdapter):
    """Connections from one source address."""

    def __init__(self, source: str | None) -> None:
        self._source = source
        super().__init__(pool_connections=2, pool_maxsize=4)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        if self._source is not None:
            kwargs["source_address"] = (self._source, 0)
        super().init_poolmanager(*args, **kwargs)


class Polite(HTTPAdapter):
    """Sends through the current address, and again, later or from elsewhere, what was answered with 429 or 503."""

    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self._patience = patience

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        patience = self._patience
        moved = False
        for attempt in range(TRIES):
            claims = patience.admit(request)
            patience.take()
            try:
                response = patience.adapter().send(request, *args, **kwargs)
            finally:
                if patience.quotas is not None:
                    patience.quotas.sent(claims)
            status = response.status_code
            if status not in (429, 503):
                return response
            patience.seen[status] += 1
            if attempt == TRIES - 1:
                break
            if status == 429 and not moved and patience.move():
                moved = True
            elif not patience.wait(retry_after(response.headers.get("Retry-After"))):
                break
            # Read to its end, so that the connection can be used again.
            _ = response.content
        patience.given_up[status] += 1
        return response

    def close(self) -> None:
        # The engine's probes close their sessions one by one; the pooled connections outlive them.
        super().close()


def retry_after(value: str | None) -> float:
    """Seconds (RFC 9110 §10.2.3: a number or an HTTP-date); one second where nothing is said."""
    text = (value or "").strip()
    if text.isdigit():
        return float(text)
    parsed = email.utils.parsedate_tz(text) if text else None
    return max(0.0, email.utils.mktime_tz(parsed) - time.time()) if parsed else 1.0


def install(patience: Patience) -> None:
    """Let every session of this process send through `Polite`: the engine makes sessions of its own and hands out none."""
    polite = Polite(patience)

    def get_adapter(_: requests.Session, url: Any) -> HTTPAdapter:
        return polite

    setattr(requests.Session, "get_adapter", get_adapter)  # noqa: B010
