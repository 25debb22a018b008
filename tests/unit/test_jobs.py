"""Registering functions: names that last, calls that are checked, registries that are included."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import pickle
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from mypy import api as mypy

from tickonce import Jobs, Retry, cron, every
from tickonce.codec import decode_arguments
from tickonce.errors import BadArguments, BadId, DefinitionError, JobExists, TickonceError, TriggerError
from tickonce.model import CutOff, Misfire, OnLost
from tickonce.settings import JobOptions

at_module_level = Jobs("tests.")


@pytest.fixture
def jobs() -> Jobs:
    return Jobs("shop.")


def sync(shop: str, *, full: bool = False) -> str:
    return f"{shop} {full}"


def tidy() -> None: ...


async def fetch(url: str) -> str:
    await asyncio.sleep(0)
    return url


@at_module_level.job
def pickled() -> None: ...


# -- a job is still its function -----------------------------------------------------------------


def test_a_job_is_called_as_the_function_was(jobs: Jobs):
    job = jobs.job(sync)
    assert job("eu", full=True) == "eu True"
    assert (job.__name__, inspect.signature(job)) == ("sync", inspect.signature(sync))


def test_a_coroutine_function_is_known_as_one(jobs: Jobs):
    job = jobs.job(fetch)
    assert job.is_async
    assert asyncio.run(job("https://example.org")) == "https://example.org"
    if sys.version_info >= (3, 12):
        assert inspect.iscoroutinefunction(job)


def test_options_are_written_as_people_write_them(jobs: Jobs):
    job = jobs.job(timeout="10m", retries=3, queue="slow", priority=5, on_lost="fail", when_cut_off="cancel")(sync)
    assert job.options == JobOptions(
        timeout=timedelta(minutes=10),
        retry=Retry(times=3),
        queue="slow",
        priority=5,
        on_lost=OnLost.FAIL,
        when_cut_off=CutOff.CANCEL,
    )


def test_a_job_is_pickled_as_the_name_by_which_its_module_knows_it():
    assert pickle.loads(pickle.dumps(pickled)) is pickled


# -- binding -------------------------------------------------------------------------------------


def test_bound_arguments_are_kept_as_json_and_come_back_as_they_were(jobs: Jobs):
    @jobs.job(name="pay")
    def pay(amount: Decimal, day: date, *, tags: list[str]) -> None: ...

    call = pay.bind(Decimal("1.10"), date(2026, 11, 21), tags=["a"])
    assert call.job_name == "shop.pay"
    assert decode_arguments(call.arguments) == ((Decimal("1.10"), date(2026, 11, 21)), {"tags": ["a"]})


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "missing a required argument: 'shop'"),
        (("eu", "us"), {}, "too many positional arguments"),
        (("eu",), {"fully": True}, "unexpected keyword argument 'fully'"),
        ((object(),), {}, "$.args[0] is a object, which is not JSON"),
        (("eu",), {"full": float("nan")}, "$.kwargs.full is nan, which JSON cannot hold"),
        (("e\x00u",), {}, "NUL character"),
        (("x" * 300_000,), {}, "allowed are 262144"),
    ],
)
def test_arguments_that_cannot_work_are_refused_when_they_are_bound(jobs: Jobs, args, kwargs, says):
    job: Any = jobs.job(sync)
    with pytest.raises(BadArguments) as refused:
        job.bind(*args, **kwargs)
    assert says in str(refused.value)
    assert "job 'shop.sync'" in str(refused.value)
    assert refused.value.job == "shop.sync"


def test_a_type_checker_sees_what_bind_and_calls_take(tmp_path):
    """What mypy accepts and refuses here is what users are promised."""
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        dedent("""
            from tickonce import Job, Scheduler, every

            scheduler = Scheduler("memory:")

            @scheduler.job
            def plain(shop: str) -> int:
                return 1

            @scheduler.job(timeout="10m", retries=3)
            def options(shop: str) -> int:
                return 1

            @scheduler.schedule("0 9 * * *", id="a", overlap="allow")
            @scheduler.schedule("0 9 * * *", id="b")
            @scheduler.job(name="async")
            async def stacked(shop: str = "") -> int:
                return 1

            reveal_type(plain("eu"))
            reveal_type(options.bind(shop="eu"))
            reveal_type(stacked)
            scheduler.add("x", plain.bind("eu"), every("5m"), misfire="all", timeout="1h")

            plain.bind(shop=1)                            # error: arg-type
            options.bind()                                # error: call-arg
            stacked.bind(shp="eu")                        # error: call-arg
            plain(1)                                      # error: arg-type
            scheduler.add("x", plain, every("5m"), misfire="al")    # error: arg-type
            scheduler.add("x", plain, every("5m"), timeuot="1m")    # error: call-arg
            scheduler.job(timeout=5)                                # error: call-overload
        """)
    )
    out, err, _ = mypy.run(["--strict", "--no-error-summary", "--cache-dir", str(tmp_path), str(snippet)])
    assert err == ""
    said = [line.split(":", 2) for line in out.splitlines() if ": error:" in line or ": note: Revealed" in line]
    revealed = [
        text.partition('"')[2].rstrip('"').replace("builtins.", "") for _, _, text in said if "Revealed" in text
    ]
    assert revealed == [
        "int",
        "tickonce.jobs.Call",
        "tickonce.jobs.Job[[shop: str =], typing.Coroutine[Any, Any, int]]",
    ]
    expected = {
        number: line.partition("# error: ")[2].strip()
        for number, line in enumerate(snippet.read_text().splitlines(), 1)
        if "# error: " in line
    }
    found = {int(line): text.rpartition("[")[2].rstrip("]") for _, line, text in said if "error:" in text}
    assert found == expected


# -- one name, one job ---------------------------------------------------------------------------


def test_two_functions_cannot_share_a_name_and_the_first_one_stays(jobs: Jobs):
    first = jobs.job(name="x")(sync)
    with pytest.raises(JobExists, match=r"'shop\.x' is registered already"):
        jobs.job(name="x")(tidy)
    with pytest.raises(JobExists):
        jobs.job(name="y", aliases=["shop.x"])(tidy)
    assert jobs.names() == {"shop.x"}
    assert jobs.find("shop.x") is first


def test_a_job_is_found_under_its_aliases(jobs: Jobs):
    job = jobs.job(aliases=["old.sync", "older.sync"])(sync)
    assert jobs.find("old.sync") is jobs.find("older.sync") is jobs.find("shop.sync") is job
    assert jobs.find("nothing") is None


def test_a_module_that_is_loaded_again_replaces_its_jobs_and_schedules(tmp_path):
    """Reloading, or importing the main module under its own name, is the same code twice, not two jobs."""
    source = tmp_path / "twice.py"
    source.write_text(
        "def register(jobs):\n    return jobs.schedule('@daily', id='x')(jobs.job(name='f')(f))\ndef f(): ..."
    )
    jobs = Jobs()
    registered = [_load(source).register(jobs) for _ in range(2)]
    assert registered[0] is not registered[1]
    assert jobs.find("f") is registered[1]
    assert [declared.job for declared in jobs.declared] == [registered[1]]


def _load(source: Path) -> Any:
    spec = importlib.util.spec_from_file_location(source.stem, source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- declaring schedules -------------------------------------------------------------------------


def test_a_declared_schedule_has_the_jobs_name_and_the_schedulers_zone(jobs: Jobs):
    job = jobs.schedule("0 21 * * *", retries=3, timeout="10m")(tidy)
    (declared,) = jobs.declared
    definition = declared.definition("Asia/Shanghai")
    assert (declared.id, definition.job) == ("shop.tidy", "shop.tidy")
    assert definition.trigger == cron("0 21 * * *", tz="Asia/Shanghai")
    assert definition.policy.retry == Retry(times=3)
    assert definition.policy.timeout == timedelta(minutes=10)
    assert job.options == JobOptions()


def test_one_function_has_several_schedules_with_ids_of_their_own(jobs: Jobs):
    @jobs.schedule("0 9 * * *", id="morning")
    @jobs.schedule(every("1h"), id="hourly", kwargs={"shop": "eu"}, misfire="all", tz="Europe/Paris")
    @jobs.job(name="report", queue="reports", priority=3)
    def report(shop: str = "all") -> None: ...

    hourly, morning = (declared.definition("UTC") for declared in jobs.declared)
    assert hourly.job == morning.job == "shop.report"
    assert hourly.queue == morning.queue == "reports"
    assert decode_arguments(hourly.arguments) == ((), {"shop": "eu"})
    assert hourly.policy.misfire is Misfire.ALL


@pytest.mark.parametrize(
    ("trigger", "settings", "error", "says"),
    [
        ("61 * * * *", {}, TriggerError, "minute"),
        ("0 9 * *", {}, TriggerError, "has 4 field(s)"),
        ("0 9 * * *", {"tz": "Mars/Base"}, TriggerError, "Mars/Base"),
        ("0 9 * * *", {"id": "a b"}, BadId, "'a b' cannot be an id"),
        ("0 9 * * *", {"kwargs": {"nothing": 1}}, BadArguments, "unexpected keyword argument 'nothing'"),
        ("0 9 * * *", {"start": datetime(2026, 1, 1)}, DefinitionError, "start must be aware"),
        ("0 9 * * *", {"misfire": "lates"}, DefinitionError, "misfire must be 'latest', 'all' or 'skip', got 'lates'"),
        ("0 9 * * *", {"timeout": "10"}, DefinitionError, "write '10s' for seconds"),
        ("0 9 * * *", {"timeout": timedelta(0)}, DefinitionError, "timeout must be longer than zero"),
        ("0 9 * * *", {"retries": -1}, DefinitionError, "retries must not be negative"),
        ("0 9 * * *", {"priority": 99_999}, DefinitionError, "priority must be"),
        ("0 9 * * *", {"tags": "one"}, DefinitionError, "tags must be a list"),
        ("0 9 * * *", {"queue": "a b"}, BadId, "'a b'"),
        (17, {}, DefinitionError, "a trigger is"),
    ],
)
def test_a_mistake_is_told_at_the_line_of_the_decorator_and_declares_nothing(
    jobs: Jobs, trigger, settings, error, says
):
    with pytest.raises(error) as told:
        jobs.schedule(trigger, **settings)(tidy)
    assert isinstance(told.value, TickonceError)
    assert says in str(told.value)
    assert jobs.declared == ()


def test_a_setting_that_does_not_exist_is_refused_like_any_unknown_argument(jobs: Jobs):
    with pytest.raises(TypeError, match=r"no setting 'timeuot'. Did you mean 'timeout'\?"):
        jobs.schedule("@daily", timeuot="1m")(tidy)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no setting 'misfire'"):
        jobs.job(misfire="all")(tidy)  # type: ignore[call-overload]


def test_a_function_that_needs_arguments_must_get_them_where_it_is_declared(jobs: Jobs):
    with pytest.raises(BadArguments, match="missing a required argument: 'shop'"):
        jobs.schedule("@daily")(sync)


def test_two_schedules_cannot_share_an_id(jobs: Jobs):
    job = jobs.schedule("@daily", id="x")(tidy)
    with pytest.raises(DefinitionError, match="'x' is declared twice"):
        jobs.schedule("@hourly", id="x")(job)
    with pytest.raises(DefinitionError, match=r"'x' is declared twice, for jobs 'shop\.tidy' and 'shop\.fetch'"):
        jobs.schedule("@hourly", id="x", kwargs={"url": ""})(fetch)
    assert len(jobs.declared) == 1


def test_job_comes_closest_to_the_function(jobs: Jobs):
    job = jobs.schedule("@daily")(tidy)
    assert jobs.job(job) is job
    with pytest.raises(DefinitionError, match="closest to the function"):
        jobs.job(timeout="1m")(job)


# -- registries in registries --------------------------------------------------------------------


def test_an_included_registry_brings_what_it_has_and_what_it_gets_later():
    app, billing = Jobs("app."), Jobs("billing.")
    before = billing.job(tidy)
    app.include(billing)
    app.include(billing)
    after = billing.schedule("@daily")(billing.job(name="later")(sync_all))
    assert app.find("billing.tidy") is before
    assert app.find("billing.later") is after
    assert [declared.id for declared in app.declared] == ["billing.later"]
    assert billing.names() == {"billing.tidy", "billing.later"}


def sync_all() -> None: ...


def test_registries_include_each_other_at_any_depth_but_never_themselves():
    a, b, c = Jobs("a."), Jobs("b."), Jobs("c.")
    a.include(b)
    b.include(c)
    c.job(tidy)
    assert a.names() == b.names() == {"c.tidy"}
    for registry in (a, b, c):
        with pytest.raises(DefinitionError, match="in itself"):
            c.include(registry)


def test_a_clash_between_registries_is_refused_and_changes_neither():
    app, other = Jobs(), Jobs()
    app.job(name="x")(tidy)
    other.job(name="y")(sync)
    other.job(name="x")(sync_all)
    with pytest.raises(JobExists, match="'x'"):
        app.include(other)
    assert app.names() == {"x"}

    later = Jobs()
    app.include(later)
    with pytest.raises(JobExists):
        later.job(name="x")(sync_all)
    assert later.names() == frozenset()


def test_a_job_of_a_stranger_cannot_be_scheduled_here(jobs: Jobs):
    job = Jobs("other.").job(tidy)
    with pytest.raises(DefinitionError, match=r"include\(\) that one first"):
        jobs.schedule("@daily")(job)


def test_instants_are_kept_in_utc(jobs: Jobs):
    jobs.schedule("@daily", start=datetime.fromisoformat("2026-11-21T08:00+08:00"))(tidy)
    start = jobs.declared[0].definition("UTC").start
    assert start == datetime(2026, 11, 21, tzinfo=UTC)
    assert start.tzinfo is UTC
