"""Carries out a plan of faults, and writes down what really was done when."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from sqlite3 import OperationalError

from tests.chaos.storm.bands import Band
from tests.chaos.storm.fleet import StormFleet
from tests.chaos.storm.plan import Fault, What
from tests.chaos.storm.site import Site
from tests.servers import CuttingProxy

#: How long replies are waited for that are to be lost: the store may be frozen, or the node leaving.
_NEXT_COMMIT_S = 12.0


class Injector:
    """Injects faults, each in a thread of its own, for some last longer than it takes until the next.

    Attributes:
        bands: What was done; complete when ``finish`` has returned.
        failed: What could not be done, as text.
        lost: How many commits and replies of nodes were lost.
    """

    def __init__(self, fleet: StormFleet, site: Site) -> None:
        self._fleet, self._site = fleet, site
        self.bands: list[Band] = []
        self.failed: list[str] = []
        self.lost: Counter[str] = Counter()
        self.release = 1
        self._threads: list[threading.Thread] = []
        self._errors: list[Exception] = []
        self._store = threading.Lock()
        self._roll = threading.Lock()

    @property
    def counts(self) -> Counter[str]:
        """How many faults of each kind were injected."""
        rolls = {band.begin for band in self.bands if band.what is What.ROLL and band.node == 0}
        found = Counter(str(band.what) for band in self.bands if band.what is not What.ROLL)
        if rolls:
            found[str(What.ROLL)] = len(rolls)
        return found

    def run(self, plan: Iterable[Fault], began: float, tell: Callable[[str], None]) -> None:
        """Begin each fault at its time, counted from *began*; return when the last one has begun."""
        for fault in plan:
            time.sleep(max(0.0, began + fault.at_s - time.monotonic()))
            tell(str(fault))
            thread = threading.Thread(target=self._carry_out, args=(fault,), name=str(fault.what), daemon=True)
            self._threads.append(thread)
            thread.start()

    def finish(self) -> None:
        """Wait until every fault is over, and make all well.

        Raises:
            Exception: What a fault could not be injected for, so that nobody knows what was done.
        """
        for thread in self._threads:
            thread.join()
        for error in self._errors:
            raise error
        for proxy in self._site.proxies:
            proxy.restore()
        self._fleet.finish()

    # -- one fault -------------------------------------------------------------------------------

    def _carry_out(self, fault: Fault) -> None:
        try:
            if fault.what is What.ROLL:
                self._rolling()
            elif fault.node is None:
                with self._store:  # one that is down already cannot be frozen
                    begin = time.monotonic()
                    self._site.harm(fault.what, fault.length_s, [place.process.pid for place in self._fleet.places])
                    self._note(fault, begin)
            else:
                self._to_node(fault, fault.node)
        except OperationalError as error:  # the lock of the file, which a stopped process holds
            self.failed.append(f"{fault}: {error}")
        except Exception as error:  # noqa: BLE001 - told by finish()
            self._errors.append(error)

    def _to_node(self, fault: Fault, node: int) -> None:
        place = self._fleet.places[node]
        begin = time.monotonic()
        pid = place.process.pid
        if fault.what in (What.KILL, What.STOP, What.BLINK):
            with place.lock:
                met = place.send(signal.SIGKILL if fault.what is What.KILL else signal.SIGSTOP)
                place.held = place.held or (met is not None and fault.what is What.KILL)
            if met is None:
                self.failed.append(f"{fault}: the process had ended")
                return
            pid = met
            time.sleep(fault.length_s)
            if fault.what is What.KILL:
                self._fleet.ensure(node)
            else:
                place.send(signal.SIGCONT)
        elif fault.what in (What.JUMP, What.DRIFT):
            jump = fault.what is What.JUMP
            self._fleet.set_clock(node, f"{fault.size:+.1f}" if jump else f"+0 x{fault.size}")
        elif not self._to_network(fault, node):
            return
        self._note(fault, begin, pid)

    def _to_network(self, fault: Fault, node: int) -> bool:
        proxy = self._site.proxies[node]
        match fault.what:
            case What.CUT:
                proxy.cut()
            case What.LOST_REPLY | What.LOST_COMMIT:
                return self._lose(fault, proxy)
            case What.LATENCY:
                proxy.delay(timedelta(seconds=fault.size))
                time.sleep(fault.length_s)
                proxy.restore()
            case What.HALF_OPEN:
                proxy.freeze()
                time.sleep(fault.length_s)
                proxy.restore()
            case What.PARTITION:
                proxy.refuse()
                proxy.cut()
                time.sleep(fault.length_s)
                proxy.restore()
        return True

    def _lose(self, fault: Fault, proxy: CuttingProxy) -> bool:
        """Lose one commit, or one reply, after the other; return whether any was lost."""
        end = time.monotonic() + _NEXT_COMMIT_S
        lost = 0
        while lost < fault.size:
            reply = fault.what is What.LOST_REPLY
            cut = proxy.cut_reply_after(b"COMMIT") if reply else proxy.cut_before(b"COMMIT")
            if not cut.happened.wait(max(0.0, end - time.monotonic())):
                break
            lost += 1
        self.lost[str(fault.what)] += lost
        if not lost:
            self.failed.append(f"{fault}: no commit came by")
        return lost > 0

    def _rolling(self) -> None:
        with self._roll:
            self.release += 1
            for place in self._fleet.places:
                begin, pid = time.monotonic(), place.process.pid
                clean = self._fleet.replace(place.number, self.release)
                self._fleet.wait_joined(place.number)
                band = Band(what=What.ROLL, begin=begin, end=time.monotonic(), node=place.number, pid=pid, clean=clean)
                self.bands.append(band)

    def _note(self, fault: Fault, begin: float, pid: int | None = None) -> None:
        end = time.monotonic()
        self.bands.append(Band(what=fault.what, begin=begin, end=end, node=fault.node, pid=pid, alone=fault.alone))
