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

from tickonce.cli.demo.expectation import Expectation
from tickonce.cli.demo.feed import Feed
from tickonce.cli.demo.ledger import create, read
from tickonce.cli.demo.node import BEAT, LEASE
from tickonce.cli.demo.play import Play
from tickonce.cli.demo.processes import Processes
from tickonce.cli.demo.stage import Stage, stage
from tickonce.cli.demo.verdict import Verdict, judge
from tickonce.cli.exits import Exit
from tickonce.cli.forms import is_alive
from tickonce.cli.session import Session
from tickonce.cli.texts import distance
from tickonce.clock import SYSTEM_CLOCK
from tickonce.errors import TickonceError
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
            verdict, killed = _played(shown, folder, seconds=seconds, nodes=nodes, store=store)
        good = verdict.good
        _tell(shown, verdict, seconds=seconds)
        if session.out.is_json:
            form = {**verdict.form(), "nodes": nodes, "killed": killed, "seconds": seconds}
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
    return Exit.OK if verdict.good else Exit.FAILURE


def _played(shown: Stage, folder: Path, *, seconds: int, nodes: int, store: str | None) -> tuple[Verdict, int]:
    url = store or f"sqlite:///{folder / 'tickonce.db'}"
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
            expectation=Expectation(end=scheduler.store.instant() + timedelta(seconds=seconds)),
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
            skipped = play.skipped()
        finally:
            if store is not None:
                play.clear()
        died = [process for process in processes.all if process.ended and not process.killed]
        # What still comes while the nodes drain is judged, too.
        processes.stop()
        shown.close()
        for process in died:
            shown.say(f"{process.name} ended by itself; the end of its log:\n{process.last_words()}")
        killed = {process.name for process in processes.all if process.killed}
        must, may = play.expectation.ticks()
        return judge(must, may, read(ledger), skipped=skipped, killed=killed, ahead=ahead), len(killed)


def _introduce(shown: Stage, scheduler: Scheduler, *, feed: str, ledger: Path, nodes: int, seconds: int) -> None:
    for line in (
        f"A fleet of {nodes} processes on one store, for {seconds} seconds. Each process is the same small program;",
        "none of them is the leader. While they run, schedules are added, edited, paused, resumed and removed,",
        "and half-way one process is killed. Each tick has to be carried out once.",
        "",
        f"  store    {scheduler.store.url}",
        f"  ledger   {ledger}",
        "           the jobs' own table: no unique index, so a double would show",
        f"  feed     {feed}",
        "           what the jobs fetch, over HTTP",
        f"  lease    {LEASE} with a beat each {BEAT} (15s and 5s by default): a killed node is given up after so long",
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


def _tell(shown: Stage, verdict: Verdict, *, seconds: int) -> None:
    latest = verdict.recovered_after.total_seconds()
    after = f", at most {latest:.1f} s after its time" if verdict.recovered else ""
    skipped = f"; {verdict.skipped} more fell just before a pause or removal: recorded as skipped"
    p50, p99 = verdict.form()["lateness_p50_ms"], verdict.form()["lateness_p99_ms"]
    for line in (
        "",
        "The verdict: the ledger, against what the definitions and the instants of their edits demand",
        "",
        f"  expected   {verdict.expected:5}  ticks within {seconds} s, by plain arithmetic"
        + (skipped if verdict.skipped else ""),
        f"  done       {verdict.done:5}",
        f"  doubled    {verdict.doubled:5}",
        f"  missed     {verdict.missed:5}",
        *([f"  unexpected {verdict.unexpected:5}  at times that no definition names"] if verdict.unexpected else []),
        f"  recovered  {verdict.recovered:5}  begun by the killed node, carried out by another as attempt 2{after}",
        f"  lateness   p50 {p50:g} ms, p99 {p99:g} ms from the scheduled time to the job's first line",
        "             (a killed node's share is launched by the next one after 1s, until its lease is over)",
        "",
        *(f"  {line}" for line in verdict.odd),
        "Each tick was launched once, and none was forgotten." if verdict.good else "This should not be: see above.",
    ):
        shown.say(line)


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
