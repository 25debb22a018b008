"""Whole fleets simulated from seeds: a short version of ``make sim``, and what makes its word worth something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tickonce.engine.door import Door
from tickonce.engine.ticker import Ticker
from tickonce.stores.memory.tables import Tables
from tickonce.testing.judging import Kind
from tickonce.testing.simulation import Scenario, scenario_of, simulate
from tickonce.testing.simulation.__main__ import main
from tickonce.testing.simulation.figures import LEAST_A_SEED, Figures
from tickonce.testing.simulation.shrink import shrunk

SEEDS = range(40)
#: Seeds whose fleets live on a real SQLite file: a second each, or two.
ON_SQLITE = range(8)

pytestmark = pytest.mark.timeout(240)


def figures_of(seeds, folder=None):
    figures = Figures()
    for seed in seeds:
        place = None
        if folder is not None:
            place = folder / str(seed)
            place.mkdir()
        with figures.timed():
            outcome = simulate(scenario_of(seed), folder=place)
        figures.take(seed, outcome)
    return figures


def test_no_seed_shows_a_violation_and_enough_was_looked_at():
    figures = figures_of(SEEDS)
    assert figures.bad == {}
    # A few seeds leave more to chance than many do.
    verdict, seeds = figures.verdict, len(SEEDS)
    assert verdict.fires > seeds * LEAST_A_SEED["fires"]
    assert not verdict.lacking({"done": 60 * seeds, "edits": 4 * seeds, "recovered": 15, "retried": 15, "by_hand": 5})
    assert {"kill", "freeze", "cut", "outage", "step", "deploy", "restart"} <= set(verdict.faults)


def test_nor_does_one_on_a_real_sqlite_file(tmp_path: Path):
    figures = figures_of(ON_SQLITE, tmp_path)
    assert figures.bad == {}
    assert not figures.verdict.lacking({"fires": 300, "faults": 3})


@pytest.mark.parametrize(
    "seed",
    [
        9628,  # all nodes started while the store's clock was wrong, which then was set right
        14400,  # a run handed back while the store does not answer, and too late to start when it does
        33759,  # a run by hand, to go on for half an hour, that begins behind the judged time
        38220,  # the call by which a process put its code back, on its way until long after its death
        43461,  # a row that the store refuses, while the edits that set it aside are late
        44555,  # one node, all before it killed, that has only just joined at the end
        51198,  # a machine asleep between its look and its launch
        51435,  # a retry by hand, allowed by then, beside a run that had to be alone before
        51749,  # two pauses within 11 ms of a schedule whose trigger raises
        52140,  # a retry by hand of a run that was too late to start
        56128,  # a retry by hand while the only node stands still, until it is too late to start
        79747,  # a run opened before the store's clock was set back, beside one by hand opened after
        83137,  # a row that the store refuses, offered by four nodes at once when an outage is over
        99841,  # the same, while who is to set it aside waits for a statement without answer
    ],
)
def test_seeds_that_have_shown_a_violation_once(seed: int):
    verdict = simulate(scenario_of(seed)).verdict
    assert verdict.clean, verdict.told()


def test_a_seed_is_the_same_history_again():
    for seed in (3, 8, 14):
        first, second = (simulate(scenario_of(seed)) for _ in range(2))
        assert (first.trace, first.events) == (second.trace, second.events)


def test_the_command_line_replays_a_seed_whatever_the_hash_seed():
    told = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "tickonce.testing.simulation", "--seed", "8", "--trace"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(done.stdout)
    assert told[0] == told[1]
    assert json.loads(told[0].splitlines()[-1])["clean"] is True


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--seeds 0 --stop-at-first", "--seeds: must be a number, at least 1, got '0'"),
        ("--seeds many", "--seeds: must be a number, at least 1, got 'many'"),
        ("--processes 0", "--processes: must be a number, at least 1, got '0'"),
        ("--seed 8 --only foo", "--only: give numbers as 3,7,12, got 'foo'"),
        ("--seed 8 --only 9999", "and none 9999"),
        ("--only 3", "--only needs --seed"),
    ],
)
def test_the_command_line_refuses_what_would_judge_nothing(words: str, told: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as refused:
        main(words.split())
    assert refused.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_who_stops_at_the_first_violation_and_finds_none_hears_that_too_little_was_looked_at(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setattr(Figures, "lacking", lambda *_: ["fires: 0, at least 100 are needed"])
    assert main(["--seeds", "1", "--processes", "1", "--stop-at-first"]) == 1
    assert "too little was looked at: fires: 0" in capfd.readouterr().out


def first_that_shows(kind: Kind) -> Scenario:
    """Return the first scenario that shows a violation of the kind; a few seeds have to be enough for that."""
    return next(
        scenario
        for scenario in map(scenario_of, range(30))
        if kind in {each.kind for each in simulate(scenario).verdict.violations}
    )


def test_a_ticker_that_offers_what_the_store_refuses_again_and_again_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Ticker, "_set_aside", lambda *_: None)
    told = (each.text for seed in range(30) for each in simulate(scenario_of(seed)).verdict.violations)
    assert any("again and again" in text for text in told)


def test_a_door_that_lets_everything_through_is_found_and_told_in_few_incidents(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Door, "enter", lambda *_: True)
    scenario = first_that_shows(Kind.DOUBLED)
    found = shrunk(scenario, frozenset({Kind.DOUBLED}))
    assert len(found) <= 3 < len(scenario.incidents)
    assert Kind.DOUBLED in {each.kind for each in simulate(scenario.only(set(found))).verdict.violations}


def test_a_launch_that_does_not_count_open_runs_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Tables, "open_count", lambda *_: 0)
    assert first_that_shows(Kind.OVERLAP).planned
