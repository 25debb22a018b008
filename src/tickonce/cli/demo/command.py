"""``tickonce demo``: sets the stage, plays, and tells the verdict."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click

from tickonce.cli.demo.feed import Feed
from tickonce.cli.demo.ledger import create
from tickonce.cli.demo.node import LEASE
from tickonce.cli.demo.play import Play
from tickonce.cli.demo.processes import Processes
from tickonce.cli.demo.stage import Stage, stage
from tickonce.cli.demo.verdict import Account
from tickonce.cli.exits import Exit
from tickonce.cli.forms import is_alive
from tickonce.cli.session import Session
from tickonce.cli.texts import distance
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import ConfigError, TickonceError
from tickonce.scheduler import Scheduler

_STEP = timedelta(milliseconds=100)
_JOIN_WITHIN = timedelta(seconds=20)
_SETTLE_WITHIN = timedelta(seconds=14)


class DemoFailed(TickonceError):
    """The demo could not be played."""

    code = "demo.failed"


def play_demo(session: Session, *, seconds: int, nodes: int, store: str | None) -> Exit:
    """Play the demo and return how it ended."""
    folder = Path(tempfile.mkdtemp(prefix="tickonce-demo-"))
    shown = stage(as_json=session.out.is_json)
    good = False
    try:
        with _ending_in_order():
            account, killed = _played(shown, folder, seconds=seconds, nodes=nodes, store=store)
        good = account.good
        _tell(shown, account, seconds=seconds)
        if session.out.is_json:
            form = {**account.form(), "nodes": nodes, "killed": killed, "seconds": seconds}
            click.echo(json.dumps(form))
        if not good:
            shown.say(f"The store, the ledger and the nodes' logs are kept in {folder}")
    except (KeyboardInterrupt, SystemExit, TickonceError):
        good = True  # there is nothing to look into
        raise
    finally:
        shown.close()
        if good:
            shutil.rmtree(folder, ignore_errors=True)
    return Exit.OK if account.good else Exit.FAILURE


def _played(shown: Stage, folder: Path, *, seconds: int, nodes: int, store: str | None) -> tuple[Account, int]:
    url = store or f"sqlite:///{folder / 'tickonce.db'}"
    if url.startswith("memory"):
        raise ConfigError("the demo's processes cannot share a store in memory; leave --store out, or name a database")
    ledger = folder / "ledger.db"
    create(ledger)
    with Feed() as feed, Scheduler(url, name="demo") as scheduler, Processes(store=url, folder=folder) as processes:
        _introduce(shown, scheduler, feed=feed.url, ledger=ledger, nodes=nodes, seconds=seconds)
        names = [f"node-{number}" for number in range(1, nodes + 1)]
        for name in names:
            processes.start(name)
        _wait_for_nodes(scheduler, processes)
        ahead = _ahead(scheduler)
        play = Play(
            scheduler=scheduler,
            processes=processes,
            end=scheduler.store.instant() + timedelta(seconds=seconds),
            ahead=ahead,
            stage=shown,
            feed=feed.url,
            ledger=ledger,
            seconds=seconds,
            started=SYSTEM_CLOCK.monotonic(),
            prefix="" if store is None else f"demo-{secrets.token_hex(3)}-",
        )
        try:
            while play.elapsed < seconds:
                play.step()
                shown.show(play.view())
                SYSTEM_CLOCK.sleep(_STEP)
            until = SYSTEM_CLOCK.monotonic() + _SETTLE_WITHIN
            while not play.settled() and SYSTEM_CLOCK.monotonic() < until:
                shown.show(play.view())
                SYSTEM_CLOCK.sleep(_STEP)
            shown.show(play.view())
        except BaseException:
            if store is not None:
                play.clear()
            raise
        died = [process for process in processes.all if process.ended and not process.killed]
        # What still comes while the nodes drain is judged, too.
        processes.stop()
        shown.close()
        for process in died:
            shown.say(f"{process.name} ended by itself; the end of its log:\n{process.last_words()}")
        account = Account(play.verdict())
        if store is not None:
            play.clear()
        return account, sum(process.killed for process in processes.all)


def _introduce(shown: Stage, scheduler: Scheduler, *, feed: str, ledger: Path, nodes: int, seconds: int) -> None:
    for line in (
        f"{nodes} processes of one small program on one store, for {seconds} seconds; none of them",
        "leads. Meanwhile schedules are added, edited, paused, resumed and removed, and",
        "half-way one process is killed. Each tick has to be carried out once. The jobs",
        "note each in a ledger, a table of their own without unique index, so that a",
        "double would show.",
        "",
        f"  store    {scheduler.store.url}",
        f"  ledger   {ledger}",
        f"  feed     {feed}, which the jobs fetch from",
        f"  lease    {LEASE}, so that a killed node is given up soon (15s by default)",
        "",
    ):
        shown.say(line)


def _wait_for_nodes(scheduler: Scheduler, processes: Processes) -> None:
    until = SYSTEM_CLOCK.monotonic() + _JOIN_WITHIN
    names = {process.name for process in processes.all}
    while True:
        now = scheduler.store.instant()
        if names <= {node.host for node in scheduler.nodes() if is_alive(node, now)}:
            return
        for process in processes.all:
            if process.ended:
                raise DemoFailed(f"{process.name} ended before it joined; the end of its log:\n{process.last_words()}")
        if SYSTEM_CLOCK.monotonic() > until:
            raise DemoFailed(f"the nodes did not join within {distance(_JOIN_WITHIN)}; is this machine very busy?")
        SYSTEM_CLOCK.sleep(_STEP)


def _ahead(scheduler: Scheduler) -> timedelta:
    """Return how far this machine's clock is ahead of the store's; zero where that cannot be told from the way."""
    best: tuple[timedelta, timedelta] | None = None
    for _ in range(5):
        sent, wall = SYSTEM_CLOCK.monotonic(), SYSTEM_CLOCK.wall()
        instant = scheduler.store.instant()
        took = SYSTEM_CLOCK.monotonic() - sent
        if best is None or took < best[0]:
            best = (took, wall + took / 2 - instant)
    return best[1] if best is not None and abs(best[1]) > best[0] else timedelta(0)


def _tell(shown: Stage, account: Account, *, seconds: int) -> None:
    form = account.form()
    after = f", {account.recovered_after.total_seconds():.1f} s late" if form["recovered"] else ""
    for line in (
        "",
        "Verdict: the ledger, against arithmetic on definitions and times of edits",
        "",
        f"  expected   {form['expected']:5}  ticks in {seconds} s",
        f"  done       {form['done']:5}",
        f"  doubled    {form['doubled']:5}",
        f"  missed     {form['missed']:5}",
        *_line("unexpected", form["unexpected"], "at times that no definition names"),
        *_line("wrong", form["wrong"], "in other ways"),
        *_line("skipped", form["skipped"], "just before a pause or removal, and recorded so"),
        f"  recovered  {form['recovered']:5}  begun by the killed node, run again as attempt 2{after}",
        f"  lateness   p50 {form['lateness_p50_ms']:g} ms, p99 {form['lateness_p99_ms']:g} ms, to the job's first line",
        "             (until a killed node is given up, others launch its share 1 s late)",
        "",
        *(f"  {line}" for line in account.odd),
        "Each tick was launched once, and none was forgotten." if account.good else "This should not be: see above.",
    ):
        shown.say(line)


def _line(word: str, count: int, text: str) -> list[str]:
    """Return the line of what need not be said when there is none of it."""
    return [f"  {word:<10} {count:5}  {text}"] if count else []


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does: with all its processes."""

    def end(number: int, frame: object) -> None:
        del frame
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
