"""A network between a client and its server that can be slow, silent, cut, or lose one reply."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from sqlalchemy.engine import make_url

from tests.servers.waiting import free_port

_CHUNK = 65_536
_LONGEST_PATTERN = 256
_LOOK_UP = 0.05  # seconds between two looks of the acceptor at whether it should go on


class CuttingProxy:
    """Forwards TCP connections to a server, and fails them on demand.

    Knows no protocol: it looks for bytes in what the client sends, and takes a reply for complete when the
    server has said something and then been quiet for *settle*. That holds for a client that waits for each
    reply, as psycopg and PyMySQL do, not for one in pipeline mode.

    Args:
        upstream_host: The server's host.
        upstream_port: The server's port.
        settle: How long the server must be quiet before its reply counts as complete.

    Attributes:
        host: Where to connect instead.
        port: The port; the same for its whole life, also after `refuse`.
        accepted: Connections it has taken so far.
    """

    host = "127.0.0.1"

    def __init__(
        self, upstream_host: str, upstream_port: int, *, settle: timedelta = timedelta(milliseconds=100)
    ) -> None:
        self.port = free_port()
        self.accepted = 0
        self.settle = settle
        self.latency = timedelta(0)
        self._upstream = (upstream_host, upstream_port)
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._cuts: list[Cut] = []
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._listen()

    def url(self, server_url: str) -> str:
        """Return *server_url* by way of this proxy."""
        return make_url(server_url).set(host=self.host, port=self.port).render_as_string(hide_password=False)

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return sum(link.open for link in self._links)

    # -- weather -----------------------------------------------------------------------------------

    def delay(self, latency: timedelta) -> None:
        """From now on let each message take *latency* more, each way."""
        self.latency = latency

    def freeze(self) -> None:
        """Deliver nothing, either way; connections stay open and new ones are taken, in silence."""
        self._flowing.clear()

    def refuse(self) -> None:
        """Refuse new connections; those that are open go on."""
        listener, self._listener = self._listener, None
        if listener is not None and self._acceptor is not None:
            self._acceptor.join()
            listener.close()

    def restore(self) -> None:
        """Be a good network again: deliver what was held back, take connections, lose nothing, lose no time."""
        self.latency = timedelta(0)
        with self._lock:
            self._cuts.clear()
        self._flowing.set()
        self._listen()

    def cut(self) -> None:
        """Close every connection; what is on its way is lost. New ones are taken."""
        for link in self._all_links():
            link.cut()

    # -- lost messages -----------------------------------------------------------------------------

    def cut_reply_after(self, pattern: bytes) -> Cut:
        """Lose the reply to the next message with *pattern*: the server gets it and acts, the client never hears.

        The reply is read to its end before the client's connection is closed, so that what the message did
        can be seen by then. One connection, once; ask again for another. A plain ``b"COMMIT"`` is the end of
        a transaction on every server: ``AUTOCOMMIT`` does not count.
        """
        return self._expect(Cut(pattern, delivered=True))

    def cut_before(self, pattern: bytes) -> Cut:
        """Lose the next message with *pattern* itself: the connection is closed and the server never sees it."""
        return self._expect(Cut(pattern, delivered=False))

    def _expect(self, cut: Cut) -> Cut:
        with self._lock:
            self._cuts.append(cut)
        return cut

    def _take_cut(self, before: bytes, sent: bytes) -> Cut | None:
        """Return the cut that *sent*, behind *before*, calls for; nobody else gets it."""
        with self._lock:
            for cut in self._cuts:
                if cut.is_called_for_by(before, sent):
                    self._cuts.remove(cut)
                    return cut
        return None

    # -- its life ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close all connections and the port."""
        self._closed.set()
        self.refuse()
        self.cut()
        self._flowing.set()
        for link in self._all_links():
            link.thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server((self.host, self.port))
            self._listener.settimeout(_LOOK_UP)
            self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
            self._acceptor.start()

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            try:
                server = socket.create_connection(self._upstream, timeout=5)
            except OSError:
                client.close()  # the server is down: so it looks from here
                continue
            server.settimeout(None)
            link = _Link(self, client, server)
            with self._lock:
                self.accepted += 1
                self._links.add(link)
            link.thread.start()

    def _all_links(self) -> list[_Link]:
        with self._lock:
            return list(self._links)

    def _delivered(self) -> bool:
        """Wait out freeze and latency; return False when the proxy is closed meanwhile."""
        self._flowing.wait()
        return not self._closed.wait(self.latency.total_seconds())

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)


class Cut:
    """A message to be lost, or its reply.

    Attributes:
        delivered: Whether the server gets the message.
        happened: Set when the connection has been cut for it.
    """

    def __init__(self, pattern: bytes, *, delivered: bool) -> None:
        self.delivered = delivered
        self.happened = threading.Event()
        # "SET AUTOCOMMIT = 0" opens every connection of PyMySQL, and nobody who says COMMIT means it.
        self._pattern = re.compile(rb"(?<!AUTO)" + re.escape(pattern))

    def is_called_for_by(self, before: bytes, sent: bytes) -> bool:
        """Say whether the pattern ends in *sent*; it may have begun in *before*, but one that ended there is past."""
        before = before[-_LONGEST_PATTERN:]
        return any(match.end() > len(before) for match in self._pattern.finditer(before + sent))


class _Link:
    """One connection: two threads, a direction each."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self.open = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._proxy = proxy
        self._client, self._server = client, server
        self._cut: Cut | None = None

    def cut(self) -> None:
        """Wake both threads, which then end.

        The sockets are closed by the last of them: closing one that a thread is about to read from may give
        that thread another connection under the same number.
        """
        self.open = False
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        down = threading.Thread(target=self._until_cut, args=(self._down,), daemon=True)
        down.start()
        self._until_cut(self._up)
        down.join()
        self._client.close()
        self._server.close()
        self._proxy._forget(self)

    def _until_cut(self, way: Callable[[], None]) -> None:
        try:
            with suppress(OSError):  # either end has gone, or we have cut
                way()
        finally:
            self.cut()

    def _up(self) -> None:
        """From the client to the server, watching for the message to lose."""
        before = b""
        while (chunk := self._client.recv(_CHUNK)) and self._proxy._delivered():
            cut = self._cut or self._proxy._take_cut(before, chunk)
            if cut and not cut.delivered:
                self.cut()
                cut.happened.set()
                return
            self._cut = cut  # before the message goes: the reply must find it
            self._server.sendall(chunk)
            before = chunk

    def _down(self) -> None:
        """From the server to the client, until a reply is to be lost."""
        while (chunk := self._server.recv(_CHUNK)) and self._proxy._delivered():
            if self._cut is not None:
                self._read_to_the_end()
                self.cut()
                self._cut.happened.set()
                return
            self._client.sendall(chunk)

    def _read_to_the_end(self) -> None:
        self._server.settimeout(self._proxy.settle.total_seconds())
        with suppress(OSError):  # quiet for that long, or gone
            while self._server.recv(_CHUNK):
                pass
