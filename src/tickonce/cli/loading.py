"""Finding the program's Scheduler by ``module:name``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from tickonce.errors import ConfigError, did_you_mean
from tickonce.scheduler import Scheduler


class AppError(ConfigError):
    """The Scheduler that ``-A`` names cannot be found or imported."""

    code = "config.app"


def load_scheduler(app: str) -> Scheduler:
    """Return the Scheduler at *app*, written ``module:name``, or ``module`` where the module has only one.

    The working directory is looked into first, as ``python -m`` does.

    Raises:
        AppError: There is no such module or name, the module fails, or it has no Scheduler or several.
    """
    module_name, colon, name = app.partition(":")
    _check_module_name(app, module_name)
    if "" not in sys.path and (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    module = _module(module_name)
    return _named(module, name) if colon else _lone(module)


def _check_module_name(app: str, module_name: str) -> None:
    if all(part.isidentifier() for part in module_name.split(".")) and not module_name.endswith(".py"):
        return
    path = Path(module_name)
    if path.suffix == ".py" or "/" in module_name or "\\" in module_name:
        dotted = ".".join(path.with_suffix("").parts)
        raise AppError(f"-A {app}: that is a file; write the module as Python imports it, such as: -A {dotted}")
    raise AppError(f"-A {app}: write module:scheduler, such as: -A myapp.jobs:scheduler")


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise AppError(_failed(name, error)) from error
        hint = did_you_mean(name, sorted(path.stem for path in Path.cwd().glob("*.py")))
        raise AppError(
            f"-A {name}: Python finds no module {error.name!r}, neither in {Path.cwd()} nor where packages are "
            f"installed; start from your project's directory, or install it.{hint}"
        ) from error
    except Exception as error:
        raise AppError(_failed(name, error)) from error


def _failed(name: str, error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 else ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}, line {error.lineno})"
    reason = f"{type(error).__name__}: {error}"
    return f"-A {name}: importing it failed with {reason}{place}; -v shows the whole traceback"


def _named(module: ModuleType, name: str) -> Scheduler:
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            others = _schedulers(module)
            hint = f" It has: {', '.join(others)}" if others else ""
            raise AppError(f"-A {module.__name__}:{name}: the module has no {name!r}.{hint}")
        found = getattr(found, part)
    scheduler = _scheduler(found)
    if scheduler is None:
        raise AppError(f"-A {module.__name__}:{name} is a {type(found).__name__}, not a Scheduler")
    return scheduler


def _lone(module: ModuleType) -> Scheduler:
    found = _schedulers(module)
    if not found:
        raise AppError(f"-A {module.__name__}: the module has no Scheduler; name the one that has: -A module:scheduler")
    if len({id(scheduler) for scheduler in found.values()}) > 1:
        raise AppError(
            f"-A {module.__name__}: the module has several Schedulers; "
            f"name one of: {', '.join(f'-A {module.__name__}:{name}' for name in found)}"
        )
    return next(iter(found.values()))


def _schedulers(module: ModuleType) -> dict[str, Scheduler]:
    found = {name: _scheduler(value) for name, value in vars(module).items()}
    return {name: scheduler for name, scheduler in found.items() if scheduler is not None}


def _scheduler(value: object) -> Scheduler | None:
    """Return *value*, or the Scheduler that an AsyncScheduler stands before."""
    if isinstance(value, Scheduler):
        return value
    if "tickonce.aio" in sys.modules and isinstance(value, sys.modules["tickonce.aio"].AsyncScheduler):
        behind: object = value.sync
        return behind if isinstance(behind, Scheduler) else None
    return None
