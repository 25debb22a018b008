"""What a seed stands for: the fleet, its schedules, and a list of all that is done to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

from tickonce.config import NodeConfig
from tickonce.model import Definition, Policy
from tickonce.retry import Retry
from tickonce.testing.simulation.broken import Broken
from tickonce.testing.simulation.incident import Incident
from tickonce.testing.simulation.mix import draw
from tickonce.triggers import Every, Trigger

#: How much longer than usual everything takes: lease, periods, jobs. The engine's own constants stay, and so meet other
#: proportions.
SCALES = (1, 1, 1, 1, 4, 4, 20, 60)
PERIODS_S = (1, 1, 2, 3, 5, 7, 10, 15, 30)
#: Schedules whose trigger or job only the newer release knows begin with these.
NEW_TRIGGER, NEW_JOB = "newer-", "fresh-"
#: One whose trigger raises from some instant on begins with this.
BROKEN = "broken-"
DECLARED = "declared-"
#: One whose runs the store refuses for their content, from some instant on, begins with this.
REFUSED = "refused-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A schedule that is there from the beginning."""

    id: str
    definition: Definition
    takes: tuple[float, float]
    fails: float
    stubborn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that a seed stands for.

    Attributes:
        scale: How much longer than usual everything takes.
        length_us: How long incidents come; then the fleet has time to come to rest.
        releases: Which code each node runs at the beginning.
        declared: Ids that code declares, with the definition of release 1 and that of release 2.
        slow_us: The longest usual way to the store.
        refused_from_us: From when on the store refuses some schedule's runs.
    """

    seed: int
    scale: int
    nodes: int
    config: NodeConfig
    length_us: int
    releases: tuple[int, ...]
    planned: tuple[Planned, ...]
    declared: dict[str, tuple[Definition, Definition]]
    incidents: tuple[Incident, ...]
    slow_us: int
    hints: bool
    drifts: tuple[int, ...]
    aheads: tuple[float, ...]
    refused_from_us: int

    def storable(self) -> Scenario:
        """Return the same without what cannot be written down: a trigger that is nothing but a fault."""
        kept = tuple(each for each in self.planned if not each.id.startswith(BROKEN))
        incidents = tuple(each for each in self.incidents if not each.who.startswith(BROKEN))
        return replace(self, planned=kept, incidents=incidents)

    def only(self, numbers: set[int]) -> Scenario:
        """Return the same with those incidents alone."""
        kept = tuple(each for number, each in enumerate(self.incidents) if number in numbers)
        return replace(self, incidents=kept)


def scenario_of(seed: int) -> Scenario:
    """Return what *seed* stands for."""
    return Maker(seed).scenario()


class Maker:
    """Draws a scenario from a seed.

    Attributes:
        names: Of the nodes.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(f"tickonce:{seed}")
        self.scale = self.random.choice(SCALES)
        self.length_us = int(self.scale * self.random.uniform(90, 200) * 1e6)
        # Some seeds are about one room above all: what needs several blows of one kind is hit there.
        self.chosen = self.random.choice((None, None, *MIX))
        self.nodes = self.random.choice((1, 1, 2) if self.chosen == "outcomes" else (1, 2, 2, 3, 3, 3, 4, 5))
        #: Whether one node is a release ahead from the beginning: what only it knows, nobody can take over.
        self.ahead = self.nodes > 1 and (self.chosen == "limping" or self.random.random() < 0.15)
        self.names = [f"n{number}" for number in range(1, self.nodes + 1)]
        self.slots = self.random.choice((3, 10, 10, 30))
        self.planned: list[Planned] = []
        self.declared: dict[str, tuple[Definition, Definition]] = {}

    def scenario(self) -> Scenario:
        """Return it."""
        random = self.random
        self._schedules()
        incidents = sorted(self._incidents(), key=lambda each: (each.at, each.kind, each.who))
        refused_from_us = self._refused()
        return Scenario(
            seed=self.seed,
            scale=self.scale,
            nodes=self.nodes,
            config=self._config(),
            length_us=self.length_us,
            releases=(2 if self.ahead else 1, *(1 for _ in self.names[1:])),
            planned=tuple(self.planned),
            declared=self.declared,
            incidents=tuple(incidents),
            slow_us=random.choice((300, 2_000, 10_000, 50_000)),
            hints=random.random() < 0.8,
            drifts=tuple(random.choice((0, 0, random.randint(-300, 300))) for _ in self.names),
            aheads=tuple(random.choice((0.0, random.uniform(-5000, 5000))) for _ in self.names),
            refused_from_us=refused_from_us,
        )

    def _config(self) -> NodeConfig:
        second = timedelta(seconds=self.scale)
        return NodeConfig(
            slots=self.slots,
            lease=15 * second,
            beat=5 * second,
            margin=2 * second,
            takeover_after=second,
            poll=5 * second,
            blind_poll=second,
            drain_timeout=10 * second,
            orphan_after=60 * second,
        )

    # -- schedules -------------------------------------------------------------------------------

    def _schedules(self) -> None:
        for number in range(self.random.randint(2, 6)):
            self.plan(f"s{number}")
        if self.ahead or self.random.random() < 0.3:
            self.plan(f"{NEW_TRIGGER}0")
        if self.ahead or self.random.random() < 0.3:
            self.plan(f"{NEW_JOB}0", job="fresh")
        if self.random.random() < 0.2:
            self.plan(
                f"{BROKEN}0",
                trigger=Broken.after(int(self.length_us * self.random.uniform(0.2, 1.0)), scale=self.scale),
            )
        if self.random.random() < 0.4:
            for number in range(self.random.randint(1, 2)):
                older, newer = self.definition(), self.definition()
                same = self.random.random() < 0.3
                self.declared[f"{DECLARED}{number}"] = (older, older if same else newer)

    def _refused(self) -> int:
        """Add, in some seeds, a schedule whose rows the store refuses later; return from when on."""
        if self.random.random() < 0.2:
            self.plan(f"{REFUSED}0")
        return int(self.length_us * self.random.uniform(0.2, 1.0))

    def plan(self, schedule_id: str, **more: Any) -> None:
        """Add a schedule that is there from the beginning."""
        # Together they fill a part of the slots: a fleet that is given too much work never comes to rest.
        longest = self.random.choice((0.0, 0.1, 0.3, 0.5) if self.slots < 10 else (0.0, 0.1, 0.5, 1.5, 3.0))
        self.planned.append(
            Planned(
                id=schedule_id,
                definition=self.definition(**more),
                takes=(0.0, self.scale * longest),
                fails=self.random.choice((0.6, 0.9) if self.chosen == "outcomes" else (0.0, 0.0, 0.1, 0.6)),
                stubborn=self.random.random() < 0.3,
            )
        )

    def definition(self, *, job: str = "note", trigger: Trigger | None = None) -> Definition:
        """Draw a definition."""
        random = self.random
        return Definition(
            job=job,
            trigger=trigger or self.trigger(),
            policy=self.policy(),
            jitter=timedelta(seconds=self.scale * random.choice((0, 0, 0, 0, 1.5))),
            priority=random.choice((0, 0, 5)),
        )

    def trigger(self) -> Every:
        """Draw a trigger."""
        period = self.scale * self.random.choice(PERIODS_S) * self.random.choice((1, 1, 1, 1, 1.5))
        return Every(timedelta(seconds=period))

    def policy(self) -> Policy:
        """Draw a policy."""
        random, second = self.random, timedelta(seconds=self.scale)
        retry = None
        if random.random() < (0.9 if self.chosen == "outcomes" else 0.3):
            retry = Retry(times=random.randint(1, 3), delay=second * random.choice((0.1, 1, 3)), limit=10 * second)
        return Policy(
            misfire=random.choice(("latest", "all", "all", "skip")),  # type: ignore[arg-type]
            overlap=random.choice(("skip", "allow", "allow")),  # type: ignore[arg-type]
            grace=10 * second,
            catch_up=second * random.choice((86_400, 86_400, 30)),
            start_within=random.choice((None, None, None, 30 * second)),
            timeout=random.choice((None, None, None, 4 * second)),
            retry=retry,
            on_lost=random.choice(("rerun", "rerun", "rerun", "fail")),  # type: ignore[arg-type]
            max_losses=random.choice((2, 2, 0, 5)),
            when_cut_off=random.choice(("finish", "finish", "cancel")),  # type: ignore[arg-type]
        )

    # -- incidents -------------------------------------------------------------------------------

    def _incidents(self) -> list[Incident]:
        density = self.random.choice((0.0, 0.3, 1.0, 1.0, 2.0))
        rooms = {name: density * (3 if name == self.chosen else 0.3 if self.chosen else 1) for name in MIX}
        rooms["scenes"] = density
        return [incident for name, most in rooms.items() for incident in draw(self, name, most)]


#: Rooms of incidents that are drawn, one after the other.
MIX = ("nodes", "calls", "limping", "outcomes", "store", "hints", "edits", "deploys")
