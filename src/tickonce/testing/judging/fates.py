"""What became of each fire of a schedule, and whether that may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tickonce.model import Run, RunState, Skip, token_of
from tickonce.testing.judging.case import Case
from tickonce.testing.judging.conditions import ALWAYS
from tickonce.testing.judging.evidence import Call
from tickonce.testing.judging.history import Stretch, Terms
from tickonce.testing.judging.hours import due_time, waits, within
from tickonce.testing.judging.tries import Tries
from tickonce.testing.judging.verdict import Kind, Verdict, Violation

_ZERO = timedelta(0)


@dataclass(frozen=True, slots=True)
class _Fire:
    """A fire that had to be dealt with: by the terms in force, or by those that followed before it was.

    Attributes:
        stretch: In which it was scheduled.
        chain: That one, and those in which it may have been dealt with.
        terms: Theirs.
    """

    at: datetime
    stretch: Stretch
    chain: tuple[Stretch, ...]
    terms: tuple[Terms, ...]


class Fates:
    """The verdict on a schedule, given one possible history of it."""

    def __init__(self, case: Case, stretches: Sequence[Stretch]) -> None:
        self._case, self._stretches = case, stretches
        self._fires = self._expected()
        self._verdict = Verdict()
        self._told: dict[datetime, Skip] = {}

    def verdict(self) -> Verdict:
        """Judge each fire, and what is there beyond them."""
        self._skips()
        for number, fire in enumerate(self._fires):
            self._fire(fire, number)
        expected = {fire.at for fire in self._fires}
        for at, run in self._case.runs.items():
            if at not in expected:
                self._wrong(Kind.UNEXPECTED, run.token, "no definition had a fire then")
        self._overlaps()
        return self._verdict

    # -- what had to happen ----------------------------------------------------------------------

    def _expected(self) -> list[_Fire]:
        return [
            _Fire(at, stretch, chain := self._chain(at, number), tuple(each.terms for each in chain))
            for number, stretch in enumerate(self._stretches)
            for at in stretch.terms.rhythm.between(stretch.begin, stretch.end)
        ]

    def _chain(self, at: datetime, number: int) -> tuple[Stretch, ...]:
        """Return the stretches in which the fire may have been dealt with.

        An edit that leaves the times of fires alone settles nothing: what is not launched yet goes by the new terms.
        """
        found = [self._stretches[number]]
        for stretch in self._stretches[number + 1 :]:
            closed = found[-1].closed
            edited = closed is not None and closed.kind == "change" and stretch.terms.timed_like(found[0].terms)
            if not edited or (stretch.mode == "active" and not self._case.excused(at, stretch.begin)):
                break
            found.append(stretch)
        return tuple(found)

    # -- skip records ----------------------------------------------------------------------------

    def _skips(self) -> None:
        """Note which fire is told of by which record; a record must fit the fires that it speaks of."""
        times = [fire.at for fire in self._fires]
        unsure = any(not stretch.terms.sure for stretch in self._stretches)
        for skip in self._case.skips:
            name = f"{skip.schedule_id} skip {skip.first.isoformat()}..{skip.last.isoformat()}"
            covered = [at for at in times if skip.first <= at <= skip.last]
            # Of a trigger that raises nobody knows what was due: its record tells of the time, and of one or more.
            told = covered or (unsure and skip.more)
            if not told and skip.last <= self._case.conditions.until:
                self._wrong(Kind.UNEXPECTED, name, f"'{skip.reason}', but no fire was there")
                continue
            whole = skip.last <= self._case.conditions.until
            if whole and not unsure and not _counts(skip, len(covered)):
                self._wrong(Kind.UNEXPLAINED, name, f"counts {skip.count} fires where {len(covered)} were")
            for at in covered:
                if at in self._told:
                    self._wrong(Kind.DOUBLED, self._name(at), f"told of twice: {self._told[at].reason}, {skip.reason}")
                self._told[at] = skip

    # -- one fire --------------------------------------------------------------------------------

    def _fire(self, fire: _Fire, number: int) -> None:
        run, skip = self._case.runs.get(fire.at), self._told.get(fire.at)
        if fire.stretch.terms.sure or run is not None or skip is not None:
            self._verdict.fires += 1
        if run is not None and skip is not None:
            self._wrong(Kind.DOUBLED, run.token, f"it has a run and a skip record ({skip.reason})")
        elif run is not None:
            self._launched(fire, run)
            self._misfired(fire, run, number)
        elif skip is not None:
            why_not = self._doubt(fire, skip.reason, number)
            if why_not:
                self._wrong(Kind.UNEXPLAINED, self._name(fire.at), f"skipped for '{skip.reason}', but {why_not}")
            else:
                self._verdict.skipped[skip.reason] += 1
        elif fire.stretch.terms.sure and not self._awaited(fire):
            self._wrong(Kind.MISSED, self._name(fire.at), f"neither run nor skip record ({fire.stretch.mode})")

    def _awaited(self, fire: _Fire) -> bool:
        """Whether its record is not due yet: a pause is written down when it is over."""
        last = fire.chain[-1]
        return fire.stretch.mode == "paused" and last.closed is None and self._fires[-1].stretch in fire.chain

    def _launched(self, fire: _Fire, run: Run) -> None:
        if fire.stretch.mode == "paused" and _missed(fire) is None:
            self._wrong(Kind.UNEXPECTED, run.token, "launched though the schedule was paused")
        calls, tries = self._case.calls.get(run.token, []), self._case.tries(run)
        begin = fire.at + fire.terms[0].jitter
        match run.state:
            case RunState.PENDING | RunState.RUNNING:
                self._wrong(Kind.ENDLESS, run.token, f"still {run.state}, attempt {run.attempt}")
            case RunState.SUCCEEDED | RunState.FAILED:
                failed = run.state is RunState.FAILED
                if not any(call.attempt == run.attempt and call.failed == failed for call in calls):
                    self._wrong(Kind.UNFOUNDED, run.token, f"{run.state} as attempt {run.attempt}; no such call")
            case RunState.CANCELLED:
                if run.token not in self._case.history.cancelled:
                    self._wrong(Kind.UNFOUNDED, run.token, "cancelled, by nobody")
            case RunState.SKIPPED:
                # A resume that asks for missed ones launches them long after they were due.
                self._lapsed(fire, run)
                self._too_late(run, tries, begin if _missed(fire) is None else max(begin, run.created_at or begin))
            case RunState.LOST:
                pass  # judged below, with every other loss
        self._losses(run, fire, tries)
        self._attempts(run, calls, fire, tries)
        self._hours(run, calls, fire)
        if calls:
            self._verdict.done += 1
            self._late(fire, run, calls[0], begin, tries)

    def _late(self, fire: _Fire, run: Run, first: Call, due: datetime, tries: Tries) -> None:
        if tries.losses and first.attempt > 1:  # what had it first never called it
            self._verdict.recovered += 1
            self._verdict.recovered_after.append(first.began - fire.at)
        if fire.stretch.mode == "paused" or run.token in self._case.history.retried:
            return
        # What a node was given before it was harmed, it may begin when it is well again.
        late = self._case.calm(due, first.began, but=self._case.conditions.harmed.get(first.node, ()))
        self._verdict.lateness.append(late)
        prompt = self._case.conditions.prompt
        # A first call that is not the first attempt was held by somebody who never began it.
        if prompt is not None and late > prompt and tries.losses == 0 and first.attempt == 1:
            self._wrong(Kind.LATE, run.token, f"first called {late} late (troubles not counted)")

    def _too_late(self, run: Run, tries: Tries, due: datetime) -> None:
        # One that a node handed back, or that somebody retries, has its time to start from then on.
        opened = [write.at for write in self._case.writes.get(run.token, ()) if write.state.open]
        free_from = max(due, self._case.history.retried.get(run.token, due), *opened)
        if run.start_by is None:
            self._wrong(Kind.UNEXPLAINED, run.token, "skipped as too late, without a limit")
        elif not self._case.excused(free_from, run.start_by) and tries.failures == tries.losses == 0:
            self._wrong(Kind.UNEXPLAINED, run.token, f"'{run.reason}' though nothing kept the fleet from starting it")
        else:
            self._verdict.skipped[run.reason or ""] += 1

    def _losses(self, run: Run, fire: _Fire, tries: Tries) -> None:
        over = self._case.closed.get(run.token) or run.finished_at or ALWAYS.end
        if tries.losses and not self._case.conditions.anybody_harmed(fire.at, over):
            self._wrong(Kind.DOUBLED, run.token, f"lost {tries.losses} time(s), but no node was harmed")
        if run.losses != tries.losses:
            self._wrong(Kind.UNFOUNDED, run.token, f"lost {tries.losses} time(s), the store counts {run.losses}")
        if run.state is not RunState.LOST:
            most = max(terms.max_losses for terms in fire.terms)
            if tries.losses > most and run.state is not RunState.CANCELLED:
                self._wrong(Kind.DOUBLED, run.token, f"rerun after {tries.losses} losses, {most} are allowed")
            return
        # With "fail" that a call begins is written before it does: the ledger need not know of it.
        gone = bool(tries.losses) or any(call.interrupted for call in self._case.calls.get(run.token, ()))
        if not any(tries.losses > terms.max_losses or (terms.on_lost == "fail" and gone) for terms in fire.terms):
            text = f"lost after {tries.losses} loss(es), which the policy does not say"
            self._wrong(Kind.UNFOUNDED, run.token, text)
        if tries.losses > max(terms.max_losses for terms in fire.terms) + 1:
            self._wrong(Kind.DOUBLED, run.token, f"lost only after {tries.losses} losses")

    def _attempts(self, run: Run, calls: Sequence[Call], fire: _Fire, tries: Tries) -> None:
        most = max(terms.retries for terms in fire.terms) + 1
        if run.failures != tries.failures:
            text = f"failed {tries.failures} time(s), the store counts {run.failures}"
            self._wrong(Kind.UNFOUNDED, run.token, text)
        if tries.failures > most:
            self._wrong(Kind.DOUBLED, run.token, f"failed {tries.failures} times, {most} are allowed")
        elif tries.failures == most and run.state not in (RunState.FAILED, RunState.CANCELLED):
            self._wrong(Kind.DOUBLED, run.token, f"{run.state} after {most} failures, which was to be the end")
        least = min(terms.retries for terms in fire.terms) + 1
        if run.state is RunState.FAILED and tries.failures < least:
            self._wrong(Kind.UNFOUNDED, run.token, f"given up after {tries.failures} of {least} tries")
        beyond = [call.attempt for call in calls if call.attempt > run.attempt]
        if beyond:
            self._wrong(Kind.UNEXPECTED, run.token, f"attempt {beyond[0]} was called, the store knows {run.attempt}")

    # -- hours -----------------------------------------------------------------------------------

    def _misfired(self, fire: _Fire, run: Run, number: int) -> None:
        """A fire that was launched late must be one that its misfire policy lets through."""
        launched, slack = self._case.launches.get(run.token), self._case.conditions.prompt
        if launched is None or slack is None or self._case.conditions.was_stepped(fire.at, launched):
            return
        late = launched - due_time(self._case.schedule_id, fire.terms[0], fire.at)
        asked = _missed(fire)
        if not any(self._lets_through(terms, fire, number, asked, late - slack) for terms in fire.terms):
            self._wrong(Kind.UNEXPECTED, run.token, f"launched {late} late, which its misfire policy rules out")

    def _lets_through(self, terms: Terms, fire: _Fire, number: int, asked: str | None, late: timedelta) -> bool:
        """Whether a fire is launched that is found at least so late."""
        if asked is None and late <= terms.grace:
            return True
        match asked or terms.misfire:
            case "skip":
                return False
            case "all":
                return late <= terms.catch_up
        # Only the newest one is launched.
        if number + 1 == len(self._fires) or self._fires[number + 1].stretch not in fire.chain:
            return True
        return self._fires[number + 1].at + terms.jitter > fire.at + late

    def _hours(self, run: Run, calls: Sequence[Call], fire: _Fire) -> None:
        """Look whether nothing was begun before it was due, or when it was too late to start."""
        case, token = self._case, run.token
        due = due_time(case.schedule_id, fire.terms[0], fire.at)
        for call in calls:
            if fire.at <= call.began < due:
                self._wrong(Kind.EARLY, token, f"called {due - call.began} before it was due, attempt {call.attempt}")
            self._timeout(run, call, fire)
        # What a resume asked for has a time to start of its own.
        if token in case.history.retried or case.conditions.prompt is None or _missed(fire) is not None:
            return
        free_from, longest = self._free_from(run, calls, fire)
        for grant in case.grants.get(token, ()):
            least, most = free_from.get(grant.attempt, (None, None))
            if least is None or most is None or case.conditions.was_stepped(least, grant.at):
                continue
            if grant.at < least:
                self._wrong(Kind.EARLY, token, f"attempt {grant.attempt} was given away {least - grant.at} early")
            elif longest is not None and grant.at > most + longest:
                passed = grant.at - most
                text = f"attempt {grant.attempt} was given away {passed} after it was due, {longest} are allowed"
                self._wrong(Kind.LATE, token, text)

    def _timeout(self, run: Run, call: Call, fire: _Fire) -> None:
        limits, slack = [terms.timeout for terms in fire.terms], self._case.conditions.prompt
        if None in limits or slack is None or call.ended is None or not call.heeds:
            return
        longest, conditions = max(limit for limit in limits if limit is not None), self._case.conditions
        harmed = conditions.was_harmed(call.node, call.began, call.ended)
        if call.ended - call.began > longest + slack and not (harmed or conditions.was_stepped(call.began, call.ended)):
            text = f"attempt {call.attempt} went on for {call.ended - call.began}, its timeout is {longest}"
            self._wrong(Kind.LATE, run.token, text)

    def _free_from(
        self, run: Run, calls: Sequence[Call], fire: _Fire
    ) -> tuple[dict[int, tuple[datetime, datetime]], timedelta | None]:
        """Return between which instants each attempt became due, and how long after that it may begin."""
        due = due_time(self._case.schedule_id, fire.terms[0], fire.at)
        found, failures = {1: (due, due)}, 0
        failed = {call.attempt: call for call in calls if call.failed}
        slack = self._case.conditions.prompt or _ZERO
        for write in self._case.writes.get(run.token, ()):
            if not write.state.open:
                continue
            call = None if write.by_store else failed.get(write.attempt)
            if call is None or call.ended is None:
                found[write.attempt + 1] = (due, write.at + slack)
                continue
            failures += 1
            least = min(waits(terms, failures)[0] for terms in fire.terms)
            most = max(waits(terms, failures)[1] for terms in fire.terms)
            # Half of it: a node that is far from the store does not know its time to the moment; one that was stopped
            # while its job failed, or slept, counts from a time that is over.
            if self._case.conditions.was_harmed(call.node, call.began, call.ended):
                least = _ZERO
            found[write.attempt + 1] = (call.ended + least / 2, write.at + most + slack)
        limits = [within(terms, fire.at) for terms in fire.terms]
        return found, None if None in limits else max(limit for limit in limits if limit is not None)

    def _lapsed(self, fire: _Fire, run: Run) -> None:
        """A run that waited must not be given up before its time to start was over."""
        case, at = self._case, self._case.closed.get(run.token)
        limits = [limit for terms in fire.terms if (limit := within(terms, fire.at)) is not None]
        due = due_time(case.schedule_id, fire.terms[0], fire.at)
        if at is None or run.token in case.history.retried or case.conditions.was_stepped(fire.at, at):
            return
        if _missed(fire) is not None:
            return
        if not limits:
            self._wrong(Kind.UNEXPLAINED, run.token, "skipped as too late, though it had all the time")
        elif at < due + min(limits):
            text = f"skipped as too late {at - due} after it was due, it had {min(limits)}"
            self._wrong(Kind.UNEXPLAINED, run.token, text)

    # -- reasons ---------------------------------------------------------------------------------

    def _doubt(self, fire: _Fire, reason: str, number: int) -> str | None:
        """Return why *reason* does not hold for the fire, or None."""
        stretch, case = fire.stretch, self._case
        if not stretch.terms.sure:
            return None
        last = fire.chain[-1]
        closed = None if last.closed is None else last.closed.kind
        recent = case.excused(fire.at + fire.terms[0].jitter, last.end)
        if reason == "paused" and stretch.mode == "paused":
            return "the resume asked for it" if _missed(fire) is not None else None
        match reason:
            case "paused" | "removed":
                wanted = {"paused": ("pause", "remove"), "removed": ("remove",)}[reason]
                if closed not in wanted:
                    return f"it was not {reason} then"
                return None if recent else "it was due long before that"
            case "misfire":
                return self._misfire(fire, number)
            case "catch-up window":
                return self._catch_up(fire)
            case "overlap":
                return self._overlapped(fire)
            case "orphaned":
                spans = case.conditions.orphaned.get(case.schedule_id, ())
                return None if any(span.meets(fire.at, fire.at) for span in spans) else "a live node declared it"
            case "store went back":
                return None if self._lost(fire) else "nothing of that time was lost"
            case _:
                return "that is no reason"

    def _lost(self, fire: _Fire) -> bool:
        """Whether the fire was dealt with at a time of which the store has lost what it had confirmed."""
        due = fire.at + fire.terms[0].jitter
        return any(
            fire.at <= span.end and (due >= span.begin or self._case.excused(due, span.begin))
            for span in self._case.conditions.rewound
        )

    def _misfire(self, fire: _Fire, number: int) -> str | None:
        asked = _missed(fire)
        policies = {asked} if asked else {terms.misfire for terms in fire.terms}
        if policies == {"all"}:
            return "each one is to be run, however late"
        if not asked and not self._case.excused(fire.at + fire.terms[0].jitter, fire.at + fire.terms[0].grace):
            return "nothing kept the fleet from launching it in time"
        if "skip" in policies:
            return None
        for later in self._fires[number + 1 :]:
            skip = self._told.get(later.at)
            if later.at in self._case.runs or (skip is not None and skip.reason == "overlap"):
                return None
            if skip is None or skip.reason != "misfire":
                return "no later fire was launched in its stead"
        return None if self._beyond() else "no later fire was launched in its stead"

    def _beyond(self) -> bool:
        """Whether the schedule went on after the judged time: what became of its last fires may be told there."""
        until, runs, skips = self._case.conditions.until, self._case.all_runs, self._case.skips
        return any(run.scheduled_time > until for run in runs) or any(skip.last > until for skip in skips)

    def _catch_up(self, fire: _Fire) -> str | None:
        asked = _missed(fire)
        if asked != "all" and all(terms.misfire != "all" for terms in fire.terms):
            return "its misfire policy knows no window"
        if asked == "all" or self._case.excused(fire.at, fire.at + min(terms.catch_up for terms in fire.terms)):
            return None
        return "it was found within the window"

    def _overlapped(self, fire: _Fire) -> str | None:
        if all(terms.overlap != "skip" for terms in fire.terms):
            return "its runs may overlap"
        # A resume that asks for missed ones launches them together, then.
        seen = fire.at if _missed(fire) is None else fire.chain[-1].end
        for begin, end, run in self._case.opens:
            # When the outcome came to the store is not always known: no later than a fleet in this condition may.
            told = run.token in self._case.closed
            if run.scheduled_time == fire.at or (end < fire.at and (told or not self._case.excused(end, fire.at))):
                continue
            if begin <= seen or self._case.excused(seen, begin):
                return None
        return "no run was open"

    # -- overlap ---------------------------------------------------------------------------------

    def _overlaps(self) -> None:
        """Look for calls of one run while another's newest attempt was at work, where only one is allowed."""
        spans: list[tuple[datetime, datetime, Run]] = []
        for run in self._case.all_runs:
            calls = self._case.calls.get(run.token, [])
            if calls:
                # A run that somebody asked for once more was over in between.
                first = calls[-1] if run.token in self._case.history.retried else calls[0]
                spans.append((first.began, self._ended(run, calls), run))
        spans.sort(key=lambda span: span[0])
        open_until, open_run = None, None
        for begin, end, run in spans:
            if open_until is not None and open_run is not None and begin < open_until:
                # The one that was opened later is the one that had to see the other.
                before, after = sorted((open_run, run), key=self._opened_at)
                # Where the clock was set in between, its times do not say which of the two that is.
                set_between = self._case.conditions.was_stepped(self._opened_at(before), self._opened_at(after))
                if self._alone(after) and (not set_between or self._alone(before)):
                    self._wrong(Kind.OVERLAP, after.token, f"at work together with {before.token}, opened before")
            if open_until is None or end > open_until:
                open_until, open_run = end, run

    def _ended(self, run: Run, calls: Sequence[Call]) -> datetime:
        """Return when its newest attempt ended; what goes on in a node that lost it does not count."""
        last = calls[-1]
        ended = last.ended or last.began
        return min(ended, run.finished_at) if run.finished_at is not None else ended

    def _opened_at(self, run: Run) -> datetime:
        """Return when room was found for it; for a run that was over, when somebody asked for it once more."""
        return self._case.history.retried.get(run.token) or run.created_at or run.scheduled_time

    def _alone(self, run: Run) -> bool:
        """Whether the run had to be alone: by every definition under which it may have been launched."""
        at = self._opened_at(run)
        around = [each for each in self._stretches if each.begin <= at and run.scheduled_time <= each.end]
        return bool(around) and all(each.terms.overlap == "skip" for each in around)

    def _name(self, at: datetime) -> str:
        return token_of(self._case.schedule_id, at)

    def _wrong(self, kind: Kind, subject: str, text: str) -> None:
        self._verdict.violations.append(Violation(kind, self._case.schedule_id, subject, text))


def _counts(skip: Skip, number: int) -> bool:
    return skip.count <= number if skip.more else skip.count == number


def _missed(fire: _Fire) -> str | None:
    """Return what the resume asked for that dealt with it."""
    closed = fire.chain[-1].closed
    return None if closed is None else closed.missed
