"""A job has one name, however its program is started, and one that lasts."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tickonce import Jobs
from tickonce.errors import BadId, DefinitionError


@pytest.fixture
def jobs() -> Jobs:
    return Jobs("shop.")


def sync(shop: str, *, full: bool = False) -> str:
    return f"{shop} {full}"


def tidy() -> None: ...


PROGRAM = """
from tickonce import Jobs

jobs = Jobs()


@jobs.job
def task_a(): ...


class Shop:
    @staticmethod
    @jobs.job
    def sync(): ...


if __name__ != "__mp_main__":
    print(*sorted(jobs.names()))
"""


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., list[str]]:
    """Runs Python in a directory with a program, and returns the names of its jobs."""
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text("")
    (tmp_path / "pkg" / "__main__.py").write_text(PROGRAM)
    (tmp_path / "pkg" / "tasks.py").write_text(PROGRAM)

    def run(*arguments: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout.split() or done.stderr.splitlines()[-1:]

    return run


@pytest.mark.parametrize(
    ("started", "module"),
    [
        (["app.py"], "app"),
        (["-m", "app"], "app"),
        (["-c", "import app"], "app"),
        (["-m", "pkg.tasks"], "pkg.tasks"),
        (["-c", "import pkg.tasks"], "pkg.tasks"),
        (["-m", "pkg"], "pkg"),
        (["pkg"], "pkg"),
        (["-c", "import pkg.__main__"], "pkg"),
    ],
    ids=" ".join,
)
def test_a_name_is_the_same_however_the_program_is_started(program, started, module):
    assert program(*started) == [f"{module}.Shop.sync", f"{module}.task_a"]


def test_a_child_process_that_imports_the_main_module_anew_finds_the_same_names(program, tmp_path):
    (tmp_path / "child.py").write_text(
        dedent("""
            import multiprocessing
            from tickonce import Jobs

            jobs = Jobs()

            @jobs.job
            def task_a(): ...

            def names():
                print(*jobs.names())

            if __name__ == "__main__":
                child = multiprocessing.get_context("spawn").Process(target=names)
                child.start()
                child.join()
        """)
    )
    assert program("child.py") == program("-m", "child") == ["child.task_a"]


def test_what_was_typed_in_needs_a_name(program):
    (said,) = program("-c", "from tickonce import Jobs\ndef task(): ...\nJobs().job(task)")
    assert "task was typed in" in said
    assert 'job(name="...")' in said


def test_functions_that_nothing_tells_apart_need_a_name(jobs: Jobs):
    def inner() -> None: ...

    with pytest.raises(DefinitionError, match="made inside another function"):
        jobs.job(inner)
    with pytest.raises(DefinitionError, match="a lambda"):
        jobs.job(lambda: None)
    with pytest.raises(DefinitionError, match="has no name of its own"):
        jobs.job(functools.partial(sync, "eu"))
    assert jobs.job(name="inner")(inner).name == "shop.inner"
    assert jobs.job(name="eu")(functools.partial(sync, "eu"))() == "eu False"


def test_a_name_that_is_not_legal_is_refused_and_says_what_helps():
    with pytest.raises(BadId, match=r"'a b' cannot be an id: ' ' is not allowed"):
        Jobs().job(name="a b")(tidy)
    with pytest.raises(BadId, match=r"is not allowed.*give the job a name"):
        Jobs("").job(_named("module with spaces"))
    with pytest.raises(BadId):
        Jobs("a/b.")


def _named(module: str) -> Callable[[], None]:
    def function() -> None: ...

    function.__module__, function.__qualname__ = module, "function"
    return function


def test_the_prefix_stands_in_place_of_the_module_and_before_given_names():
    jobs = Jobs("billing.")
    assert jobs.job(tidy).name == "billing.tidy"
    assert jobs.job(name="all", aliases=["old_name"])(sync).name == "billing.all"
    assert jobs.names() == {"billing.tidy", "billing.all", "old_name"}


@pytest.mark.parametrize("thing", [3, "text", dict, property()])
def test_only_functions_are_jobs(jobs: Jobs, thing):
    with pytest.raises(DefinitionError, match="a job is a function"):
        jobs.job(name="x")(thing)


def test_a_generator_is_no_job_since_calling_it_does_nothing(jobs: Jobs):
    def numbers() -> Iterator[int]:
        yield 1

    with pytest.raises(DefinitionError, match="cannot be a generator"):
        jobs.job(name="numbers")(numbers)
