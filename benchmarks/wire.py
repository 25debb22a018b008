"""Counts the statements that a server is asked to carry out, on their way to it: exact, whatever else it does."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from benchmarks.places import Kind

_PIECE = 64 * 1024


class PostgresqlMessages:
    """Messages of a client: a letter, a length, a body; but the first one has no letter."""

    def __init__(self) -> None:
        self.statements = 0
        self._rest = b""
        self._started = False

    def feed(self, data: bytes) -> None:
        """Take in what the client sent."""
        self._rest += data
        while True:
            head = 1 if self._started else 0
            if len(self._rest) < head + 4:
                return
            size = head + int.from_bytes(self._rest[head : head + 4])
            if len(self._rest) < size:
                return
            # A simple query, or the execution of a parsed one.
            self.statements += self._started and self._rest[:1] in {b"Q", b"E"}
            self._started = True
            self._rest = self._rest[size:]


class MysqlMessages:
    """Packets of a client: three bytes of length, a number, 0 for a command, a body that begins with its code."""

    def __init__(self) -> None:
        self.statements = 0
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take in what the client sent."""
        self._rest += data
        while len(self._rest) >= 4:
            size = 4 + int.from_bytes(self._rest[:3], "little")
            if len(self._rest) < size:
                return
            self.statements += self._rest[3] == 0 and self._rest[4:5] in {b"\x03", b"\x17"}  # a query, or its execution
            self._rest = self._rest[size:]


class CountingProxy:
    """Stands between nodes and the server, on a port of this machine.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, server: tuple[str, int], kind: Kind) -> None:
        self._server = server
        self._messages = PostgresqlMessages if kind == "postgresql" else MysqlMessages
        self._clients: list[PostgresqlMessages | MysqlMessages] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @property
    def statements(self) -> int:
        """How many have passed so far."""
        return sum(client.statements for client in self._clients)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._sockets):
            # shutdown() wakes a thread that waits in accept() or recv(); close() alone does not.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += [client, server]
                messages = self._messages()
                self._clients.append(messages)
                threading.Thread(target=self._carry, args=(client, server, messages), daemon=True).start()
                threading.Thread(target=self._carry, args=(server, client, None), daemon=True).start()

    @staticmethod
    def _carry(
        source: socket.socket, target: socket.socket, messages: PostgresqlMessages | MysqlMessages | None
    ) -> None:
        with suppress(OSError):
            while data := source.recv(_PIECE):
                target.sendall(data)
                if messages is not None:
                    messages.feed(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
