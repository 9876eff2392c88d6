"""Does an address answer in HTTP? The one request that targets send on their own; everything else is the driver's."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one GET: a status, or the reason why there is none."""

    status: int | None
    reason: str = ""

    @property
    def ready(self) -> bool:
        """2xx to 4xx: whatever the route thinks of the request, the service behind it is up."""
        return self.status is not None and 200 <= self.status < 500


def ask(url: str, path: str = "/", *, timeout: float = 5.0) -> Answer:
    """GET ``path`` of the service at ``url``: no redirect followed, no proxy used, the body not read."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return Answer(None, "the connection is refused: nothing listens there")
    except TimeoutError:
        return Answer(None, f"no connection within {timeout:g} s")
    except socket.gaierror as error:
        return Answer(None, f"the name {parts.hostname!r} does not resolve ({error.strerror or error})")
    except ssl.SSLCertVerificationError as error:
        return Answer(
            None, f"its certificate is not trusted ({error.verify_message}); SSL_CERT_FILE names another root"
        )
    except ssl.SSLError as error:
        return Answer(None, f"it does not speak TLS there ({error.reason or error}); is it http instead of https?")
    except OSError as error:
        return Answer(None, f"no connection ({error.strerror or error})")
    try:
        connection.request(
            "GET", parts.path.rstrip("/") + path, headers={"Connection": "close", "User-Agent": "upheld"}
        )
        return Answer(connection.getresponse().status)
    except TimeoutError:
        return Answer(None, f"it takes the connection and does not answer within {timeout:g} s")
    except http.client.RemoteDisconnected:
        return Answer(None, "it closes the connection without an answer; is it https instead of http?")
    except http.client.HTTPException as error:
        said = str(error)[:60] or type(error).__name__
        return Answer(None, f"something listens there that does not speak HTTP: {said!r}")
    except OSError as error:
        return Answer(None, f"the connection broke ({error.strerror or error})")
    finally:
        connection.close()
