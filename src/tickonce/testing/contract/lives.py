"""Long sequences of calls by chance: deep states come up that a search for short ones hardly reaches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, TypeAlias

from tickonce.model import NodeState, RunState
from tickonce.testing.contract.machine import ENDS, StoreMachine
from tickonce.testing.contract.making import DAY, HOUR, policy_with

Draw: TypeAlias = Callable[[Random], Any]


def _one_of(*values: Any) -> Draw:
    return lambda chance: chance.choice(values)


def _number(least: int, most: int) -> Draw:
    return lambda chance: chance.randint(least, most)


def _policy(chance: Random) -> Any:
    return policy_with(
        misfire=chance.choice(["skip", "latest", "all", "all"]),
        overlap=chance.choice(["skip", "allow"]),
        on_lost=chance.choice(["rerun", "rerun", "fail"]),
        max_losses=chance.choice([0, 1, 1]),
    )


def _some(chance: Random) -> list[int]:
    return [chance.randrange(1000) for _ in range(chance.randint(1, 3))]


def _picks(chance: Random) -> list[tuple[int, int]]:
    return [(chance.randrange(1000), chance.choice([0, 0, 0, 0, 1, 2])) for _ in range(chance.randint(1, 4))]


_ANY = _number(0, 999)
_PLACE = _one_of(0, 0, 0, 1, 1, 2)
_LEASE = _one_of(DAY, DAY, timedelta(microseconds=1))
_PERIOD = _one_of(HOUR, 5 * HOUR)
_YES_OR_NO = _one_of(True, False)
#: What happens in the life of a fleet: how often, and with which arguments. Work comes more often than edits.
_LIFE: dict[str, tuple[int, dict[str, Draw]]] = {
    "put_due": (4, {"period": _PERIOD, "policy": _policy, "behind": _number(1, 6), "other": _YES_OR_NO}),
    "create": (1, {"which": _ANY, "period": _PERIOD, "policy": _policy, "exists": _one_of("error", "keep", "update")}),
    "amend": (2, {"which": _ANY, "period": _PERIOD, "policy": _policy, "whole": _YES_OR_NO}),
    "pause": (1, {"which": _ANY, "until": _one_of(None, 1, 5)}),
    "resume": (2, {"which": _ANY, "missed": _one_of(None, "latest", "all")}),
    "remove": (1, {"which": _ANY}),
    "revert": (1, {"which": _ANY}),
    "set_aside": (1, {"which": _ANY}),
    "declare": (2, {"which": _ANY, "period": _PERIOD}),
    "run_now": (4, {"which": _ANY, "key": _one_of("k1", "k2", "K2")}),
    "raise_watermark": (1, {"which": _ANY, "hours": _number(-3, 3)}),
    "join": (3, {"place": _PLACE, "lease": _LEASE}),
    "beat": (
        3,
        {"place": _PLACE, "lease": _LEASE, "state": _one_of(NodeState.ALIVE, NodeState.ALIVE, NodeState.LEAVING)},
    ),
    "expire": (1, {"place": _PLACE}),
    "crash": (3, {"place": _PLACE, "back": _one_of(True, True, False)}),
    "look": (2, {"limit": _one_of(1, 100), "leave_out": _one_of(None, 0, 1)}),
    "launch": (5, {"place": _PLACE, "picks": _some, "slots": _number(0, 3)}),
    "tick": (8, {"place": _PLACE, "slots": _number(0, 3)}),
    "claim": (10, {"place": _PLACE, "other": _YES_OR_NO}),
    "attempt": (6, {"index": _ANY, "newer": _one_of(0, 0, 0, 1, -1), "overdue": _one_of(None, True, False)}),
    "finish": (
        10,
        {
            "picks": _picks,
            "state": _one_of(*ENDS, *[RunState.PENDING] * 4),
            "failed": _YES_OR_NO,
            "ago": _one_of(None, None, 1, 3, -2),
            "error": _one_of(None, "no route"),
        },
    ),
    "recover": (1, {}),
    "lapse": (1, {}),
    "cancel": (4, {"index": _ANY}),
    "retry": (5, {"index": _ANY}),
    "prune": (2, {}),
    "accept_clock": (1, {}),
}
_NEED_RUNS = {"attempt", "finish", "cancel", "retry"}


def live(machine: StoreMachine, *, seed: int, steps: int) -> None:
    """Take *steps* on the machine; what fails tells which came before."""
    chance = Random(seed)
    taken: list[str] = []
    try:
        machine.begin(policy=_policy(chance))
        while len(taken) < steps:
            (name,) = chance.choices(list(_LIFE), [often for often, _ in _LIFE.values()])
            arguments = {key: draw(chance) for key, draw in _LIFE[name][1].items()}
            if (machine.has_runs or name not in _NEED_RUNS) and (machine.plans or name != "launch"):
                taken.append(f"{name}({arguments})")
                getattr(machine, name)(**arguments)
                machine.they_keep_the_same()
    except Exception as error:
        error.add_note("\n".join([f"life {seed}:", *taken]))
        raise
    finally:
        machine.teardown()
