"""Real database servers for tests: private ones to break, empty databases, a pooler, a proxy that loses replies."""

from tests.servers.databases import connect, fresh_database
from tests.servers.mariadb import PrivateMariaDB
from tests.servers.pgbouncer import PrivatePgBouncer
from tests.servers.postgresql import PrivatePostgreSQL
from tests.servers.private import PrivateServer, ServerFailed, ServerMissing
from tests.servers.proxy import CuttingProxy
from tests.servers.waiting import free_port, wait_until

__all__ = [
    "CuttingProxy",
    "PrivateMariaDB",
    "PrivatePgBouncer",
    "PrivatePostgreSQL",
    "PrivateServer",
    "ServerFailed",
    "ServerMissing",
    "connect",
    "free_port",
    "fresh_database",
    "wait_until",
]
