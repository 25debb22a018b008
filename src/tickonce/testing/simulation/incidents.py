"""What incidents do: to nodes, to the way to the store, to the store, to schedules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from tickonce.editing import Amend, Create, Pause, Remove, Resume, RunNow
from tickonce.errors import StoreUnavailable, TickonceError
from tickonce.model import RunState
from tickonce.ports import RunFilter
from tickonce.testing.judging import Span
from tickonce.testing.simulation.incident import Incident
from tickonce.testing.simulation.link import CallFault, Link
from tickonce.testing.simulation.member import Member
from tickonce.testing.simulation.scenario import Scenario
from tickonce.testing.simulation.site import Scene, Site, Work
from tickonce.testing.simulation.world import Process

_EDITS = frozenset({"change", "add", "pause", "resume", "remove", "run now", "cancel", "retry"})


class Director:
    """Carries out the incidents of a scenario, and notes what the judge has to know of them."""

    def __init__(self, site: Site, scenario: Scenario, members: dict[str, Member]) -> None:
        self._site, self._scenario, self._members = site, scenario, members
        self._people: Process = site.world.process("people")
        self._link = Link(site, self._people, slow_us=scenario.slow_us, hints=False)
        self._unfit_since: datetime | None = site.time()
        self._over = False
        for member in members.values():
            member.on_fit = self._count_fit

    def begin(self) -> None:
        """Make the schedules, start the nodes, and plan all incidents."""
        for planned in self._scenario.planned:
            self._work(planned.id, planned.takes, fails=planned.fails, stubborn=planned.stubborn)
            self._edit(Create(schedule_id=planned.id, definition=planned.definition))
        for schedule_id in self._scenario.declared:
            self._work(schedule_id, (0.0, self._scenario.scale), fails=0.0, stubborn=False)
        for number, member in enumerate(self._members.values()):
            self._site.world.after(number * 37_000, member.start)
        for incident in self._scenario.incidents:
            self._site.world.after(incident.at, partial(self._happen, incident))

    def end(self) -> None:
        """Let nothing more go wrong: what is broken is mended, and everything runs the newest code."""
        self._over = True
        site = self._site
        site.say("director", "all is well from now on")
        site.down = None
        for member in self._members.values():
            process, link = member.process, member.link
            if process is not None and process.stopped:
                process.go_on()
            if link is not None:
                link.cut = link.deaf = link.echo = False
                link.faults.clear()
            member.deployed = 2
            if process is None:
                member.start()
            elif member.release == 1:
                member.leave(member.start)
        site.store.accept_clock()

    def settled(self) -> None:
        """The time of incidents is over: close what is still open in the notes."""
        if self._unfit_since is not None:
            self._site.trouble(self._unfit_since, self._site.time())

    def _happen(self, incident: Incident) -> None:
        if self._over:
            return
        if incident.kind in _EDITS:
            self._site.world.spawn(self._people, lambda: self._try(incident), "edit")
            return
        self._site.say("director", str(incident)[14:])
        member = self._members.get(incident.who)
        act: Callable[..., None] = getattr(self, "_" + incident.kind.replace(" ", "_"))
        if member is None:
            act(incident)
        elif member.process is not None or incident.kind == "deploy":
            act(member, incident)
        if incident.kind not in ("call", "deploy"):
            self._site.faults[incident.kind] += 1

    def _fell(self, incident: Incident) -> None:
        """Kill whoever calls a run of that schedule, once and again."""

        def happens(name: str, token: str) -> None:
            del token
            for member in self._members.values():
                if member.process is not None and member.process.name == name:
                    kill = Incident(self._site.world.now, "kill", member.name, incident.more)
                    self._site.world.after(0, partial(self._felled, member, name, kill))

        self._site.scenes[incident.who] = Scene(incident.more["times"], happens)

    def _linger(self, incident: Incident) -> None:
        """Let one run of that schedule go on for long; sometimes people cancel it meanwhile."""
        more, site = incident.more, self._site

        def happens(name: str, token: str) -> None:
            site.say(name, f"{token} is to go on for long")
            if more["cancelled"] is not None:
                self._later(more["cancelled"], lambda: self._cancelled(token))

        site.scenes[incident.who] = Scene(1, happens, int(more["for"] * 1e6))

    def _cancelled(self, token: str) -> None:
        def ask() -> None:
            try:
                self._link.cancel(token, by="people")
            except TickonceError as error:  # the store is away, or it has ended meanwhile
                self._site.say("people", f"cancel {token}: {error}")

        if not self._over:
            self._site.world.spawn(self._people, ask, "edit")

    def _felled(self, member: Member, name: str, kill: Incident) -> None:
        if not self._over and member.process is not None and member.process.name == name:
            self._kill(member, kill)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._site.world.after(int(seconds * 1e6), action)

    # -- nodes -----------------------------------------------------------------------------------

    def _kill(self, member: Member, incident: Incident) -> None:
        member.kill()
        self._later(incident.more["back"], member.start)

    def _freeze(self, member: Member, incident: Incident, *, asleep: bool = False) -> None:
        """Stop the process in its tracks: time passes, it does nothing."""
        process, length, begin = member.process, incident.more["for"], self._site.time()
        assert process is not None  # noqa: S101  # checked by the caller
        if process.stopped:
            return
        process.stop(asleep=asleep)
        member.fit = False
        self._count_fit()

        def back() -> None:
            self._site.harm(process.name, begin, self._site.time())
            if process.dead:
                return
            if process.stopped:
                self._site.say(process.name, "goes on")
                process.go_on()
            self._fit_again(member, process)

        self._site.harm(process.name, begin, begin + timedelta(seconds=length))
        self._later(length, back)

    def _sleep(self, member: Member, incident: Incident) -> None:
        """The machine sleeps: its monotonic clock stands still, too."""
        self._freeze(member, incident, asleep=True)

    def _cut(self, member: Member, incident: Incident) -> None:
        process, link, begin = member.process, member.link, self._site.time()
        assert process is not None  # noqa: S101  # checked by the caller
        assert link is not None  # noqa: S101  # comes with the process
        link.cut = True
        member.fit = False
        self._count_fit()

        def back() -> None:
            link.cut = False
            self._site.harm(process.name, begin, self._site.time())
            self._fit_again(member, process)

        self._site.harm(process.name, begin, begin + timedelta(seconds=incident.more["for"]))
        self._later(incident.more["for"], back)

    def _fit_again(self, member: Member, process: Process) -> None:
        node, link = member.node, member.link
        well = link is not None and not link.cut and not process.stopped
        if member.process is process and well and node is not None and node.running:
            member.fit = True
            self._count_fit()

    def _restart(self, member: Member, incident: Incident) -> None:
        member.leave(lambda: self._later(incident.more["back"], member.start))

    def _deploy(self, member: Member, incident: Incident) -> None:
        self._site.faults["deploy"] += 1
        release = incident.more["release"]
        if incident.more["kill"]:
            member.kill()
            self._deployed(member, release)
        else:
            member.leave(lambda: self._deployed(member, release))

    def _deployed(self, member: Member, release: int) -> None:
        member.deployed = 2 if self._over else release
        member.start()

    def _wall(self, member: Member, incident: Incident) -> None:
        assert member.process is not None  # noqa: S101  # checked by the caller
        member.process.ahead += timedelta(seconds=incident.more["by"])

    def _count_fit(self) -> None:
        """Note as trouble the time in which no node is well."""
        now = self._site.time()
        if any(member.fit for member in self._members.values()):
            if self._unfit_since is not None:
                self._site.trouble(self._unfit_since, now)
                self._unfit_since = None
        elif self._unfit_since is None:
            self._unfit_since = now

    # -- calls and hints ---------------------------------------------------------------------------

    def _call(self, member: Member, incident: Incident) -> None:
        more, now = incident.more, self._site.time()
        assert member.process is not None  # noqa: S101  # checked by the caller
        assert member.link is not None  # noqa: S101  # comes with the process
        by = more.get("by", 0.0)
        member.link.faults.append(
            CallFault(verb=more["verb"], kind=more["fault"], times=more["times"], by_us=int(by * 1e6))
        )
        # It waits for its call: nobody knows for how long.
        ends = now + timedelta(seconds=by + 60 * self._scenario.scale)
        self._site.trouble(now, ends)
        self._site.harm(member.process.name, now, ends)

    def _deaf(self, member: Member, incident: Incident) -> None:
        self._hearing(member, incident, "deaf")

    def _echo(self, member: Member, incident: Incident) -> None:
        self._hearing(member, incident, "echo")

    def _hearing(self, member: Member, incident: Incident, how: str) -> None:
        link = member.link
        setattr(link, how, True)
        self._later(incident.more["for"], lambda: setattr(link, how, False))

    # -- the store ---------------------------------------------------------------------------------

    def _outage(self, incident: Incident) -> None:
        begin = self._site.time()
        self._site.down = incident.more["how"]

        def back() -> None:
            self._site.down = None
            self._site.say("director", "the store is back")
            self._site.trouble(begin, self._site.time())

        self._site.trouble(begin, begin + timedelta(seconds=incident.more["for"]))
        self._later(incident.more["for"], back)

    def _step(self, incident: Incident) -> None:
        by = timedelta(seconds=incident.more["by"])
        back = incident.more["back"]
        self._stepped(by)
        if back is not None:
            self._later(back, lambda: self._stepped(-by))
            # Nodes that knew the right time go on. Where all have been started since, they know the wrong one alone.
            self._later(back + 10.0 * self._scenario.scale, self._accept_if_nobody_believes_it)
        elif abs(self._site.clock.offset) > timedelta(seconds=45):  # nodes may not believe it any more, all in all
            self._later(10.0 * self._scenario.scale, self._accept)

    def _accept_if_nobody_believes_it(self) -> None:
        nodes = [member.node for member in self._members.values() if member.fit and member.node is not None]
        if nodes and all(node.time.jumped for node in nodes):
            self._accept()

    def _accept(self) -> None:
        self._site.say("director", "an operator accepts the store's clock")
        self._site.store.accept_clock()
        self._site.trouble(self._site.time(), self._site.time())

    def _stepped(self, by: timedelta) -> None:
        if self._over:
            return
        site, before = self._site, self._site.clock.wall()
        site.clock.step(by)
        site.say("director", f"the store's clock is set by {by.total_seconds():g}s")
        begin, end = sorted((before, site.clock.wall()))
        site.stepped.append(Span(begin, end + timedelta(seconds=15 * self._scenario.scale + 30) + site.lease))
        # For as long as nodes do not believe it, nothing is launched: until it is set back or accepted.
        site.trouble(begin, end + timedelta(seconds=15 * self._scenario.scale + 30))

    def _lock(self, incident: Incident) -> None:
        """Somebody's transaction holds the schedule's row."""
        tables = self._site.tables
        if tables is None or tables.locked(incident.who):
            return
        begin, holding = self._site.time(), tables.held_row(incident.who)
        holding.__enter__()

        def back() -> None:
            holding.__exit__(None, None, None)
            self._site.trouble(begin, self._site.time(), schedules=frozenset({incident.who}))

        self._later(incident.more["for"], back)

    # -- edits -------------------------------------------------------------------------------------

    def _try(self, incident: Incident) -> None:
        """Do what people do: once more when there was no answer."""
        for _ in range(3):
            try:
                self._do(incident)
            except StoreUnavailable:
                self._people.world.sleep(int(self._scenario.scale * 1e6))
            except Exception as error:  # noqa: BLE001  # refused; a broken trigger raises whatever it likes
                self._site.say("people", f"{incident.kind} {incident.who}: {error}")
                return
            else:
                return

    def _do(self, incident: Incident) -> None:
        who, more = incident.who, incident.more
        match incident.kind:
            case "cancel" | "retry":
                self._to_a_run(incident)
            case "add":
                self._work(who, (0.0, float(self._scenario.scale)), fails=0.0, stubborn=False)
                self._edit(Create(schedule_id=who, definition=more["definition"]))
            case "change":
                self._edit(Amend(schedule_id=who, changes=more))
            case "pause":
                length = more.get("until")
                until = None if length is None else self._site.clock.wall() + timedelta(seconds=length)
                self._edit(Pause(schedule_id=who, until=until))
            case "resume":
                self._edit(Resume(schedule_id=who, missed=more["missed"]))
            case "remove":
                self._edit(Remove(schedule_id=who))
            case "run now":
                self._edit(RunNow(schedule_id=who, key=more["key"]))

    def _to_a_run(self, incident: Incident) -> None:
        ended = (RunState.FAILED, RunState.CANCELLED, RunState.LOST, RunState.SKIPPED)
        states = ended if incident.kind == "retry" else (RunState.PENDING, RunState.RUNNING)
        page = self._link.runs(RunFilter(schedule_id=incident.who, states=states), limit=1)
        if page.items:
            getattr(self._link, incident.kind)(page.items[0].token, by="people")

    def _edit(self, edit: Any) -> None:
        if self._site.world.now:
            self._link.change(edit.schedule_id, edit)
            return
        listening, happened = self._site.noted(edit)
        self._site.store.change(edit.schedule_id, listening)
        happened()

    def _work(self, schedule_id: str, takes: tuple[float, float], *, fails: float, stubborn: bool) -> None:
        work = Work(self._scenario.seed, takes, fails=fails, stubborn=stubborn)
        self._site.work.setdefault(schedule_id, work)
