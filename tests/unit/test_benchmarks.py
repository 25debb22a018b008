"""Each benchmark in tiny form, on SQLite: it measures, judges and cleans up. What it measures says nothing here."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.report import middle, percentile, table
from benchmarks.wire import MysqlMessages, PostgresqlMessages


@pytest.fixture
def measured(tmp_path):
    """Run a benchmark; return its lines, facts first, once it has left nothing behind."""

    def run(*arguments: str) -> tuple[dict[str, object], list[dict[str, object]]]:
        store = f"sqlite:///{tmp_path}/any.db"
        result = CliRunner().invoke(main, [*arguments, "--store", store, "-o", "json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        facts, *rows = map(json.loads, result.output.splitlines())
        assert list(tmp_path.iterdir()) == []
        return facts["facts"], rows

    return run


def test_a_burst_is_judged_by_what_its_jobs_saw(measured):
    facts, (row,) = measured("burst", "--schedules", "40", "--nodes", "2", "--slots", "20")
    assert facts.keys() >= {"cores", "python", "server", "synchronous"}
    assert (row["nodes"], row["schedules"], row["slots"]) == (2, 40, 20)
    assert (row["doubled"], row["missed"]) == (0, 0)
    assert row["fires_per_s"] > 0
    assert row["ceiling_per_s"] > 0
    assert row["ratio"] == pytest.approx(row["fires_per_s"] / row["ceiling_per_s"])


def test_lateness_finds_each_fire_once_and_none_early(measured):
    _, rows = measured("lateness", "--rate", "5", "--seconds", "1", "--busy", "0")
    (row,) = rows
    assert (row["fires"], row["doubled"], row["missed"], row["early"]) == (5, 0, 0, 0)
    assert 0 <= row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= row["max_ms"]


def test_scale_starts_a_node_beside_what_is_stored(measured):
    _, rows = measured("scale", "--schedules", "10,200")
    assert [row["schedules"] for row in rows] == [10, 200]
    assert all(row["start_s"] > 0 and row["rss_mb"] > 0 and row["due_p50_ms"] > 0 for row in rows)


def test_an_idle_node_is_counted(measured):
    _, (row,) = measured("idle", "--seconds", "1")
    assert row["statements_per_min"] >= 0
    assert row["cpu_percent"] >= 0


def test_edits_are_timed_from_one_process_and_from_several(measured):
    _, rows = measured("add", "--processes", "1,2", "--count", "5")
    assert [(row["verb"], row["processes"]) for row in rows] == [
        (verb, processes) for processes in (1, 2) for verb in ("add", "update", "run_now")
    ]


def test_requests_are_timed_with_a_node_in_their_process_and_without(measured):
    _, rows = measured("requests", "--schedules", "5", "--workers", "1", "--ticks", "1", "--phase", "1", "--rate", "40")
    assert {(row["node"], row["when"]) for row in rows} >= {
        (node, when) for node in ("with", "without") for when in ("nothing due", "from a tick on")
    }
    assert all((row["p50_ms"] > 3, row["ticks"], row["missed"]) == (True, 2, 0) for row in rows)


def test_imports_are_timed_in_fresh_processes(measured):
    _, rows = measured("import", "--times", "1")
    assert rows[0]["statement"] == "import tickonce"
    assert rows[0]["best_ms"] > 0


def test_a_store_that_cannot_be_measured_is_refused():
    result = CliRunner().invoke(main, ["idle", "--store", "memory:"])
    assert result.exit_code == 2
    assert "postgresql:, mysql: or sqlite:" in result.output


def test_people_get_a_table():
    rows = [{"name": "a", "per_s": 1234.5, "count": 1000}, {"name": "bb", "per_s": 0.25, "count": None}]
    assert table(rows) == ["name    per_s  count", "a     1,234.5  1,000", "bb       0.25      -"]


def test_the_median_row_is_printed_whole():
    assert middle([{"ratio": 3.0, "n": 1}, {"ratio": 1.0, "n": 2}, {"ratio": 2.0, "n": 3}], "ratio")["n"] == 3
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_statements_are_counted_on_the_wire_however_they_are_cut(piece):
    def message(letter: bytes, body: bytes) -> bytes:
        return letter + (len(body) + 4).to_bytes(4) + body

    sent = message(b"", b"\0\3\0\0user\0postgres\0\0")  # the first has no letter
    for letter in (b"Q", b"P", b"B", b"D", b"E", b"S", b"p", b"X"):
        sent += message(letter, b"select 1\0")
    postgresql = PostgresqlMessages()
    for at in range(0, len(sent), piece):
        postgresql.feed(sent[at : at + piece])
    assert postgresql.statements == 2

    packets = [(1, b"login"), (0, b"\3select 1"), (0, b"\x17\0"), (0, b"\x0e"), (1, b"\3more")]
    sent = b"".join(len(body).to_bytes(3, "little") + bytes([number]) + body for number, body in packets)
    mysql = MysqlMessages()
    for at in range(0, len(sent), piece):
        mysql.feed(sent[at : at + piece])
    assert mysql.statements == 2
