"""Opening, closing, telling the time, announcing."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tickonce.editing import Amend
from tickonce.errors import NotTransactional
from tickonce.model import NodeState
from tickonce.ports import ALL_HINTS, Notifier, Store
from tickonce.testing.contract.base import Part
from tickonce.testing.contract.making import SECOND, join, make_idle, make_run, make_schedule, row_of

_SOON = 5 * SECOND


class LifeContract(Part):
    """The store itself."""

    def test_the_url_says_where_the_store_is_without_its_password(self, store: Store) -> None:
        assert store.url
        assert urlsplit(store.url).password in (None, "***")

    def test_preparing_again_leaves_everything_as_it_is(self, store: Store) -> None:
        made = make_idle(store)
        store.prepare()
        self.another(store).prepare()
        assert store.get(made.id) == made

    def test_a_store_that_is_there_needs_nothing_made(self, store: Store) -> None:
        made = make_idle(store)
        another = self.another(store)
        another.prepare(make=False)
        assert another.get(made.id) == made

    def test_a_closed_store_opens_again_when_it_is_used(self, store: Store) -> None:
        made = make_idle(store)
        store.close()
        store.close()
        assert store.get(made.id) == made

    def test_the_instant_is_aware_in_utc_and_does_not_go_back(self, store: Store) -> None:
        instants = [store.instant() for _ in range(20)]
        assert instants == sorted(instants)
        assert {instant.utcoffset() for instant in instants} == {timedelta(0)}

    def test_the_instant_moves_on(self, store: Store) -> None:
        before = store.instant()
        self.let_pass(store)
        assert store.instant() > before

    def test_what_one_process_writes_another_reads(self, store: Store) -> None:
        made = make_idle(store)
        assert self.another(store).get(made.id) == made

    def test_a_connection_of_a_foreign_kind_cannot_be_joined(self, store: Store) -> None:
        with pytest.raises(NotTransactional):
            store.using(object()).get("nightly")


class NotifierContract(Part):
    """Hints. They may be lost, late or repeated; but a store that announces does announce."""

    def test_an_edit_is_announced(self, store: Store) -> None:
        listener = _listener(store)
        make_schedule(store)
        assert _hears(listener, "schedules")

    def test_a_change_of_a_schedule_is_announced(self, store: Store) -> None:
        make_schedule(store, period=10 * SECOND)  # due soon: only a hint that shortens a wait is owed
        listener = _listener(store)
        store.change("nightly", Amend(schedule_id="nightly", changes={"jitter": SECOND}))
        assert _hears(listener, "schedules")

    def test_a_run_left_pending_is_announced(self, store: Store) -> None:
        make_idle(store)
        listener = _listener(store)
        make_run(store)
        assert _hears(listener, "runs")

    def test_a_node_that_leaves_is_announced(self, store: Store) -> None:
        join(store)
        listener = _listener(store)
        store.leave("node")
        assert _hears(listener, "nodes")

    def test_each_listener_hears_for_itself(self, store: Store) -> None:
        listeners = [_listener(store), _listener(store)]
        make_schedule(store)
        assert [_hears(listener, "schedules") for listener in listeners] == [True, True]

    def test_without_a_change_a_wait_ends_empty(self, store: Store) -> None:
        assert _listener(store).wait(timedelta(0)) == frozenset()

    def test_closing_ends_a_wait_in_another_thread(self, store: Store) -> None:
        listener = _listener(store)
        thread = Thread(target=_wait_whatever_comes, args=(listener,), daemon=True)
        thread.start()
        listener.close()
        thread.join(timeout=10)
        assert not thread.is_alive()

    def test_a_store_that_does_not_announce_says_so(self, store: Store) -> None:
        assert store.notifies == (store.notifier() is not None)

    def test_a_listener_that_has_closed_disturbs_nobody(self, store: Store) -> None:
        listener = _listener(store)
        listener.close()
        listener.close()
        join(store)
        store.leave("node")
        assert store.nodes()[0].state is NodeState.GONE
        assert make_schedule(store) == row_of(store, "nightly")


def _listener(store: Store) -> Notifier:
    found = store.notifier()
    if found is None:
        pytest.skip("this store does not announce")
    assert found.wait(timedelta(0)) <= ALL_HINTS  # connected by now
    return found


def _hears(listener: Notifier, kind: str) -> bool:
    # Other hints may come first, in waits of their own.
    heard = any(kind in listener.wait(_SOON) for _ in range(3))
    listener.close()
    return heard


def _wait_whatever_comes(listener: Notifier) -> None:
    try:
        listener.wait(timedelta(minutes=1))
    except Exception:  # noqa: BLE001  # it may raise or return
        return
