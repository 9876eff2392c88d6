"""Looks at a service that nobody here knows: single GETs to one origin, no credentials but those given, bounded answers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from urllib.parse import urljoin, urlsplit

import httpx

from upheld.errors import SetupError, TargetUnreachable
from upheld.exchange import Headers, Response
from upheld.run.prepare import DOCUMENT_BOUND

MOST = 40
"""GETs that one visit may take, whatever it looks for."""
PATIENCE = 10.0
"""Seconds that an answer may be silent, and, but for the document, that it may take."""
HOPS = 3


class Visitor:
    """Sends GETs to one scheme, host and port. ``sent`` counts them."""

    def __init__(self, client: httpx.Client, origin: str) -> None:
        self.origin = origin
        self.sent = 0
        self._client = client

    def get(self, url: str, fields: Mapping[str, str] | None = None, *, within: float = PATIENCE) -> Response | None:
        """The answer at a URL of the origin, redirects within it followed; None where nothing whole comes in time.

        Raises `TargetUnreachable` where nobody listens, and `SetupError` when it has asked too often.
        """
        for _ in range(HOPS):
            answer = self._once(url, fields or {}, within)
            whither = urljoin(url, answer.headers.get("location", "")) if answer else ""
            if answer is None or answer.status not in (301, 302, 303, 307, 308) or origin_of(whither) != self.origin:
                return answer
            url = whither
        return None

    def _once(self, url: str, fields: Mapping[str, str], within: float) -> Response | None:
        if self.sent >= MOST:
            raise SetupError(f"{self.origin}: {MOST} requests were not enough to know it")
        self.sent += 1
        began = time.monotonic()
        body = bytearray()
        try:
            with self._client.stream("GET", url, headers=dict(fields)) as answer:
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > DOCUMENT_BOUND or time.monotonic() - began > within:
                        return None
                return Response(answer.status_code, Headers(answer.headers.multi_items()), bytes(body))
        except httpx.ConnectError as error:
            raise TargetUnreachable(f"{self.origin} cannot be reached: {error}") from error
        except (httpx.HTTPError, httpx.InvalidURL):
            return None


@contextlib.contextmanager
def visiting(url: str) -> Iterator[Visitor]:
    """A visitor to the origin of ``url``. Proxies of the environment are not used."""
    with httpx.Client(timeout=PATIENCE, trust_env=False, follow_redirects=False) as client:
        client.headers["User-Agent"] = "upheld"
        yield Visitor(client, origin_of(url))


def origin_of(url: str) -> str:
    """``scheme://host:port`` of a URL, as it is written there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
