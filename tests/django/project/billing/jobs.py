"""Of a reusable app: it does not know whose Scheduler will run it."""

from tickonce import Jobs

jobs = Jobs("billing.")


@jobs.schedule("0 9 1 * *", id="billing-month")
def close_month() -> None: ...
