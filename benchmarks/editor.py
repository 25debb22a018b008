"""A process that edits: ``python -m benchmarks.editor SETTINGS``."""

from __future__ import annotations

import time

from benchmarks.processes import Parent
from tickonce import Scheduler


def main() -> None:
    """Call verbs one after the other, as often as the parent asks."""
    parent = Parent()
    with Scheduler(parent.settings["store"]) as scheduler:

        @scheduler.job(name="nothing")
        def nothing() -> None: ...

        scheduler.store.instant()
        parent.say(ready=True)
        for asked in parent.asked():
            ids = [f"edit-{asked['number']}-{at}" for at in range(asked["count"])]
            began = time.time()
            match asked["do"]:
                case "add":
                    for each in ids:
                        scheduler.add(each, nothing, "every 1h")
                case "update":
                    for each in ids:
                        scheduler.update(each, trigger="every 2h")
                case "run_now":
                    for each in ids:
                        scheduler.run_now(each)
            parent.say(began=began, ended=time.time())


if __name__ == "__main__":
    main()
