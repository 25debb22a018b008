"""A tiny HTTP server on the loopback that the demo's jobs fetch from."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

from tickonce.clock import SYSTEM_CLOCK
from tickonce.durations import parse_duration

_ROWS = 5


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with rows of JSON; ``?wait=1s`` takes its time."""
        url = urlsplit(self.path)
        for wait in parse_qs(url.query).get("wait", []):
            SYSTEM_CLOCK.sleep(parse_duration(wait))
        name = url.path.strip("/")
        body = json.dumps([{"feed": name, "row": number} for number in range(_ROWS)]).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            return  # who asked was killed meanwhile, as is the demo's point

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a killed node hangs up in the middle of a request."""


class Feed:
    """The server, for the length of a ``with`` block."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Answer)
        self._thread = threading.Thread(target=self._server.serve_forever, name="demo-feed", daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
