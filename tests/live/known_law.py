"""An HTTP server whose latencies follow a law that is known, and that counts what it served. Runs in a process of its own.

``python known_law.py`` prints its port and ends with its standard input. ``/law`` answers after 5 ms (90 %) or 60 ms (10 %),
``/slow`` after 150 ms, ``/late`` after 2 s, ``/stall`` at once, but it stands still for 0.8 s in every 2 s; ``/freeze`` is
``/law`` as `frozen` delays it; ``/wall`` answers 429, ``/fail`` 500, ``/redirect`` 302 to ``/counts``; ``/cut`` breaks off in its
body, ``/close`` closes without an answer, ``/never`` does not answer; ``/queue`` serves one after the other, 25 ms each, so that
it can do 40 a second. ``GET /counts`` tells how many requests each path had, and which bodies and credentials came more than
once.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter

counts: Counter[str] = Counter()
bodies: Counter[str] = Counter()
credentials: Counter[str] = Counter()
chance = random.Random(7)
stalled = False
turn = asyncio.Lock()


PERIOD, FREEZE = 2.0, 0.4


def frozen(moment: float, service: float) -> float:
    """Latency of a request that comes at ``moment`` of the server's time and takes ``service``, both in seconds: the server is
    frozen for the first `FREEZE` of each `PERIOD`, and what would begin or be done then waits for the end of that."""
    begun = moment + max(0.0, FREEZE - moment % PERIOD)
    done = begun + service
    return done + max(0.0, FREEZE - done % PERIOD) - moment


async def answer(path: str) -> tuple[int, bytes, bool]:
    if path == "/law":
        await asyncio.sleep(0.060 if chance.random() < 0.1 else 0.005)
    elif path == "/late":
        await asyncio.sleep(2.0)
    elif path == "/freeze":
        service = 0.060 if chance.random() < 0.1 else 0.005
        await asyncio.sleep(frozen(asyncio.get_running_loop().time(), service))
    elif path == "/queue":
        async with turn:
            await asyncio.sleep(0.025)
    elif path == "/slow":
        await asyncio.sleep(0.150)
    elif path == "/stall":
        # Everybody waits for the end of the stall, as behind a stopped process.
        await asyncio.sleep(max(0.0, 0.8 - asyncio.get_running_loop().time() % 2.0))
    elif path == "/never":
        await asyncio.sleep(3600)
    status = {"/wall": 429, "/fail": 500, "/redirect": 302}.get(path, 200)
    if path == "/counts":
        told = {"paths": counts, "twice": [b for b, n in bodies.items() if n > 1], "credentials": credentials}
        return status, json.dumps(told).encode(), False
    return status, json.dumps({"id": f"m{counts.total()}", "path": path}).encode(), path == "/cut"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            line, *fields = head.decode().split("\r\n")
            method, path, _ = line.split(" ")
            known = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields if f)}
            body = await reader.readexactly(int(known.get("content-length", "0")))
            key = path if method == "GET" else f"{method} {path}"
            if path != "/counts":
                counts[key] += 1
                credentials[known.get("authorization", "")] += 1
                if body:
                    bodies[body.decode()] += 1
            if path == "/close":
                return
            status, content, cut = await answer(path)
            extra = "Location: /counts\r\n" if status == 302 else ""
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}"
                f"Content-Length: {len(content) + (10 if cut else 0)}\r\n\r\n".encode()
                + content
            )
            await writer.drain()
            if cut:
                return
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with whoever started it: its standard input is their pipe.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
