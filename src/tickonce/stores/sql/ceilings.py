"""How many connections the server takes: from all, into this database, of this user."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tickonce.ports import Ceiling
from tickonce.stores.sql.tx import Tx

# Who may not see what others do sees their kind as NULL; what the server itself does has no user.
_OF_POSTGRESQL = """\
WITH clients AS MATERIALIZED (
  SELECT datname, usename FROM pg_stat_activity
  WHERE backend_type = 'client backend' OR (backend_type IS NULL AND usesysid IS NOT NULL)
)
SELECT
  CAST(current_setting('max_connections') AS int),
  CAST(current_setting('superuser_reserved_connections') AS int)
    + CAST(coalesce(current_setting('reserved_connections', true), '0') AS int),
  (SELECT count(*) FROM clients),
  d.datconnlimit, quote_ident(d.datname), (SELECT count(*) FROM clients c WHERE c.datname = d.datname),
  r.rolconnlimit, quote_ident(r.rolname), (SELECT count(*) FROM clients c WHERE c.usename = r.rolname)
FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = session_user"""


def _postgresql(tx: Tx) -> list[Ceiling]:
    if not tx.dialect.notifies:
        return []  # behind a pooler: how many connections it takes, and how many of them it makes, is its own affair
    most, reserved, used, in_database, database, used_there, of_role, role, used_by = tx.only(_OF_POSTGRESQL)
    raised = "ALTER SYSTEM SET max_connections = {}; then restart the server"
    found = [Ceiling("max_connections", most, reserved, used, raised)]
    if in_database >= 0:
        raised = f"ALTER DATABASE {database} CONNECTION LIMIT {{}}"
        found.append(Ceiling(f"the connection limit of database {database}", in_database, 0, used_there, raised))
    if of_role >= 0:
        raised = f"ALTER ROLE {role} CONNECTION LIMIT {{}}"
        found.append(Ceiling(f"the connection limit of role {role}", of_role, 0, used_by, raised))
    return found


def _mysql(tx: Tx) -> list[Ceiling]:
    # The session's own max_user_connections is the account's, or else the server's; 0 is none.
    most, of_user, of_each = tx.only("SELECT @@max_connections, @@max_user_connections, @@GLOBAL.max_user_connections")
    ((_, used),) = tx.rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'")
    raised = "SET GLOBAL max_connections = {}; and the same below [mysqld] in the server's configuration"
    found = [Ceiling("max_connections", int(most), 0, int(used), raised)]
    if of_user:
        account, ours = tx.only(
            "SELECT current_user(), "
            "(SELECT count(*) FROM information_schema.processlist WHERE user = substring_index(user(), '@', 1))"
        )
        name, _, host = account.rpartition("@")
        raised = (
            "SET GLOBAL max_user_connections = {}; and the same below [mysqld] in the server's configuration"
            if of_user == of_each
            else f"ALTER USER '{name}'@'{host}' WITH MAX_USER_CONNECTIONS {{}}"
        )
        found.append(Ceiling(f"max_user_connections of {account}", int(of_user), 0, int(ours), raised))
    return found


#: By dialect, what looks. A file has no ceiling.
LOOKS: Mapping[str, Callable[[Tx], list[Ceiling]]] = {
    "mysql": _mysql,
    "postgresql": _postgresql,
    "sqlite": lambda _: [],
}
