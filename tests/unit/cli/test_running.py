"""``run-now``, with and without waiting; the node is one of this process."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from tickonce import Scheduler


@pytest.fixture
def node(tickonce):
    scheduler = Scheduler(tickonce.url, poll="200ms", blind_poll="100ms")

    @scheduler.job(name="shop.sync")
    def sync(shop: str = "eu") -> str:
        if shop == "none":
            raise LookupError("no such shop")
        return shop

    scheduler.add("sync", sync, "every 1d")
    with scheduler.node():
        yield scheduler
    scheduler.close()


def test_run_now_answers_with_the_token(tickonce):
    tickonce("add", "sync", "every 1d", "shop.sync", "--overlap", "allow")
    assert tickonce("run-now", "sync", "--key", "order-17").stdout == "sync@run-order-17\n"
    assert "sync@run-order-17 exists" in tickonce("run-now", "sync", "--key", "order-17", exit=4).stderr
    tickonce("edit", "sync", "--overlap", "skip")
    assert "open run" in tickonce("run-now", "sync", exit=4).stderr


def test_wait_ends_with_the_run(tickonce, node):
    form = tickonce.json("run-now", "sync", "--arg", "shop=us", "--wait", "--timeout", "20s")
    assert (form["state"], form["result"]) == ("succeeded", "us")


def test_wait_tells_of_a_failure_by_its_exit_code(tickonce, node):
    said = tickonce("run-now", "sync", "--arg", "shop=none", "--wait", "--timeout", "20s", exit=7)
    assert "LookupError: no such shop" in said.stdout


def test_wait_is_over_after_the_timeout(tickonce):
    tickonce("add", "sync", "every 1d", "shop.sync")
    said = tickonce("run-now", "sync", "--wait", "--timeout", "50ms", exit=8)
    assert "No node is alive" in said.stderr
    assert "still pending after 50ms" in said.stderr


def test_nodes_and_healthcheck_see_the_node(tickonce, node):
    (form,) = tickonce.json("nodes")
    assert form["id"] == node.node_id
    assert (form["alive"], form["slots"], form["queues"]) == (True, 10, ["default"])
    assert node.node_id in tickonce("nodes").stdout
    for words in ([], ["--any"], ["--node", node.node_id]):
        assert tickonce.json("healthcheck", *words) == {"healthy": True, "nodes": [node.node_id]}
    tickonce("healthcheck", "--node", "elsewhere", exit=1)


def test_without_a_node_nothing_is_healthy(made, tickonce):
    assert "no live node of this host" in tickonce("healthcheck", exit=1).stdout
    assert "Start one: tickonce serve" in tickonce("nodes").stderr


def test_a_node_that_left_is_listed_when_asked_for(tickonce):
    scheduler = Scheduler(tickonce.url)
    with scheduler.node():
        node_id = scheduler.node_id
    scheduler.close()
    assert tickonce.json("nodes") == []
    assert [(form["id"], form["state"]) for form in tickonce.json("nodes", "--all")] == [(node_id, "gone")]


def test_a_probe_that_hears_nothing_gives_up(tickonce):
    """A server that takes the connection and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"postgresql://app@127.0.0.1:{silent.getsockname()[1]}/jobs"
        said = tickonce("healthcheck", "--store", url, "--timeout", "200ms", exit=8)
    assert "no answer from the store within 200ms" in said.stderr
