"""Runs: claimed, begun, finished, recovered, cancelled, tried again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from tickonce.codec import keep
from tickonce.errors import NoRun, RunOpen, WrongState
from tickonce.model import NodeId, OnLost, Outcome, Reason, Run, RunState, Token
from tickonce.ports import Serves
from tickonce.stores.sql import edits
from tickonce.stores.sql.nodes import ALIVE_NOW, now_us
from tickonce.stores.sql.rows import RUN, maybe_us, microseconds, policy_of, run_of
from tickonce.stores.sql.text import Kind, Update
from tickonce.stores.sql.tx import Row, Tx

_COLUMNS = ", ".join(RUN)
_AT = {name: place for place, name in enumerate(RUN)}
_GET = f"SELECT {_COLUMNS} FROM {{runs}} WHERE token = :token"
_GET_MANY = f"SELECT {_COLUMNS} FROM {{runs}} WHERE token = ANY(:tokens) ORDER BY token"

# -- claim -------------------------------------------------------------------------------------

_FREE = "state = 'pending' AND due_us <= {now} AND (start_by_us IS NULL OR start_by_us > {now})"
# COALESCE keeps planners from choosing an index on the state, all of whose rows they would read to find these few.
_FREE_OF_THESE = _FREE.replace("state", "COALESCE(state, '')")
_LOCK_FREE = (
    f"SELECT {_COLUMNS} FROM {{runs}} WHERE token = ANY(:tokens) AND {_FREE_OF_THESE} ORDER BY token {{lock_or_skip}}"
)
_CLAIM = """
UPDATE {runs} SET state = 'running', attempt = attempt + 1, node = :node, started_us = NULL, overdue = FALSE,
  progress = NULL
WHERE token = ANY(:tokens)"""
#: Candidates beyond those asked for: others may be claiming the first of them right now.
_SPARE = 3
#: Candidates looked through at most where the first of them are left to newer code.
_MOST = 5_000


@lru_cache(maxsize=64)
def _candidates_text(queues: int) -> str:
    # A query a queue, each in the order of its index; together they would be sorted at each claim.
    parts = [
        "SELECT * FROM (SELECT token, priority, due_us, policy FROM {runs} WHERE state = 'pending' "
        f"AND queue = :queue{at} AND due_us <= {{at}} AND job = ANY(:jobs) "
        f"AND (start_by_us IS NULL OR start_by_us > {{at}}) ORDER BY priority DESC, due_us LIMIT :limit) q{at}"
        for at in range(queues)
    ]
    return "WITH clock AS (SELECT {now} AS now_us) " + " UNION ALL ".join(parts)


def candidates(tx: Tx, *, serves: Serves, limit: int) -> list[Token]:
    """Return tokens of runs that could be claimed, most urgent first, without locking them.

    Those whose policy only newer code knows are left to nodes that know it.
    """
    wanted = limit * (1 + _SPARE)
    while True:
        rows = _candidates(tx, serves, limit=wanted)
        found = [token for token, _, _, policy in rows if policy_of(policy) is not None]
        if len(found) >= limit or len(rows) < wanted or wanted >= _MOST:
            return found
        wanted *= 4


def _candidates(tx: Tx, serves: Serves, *, limit: int) -> list[Row]:
    queues = sorted(serves.queues)
    if not queues or not serves.jobs or limit <= 0:
        return []
    rows = tx.rows(
        _candidates_text(len(queues)),
        jobs=sorted(serves.jobs),
        limit=limit,
        **{f"queue{at}": queue for at, queue in enumerate(queues)},
    )
    rows.sort(key=lambda row: (-row[1], row[2], row[0]))
    return rows[:limit]


def claim(tx: Tx, node_id: NodeId, tokens: Sequence[Token], *, limit: int) -> list[Run]:
    """Take up to *limit* of the runs for the node; those that others have locked or taken meanwhile are passed over."""
    looking = tx.ask(ALIVE_NOW, id=node_id)
    rest, taken = list(tokens), list[Row]()
    locking = tx.ask(_LOCK_FREE, tokens=rest[:limit])
    ((_, alive),) = looking.rows()
    if not alive:
        return []
    while True:
        taken += locking.rows()
        rest = rest[limit:]
        if len(taken) >= limit or not rest:
            break
        locking = tx.ask(_LOCK_FREE, tokens=rest[:limit])
    order = {token: place for place, token in enumerate(tokens)}
    taken.sort(key=lambda row: order[row[0]])
    del taken[limit:]
    if taken:
        tx.tell(_CLAIM, node=node_id, tokens=[row[0] for row in taken])
    return [_claimed(row, node_id) for row in taken]


def _claimed(row: Row, node_id: NodeId) -> Run:
    values = list(row)
    values[_AT["state"]] = "running"
    values[_AT["attempt"]] += 1
    values[_AT["node"]] = node_id
    values[_AT["started_us"]] = values[_AT["progress"]] = None
    values[_AT["overdue"]] = False
    return run_of(tuple(values))


# -- while it runs -----------------------------------------------------------------------------

_ATTEMPT = "token = :token AND node = :node AND attempt = :attempt AND state = 'running'"
_HELD = f"SELECT {_COLUMNS} FROM {{runs}} WHERE node = :node AND state = 'running' ORDER BY token"
_BEGAN = f"UPDATE {{runs}} SET started_us = :at_us WHERE {_ATTEMPT}"
_NOTE = f"""
UPDATE {{runs}} SET overdue = COALESCE(:overdue, overdue), progress = COALESCE(:progress, progress) WHERE {_ATTEMPT}"""


def held(tx: Tx, node_id: NodeId) -> list[Run]:
    """Return the running runs that the node holds."""
    return [run_of(row) for row in tx.rows(_HELD, node=node_id)]


def began(tx: Tx, node_id: NodeId, token: Token, attempt: int, *, at: datetime) -> bool:
    """Write that the attempt's function is about to be called."""
    return tx.count(_BEGAN, token=token, node=node_id, attempt=attempt, at_us=microseconds(at)) > 0


def note(tx: Tx, node_id: NodeId, token: Token, attempt: int, *, overdue: bool | None, progress: float | None) -> bool:
    """Write how a running attempt is."""
    return tx.count(_NOTE, token=token, node=node_id, attempt=attempt, overdue=overdue, progress=progress) > 0


# -- finish ------------------------------------------------------------------------------------

_ATTEMPTS = """
SELECT token, node, attempt, cancelling FROM {runs} WHERE token = ANY(:tokens) AND COALESCE(state, '') = 'running'
ORDER BY token"""
_LOCK_ATTEMPTS = f"{_ATTEMPTS} {{lock_or_skip}}"
_WAIT_FOR_ATTEMPTS = f"{_ATTEMPTS} {{lock}}"
_END = Update(
    table="runs",
    key=("token",),
    columns={
        "token": Kind.TEXT,
        "state": Kind.TEXT,
        "started_us": Kind.INT,
        "finished_us": Kind.INT,
        "failed": Kind.INT,
        "result": Kind.TEXT,
        "error": Kind.TEXT,
        "reason": Kind.TEXT,
    },
    sets={
        "state": "v.state",
        "started_us": "COALESCE(v.started_us, r.started_us)",
        "finished_us": "v.finished_us",
        "failures": "r.failures + v.failed",
        "result": "v.result",
        "error": "COALESCE(v.error, r.error)",
        "reason": "COALESCE(v.reason, CASE WHEN r.cancelling OR v.state NOT IN ('succeeded', 'failed') "
        "THEN r.reason END)",
        "overdue": "FALSE",
    },
)
_AGAIN = Update(
    table="runs",
    key=("token",),
    columns={"token": Kind.TEXT, "due_us": Kind.INT, "failed": Kind.INT, "error": Kind.TEXT, "reason": Kind.TEXT},
    sets={
        "state": "'pending'",
        "start_by_us": "r.start_by_us + (v.due_us - r.due_us)",
        "due_us": "v.due_us",
        "failures": "r.failures + v.failed",
        "error": "COALESCE(v.error, r.error)",
        "reason": "COALESCE(v.reason, CASE WHEN v.failed = 0 THEN r.reason END)",
        "node": "NULL",
        "started_us": "NULL",
        "finished_us": "NULL",
        "overdue": "FALSE",
        "progress": "NULL",
    },
)
#: Results have 64 KB at most. One that is far longer would not fit into a packet of MySQL, which cuts the connection.
_LONGEST = 1_000_000
_SOON_US = 30_000_000


def end(tx: Tx, outcome: Outcome) -> bool:
    """Write in a caller's transaction how an attempt ended, having waited for its row; False: it has lost it."""
    tx.dialect.take_lock(tx, outcome.token)
    return finish(tx, [outcome], lock=_WAIT_FOR_ATTEMPTS)[0] is True


def finish(tx: Tx, outcomes: Sequence[Outcome], *, bare: bool = False, lock: str = _LOCK_ATTEMPTS) -> list[bool | None]:
    """Write how attempts ended; an answer per outcome, None for one whose row is locked.

    Args:
        bare: The store refused an outcome for its content: write it without its result, saying so.
        lock: How their rows are locked.
    """
    if not outcomes:
        return []
    locking = tx.ask(lock, tokens=[outcome.token for outcome in outcomes])
    clock = tx.ask("SELECT {now}")
    running = {row[0]: row for row in locking.rows()}
    now = int(clock.rows()[0][0])
    # An outcome must not be passed over, nor may one locked row keep a whole group waiting.
    passed_over = [outcome.token for outcome in outcomes if outcome.token not in running]
    locked = {row[0]: row for row in tx.rows(_ATTEMPTS, tokens=passed_over)} if passed_over else {}
    answers: list[bool | None] = []
    ended: list[Row] = []
    again: list[Row] = []
    for outcome in outcomes:
        row = running.get(outcome.token)
        if row is None or not _matches(row, outcome):
            answers.append(None if _matches(locked.get(outcome.token), outcome) else False)
            continue
        del running[outcome.token]  # a second outcome of one attempt finds it ended
        answers.append(True)
        if outcome.state is RunState.PENDING and not row[3]:
            again.append(_again_row(outcome, now))
        else:
            ended.append(_end_row(outcome, now, bare=bare))
    tx.update_many(_END, ended)
    tx.update_many(_AGAIN, again)
    if any(row[1] <= now + _SOON_US for row in again):
        tx.announce("runs")
    return answers


def _matches(row: Row | None, outcome: Outcome) -> bool:
    return row is not None and row[1] == outcome.node and row[2] == outcome.attempt


def _end_row(outcome: Outcome, now: int, *, bare: bool) -> Row:
    result, error = outcome.result, outcome.error
    error = None if error is None else keep(error)
    if result is not None and (fault := "the database refused it" if bare else _fault(result)):
        result, error = None, f"the result was dropped: {fault}"
    return (
        outcome.token,
        "cancelled" if outcome.state is RunState.PENDING else str(outcome.state),
        maybe_us(outcome.started_at),
        now if outcome.finished_at is None else microseconds(outcome.finished_at),
        int(outcome.failed),
        result,
        error,
        None if outcome.reason is None else keep(outcome.reason),
    )


def _again_row(outcome: Outcome, now: int) -> Row:
    # A hand-back is free at once, whatever it says.
    due = microseconds(outcome.due) if outcome.failed and outcome.due is not None else now
    return (
        outcome.token,
        due,
        int(outcome.failed),
        None if outcome.error is None else keep(outcome.error),
        None if outcome.reason is None else keep(outcome.reason),
    )


def _fault(text: str) -> str:
    """Return why no database takes *text*, or nothing."""
    if len(text) > _LONGEST:
        return f"it has {len(text)} characters"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it holds a lone surrogate, which databases refuse"
    return "it holds NUL, which databases refuse" if "\x00" in text else ""


# -- sweeps ------------------------------------------------------------------------------------

_ORPHANS = """
SELECT r.token FROM {runs} r WHERE r.state = 'running' AND NOT EXISTS
  (SELECT 1 FROM {nodes} n WHERE n.id = r.node AND n.state IN ('alive', 'leaving'))
ORDER BY r.token LIMIT :limit"""
_LOCK_RUNNING = """
SELECT token, node, started_us, losses, cancelling, policy FROM {runs}
WHERE token = ANY(:tokens) AND state = 'running' ORDER BY token {lock_or_skip}"""
_ALIVE = "SELECT id FROM {nodes} WHERE id = ANY(:ids) AND state IN ('alive', 'leaving')"
_LOSE = """
UPDATE {runs} SET state = :state, losses = losses + 1, finished_us = {now}, overdue = FALSE
WHERE token = ANY(:tokens)"""
# start_by before due: MySQL reads what was set before.
_GIVE_BACK = """
UPDATE {runs} SET state = 'pending', losses = losses + 1, start_by_us = start_by_us + (:now - due_us), due_us = :now,
  node = NULL, started_us = NULL, finished_us = NULL, overdue = FALSE, progress = NULL
WHERE token = ANY(:tokens)"""

_LATE = """
WITH clock AS (SELECT {now} AS now_us)
SELECT token FROM {runs} WHERE state = 'pending' AND start_by_us <= {at} ORDER BY start_by_us LIMIT :limit"""
_LOCK_LATE = """
SELECT token FROM {runs} WHERE token = ANY(:tokens) AND state = 'pending' AND start_by_us <= {now}
ORDER BY token {lock_or_skip}"""
_LAPSE = """
UPDATE {runs} SET state = 'skipped', finished_us = {now}, overdue = FALSE, reason = :reason
WHERE token = ANY(:tokens)"""


def orphans(tx: Tx, *, limit: int) -> list[Token]:
    """Return tokens of running runs whose node is not alive."""
    return [row[0] for row in tx.rows(_ORPHANS, limit=limit)]


def recover(tx: Tx, tokens: list[Token]) -> list[Run]:
    """Take these runs away from their nodes, if those are still not alive."""
    became: dict[str, list[Token]] = {"pending": [], "cancelled": [], "lost": []}
    rows = tx.rows(_LOCK_RUNNING, tokens=tokens)
    # Looked at again under the lock: the run may be another node's by now, and nothing is taken from the living.
    alive = {row[0] for row in tx.rows(_ALIVE, ids=sorted({row[1] for row in rows}))} if rows else set()
    for token, node, started_us, losses, cancelling, text in rows:
        policy = policy_of(text)
        if node in alive:
            continue
        if cancelling:
            became["cancelled"].append(token)
        elif policy is None:  # what newer code wants of it, newer code decides
            continue
        elif (started_us is not None and policy.on_lost is OnLost.FAIL) or losses + 1 > policy.max_losses:
            became["lost"].append(token)
        else:
            became["pending"].append(token)
    for state in ("cancelled", "lost"):
        if became[state]:
            tx.tell(_LOSE, state=state, tokens=became[state])
    if became["pending"]:
        tx.tell(_GIVE_BACK, now=now_us(tx), tokens=became["pending"])
        tx.announce("runs")
    return _read(tx, [token for group in became.values() for token in group])


def late(tx: Tx, *, limit: int) -> list[Token]:
    """Return tokens of pending runs that are too late to start."""
    return [row[0] for row in tx.rows(_LATE, limit=limit)]


def lapse(tx: Tx, tokens: list[Token]) -> list[Run]:
    """End these runs as skipped, if they are still pending."""
    found = [row[0] for row in tx.rows(_LOCK_LATE, tokens=tokens)]
    if found:
        tx.tell(_LAPSE, reason=str(Reason.TOO_LATE), tokens=found)
    return _read(tx, found)


def _read(tx: Tx, tokens: list[Token]) -> list[Run]:
    return [run_of(row) for row in tx.rows(_GET_MANY, tokens=tokens)] if tokens else []


# -- by hand -----------------------------------------------------------------------------------

_LOCK_ONE = f"{_GET} {{lock_or_fail}}"
_CANCEL_PENDING = """
UPDATE {runs} SET state = 'cancelled', finished_us = {now}, overdue = FALSE, reason = :reason WHERE token = :token"""
_CANCEL_RUNNING = "UPDATE {runs} SET cancelling = TRUE, reason = :reason WHERE token = :token"
_RAISE_VERSION = "UPDATE {schedules} SET version = version + 1 WHERE id = :id"
_RETRY = """
UPDATE {runs} SET state = 'pending', failures = 0, losses = 0, cancelling = FALSE, result = NULL, error = NULL,
  reason = :reason, start_by_us = start_by_us + (:now - due_us), due_us = :now, node = NULL, started_us = NULL,
  finished_us = NULL, overdue = FALSE, progress = NULL
WHERE token = :token"""


def get(tx: Tx, token: Token) -> Run | None:
    """Return one run, or None."""
    row = tx.row(_GET, token=token)
    return None if row is None else run_of(row)


def cancel(tx: Tx, token: Token, *, by: str) -> Run:
    """End a pending run; mark a running one."""
    run = _locked(tx, token)
    if not run.state.open:
        raise WrongState(f"run {token}", state=run.state, wanted="pending or running")
    reason = f"cancelled by {by}" if by else "cancelled"
    tx.tell(_CANCEL_PENDING if run.state is RunState.PENDING else _CANCEL_RUNNING, token=token, reason=reason)
    tx.announce("cancels")
    return _after(tx, token)


def retry(tx: Tx, token: Token, *, by: str) -> Run:
    """Make an ended run pending again."""
    found = get(tx, token)
    if found is None:
        raise NoRun(token)
    # The schedule's row before the run's, as everywhere.
    schedule = edits.locked(tx, found.schedule_id)
    run = _locked(tx, token)
    if run.state.open or run.state is RunState.SUCCEEDED:
        raise WrongState(f"run {token}", state=run.state, wanted="failed, cancelled, lost or skipped")
    now, open_runs = edits.facts(tx, schedule, run.schedule_id)
    room = (run if schedule is None else schedule).policy.room
    if room is not None and open_runs >= room:
        raise RunOpen(run.schedule_id, open=open_runs)
    tx.tell(_RAISE_VERSION, id=run.schedule_id)
    tx.tell(_RETRY, token=token, now=microseconds(now), reason=f"retried by {by}" if by else None)
    tx.announce("runs")
    return _after(tx, token)


def _locked(tx: Tx, token: Token) -> Run:
    row = tx.row(_LOCK_ONE, token=token)
    if row is None:
        raise NoRun(token)
    return run_of(row)


def _after(tx: Tx, token: Token) -> Run:
    return run_of(tx.only(_GET, token=token))
