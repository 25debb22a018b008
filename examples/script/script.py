"""A plain program with a node in its background: start it twice, and each tick is still printed once."""

import os
import time

from tickonce import Scheduler, current_run, every

scheduler = Scheduler()  # TICKONCE_STORE


@scheduler.schedule(every("2s"), id="hello")
def hello() -> None:
    print(f"process {os.getpid()}: {current_run().scheduled_time:%H:%M:%S}", flush=True)


if __name__ == "__main__":
    scheduler.start()
    print("working; Ctrl+C ends it", flush=True)
    try:
        while True:  # whatever the program does
            time.sleep(1)
    except KeyboardInterrupt:
        print("bye", flush=True)  # the node leaves when the interpreter ends
