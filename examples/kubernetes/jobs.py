"""The program of the pods: ``tickonce serve -A jobs``."""

import platform

from tickonce import Scheduler, current_run, every

scheduler = Scheduler(tz="Asia/Shanghai", drain_timeout="40s")  # TICKONCE_STORE


@scheduler.schedule(every("10s"), id="hello")
def hello() -> None:
    print(f"{platform.node()}: {current_run().scheduled_time:%H:%M:%S}", flush=True)


@scheduler.schedule("0 21 * * *", id="close-the-books", retries=3, timeout="30m")
def close_the_books() -> None:
    print("the books are closed", flush=True)
