"""What ``tickonce doctor`` looks at in web servers: workers without a node, threads that uWSGI lets none run.

A node tells of itself whether a server's workers are forked from its process. The rest is read on this machine: the
command lines of this user's servers, and the configurations that those name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from tickonce.cli.findings import Finding, Patient
from tickonce.cli.processes import Process, processes
from tickonce.model import Node

_HOOKS = (
    "in gunicorn.conf.py: from tickonce.contrib.gunicorn import hooks; "
    "post_worker_init, worker_int, worker_exit = hooks('module:scheduler')"
)
_ATTACH = "in the module that uWSGI loads: from tickonce.contrib.uwsgi import attach; attach(scheduler)"
_MENDS = {"gunicorn": _HOOKS, "uwsgi": _ATTACH}
_TITLES = {"gunicorn": "Gunicorn", "uwsgi": "uWSGI"}


@dataclass(frozen=True, slots=True)
class Server:
    """What was read of a web server.

    Attributes:
        read: Where it was read, for people.
        threads: Whether Python's threads run in it; None where that could not be seen.
        preload: Whether it loads the program before it forks; None where that could not be seen.
        hooked: Whether its configuration starts nodes, as far as it was seen.
        pids: Its processes, the master first; none for a file.
    """

    kind: Literal["gunicorn", "uwsgi"]
    read: str
    threads: bool | None = True
    preload: bool | None = None
    hooked: bool = False
    pids: tuple[int, ...] = ()


def masters(patient: Patient) -> Iterator[Finding]:
    """Yield nodes that were started before a server forked its workers, which therefore have none."""
    forked = {(node.host, node.facts.get("parent")) for node in patient.alive}
    for node in patient.alive:
        server = node.facts.get("workers_of")
        if server in _MENDS and (node.host, node.pid) not in forked:
            yield Finding(
                "servers",
                "warning",
                f"{node.id} was started in {_TITLES[server]} before that forks its workers, which have no node",
                _MENDS[server],
            )


def servers(patient: Patient) -> Iterator[Finding]:
    """Yield what keeps the workers of this machine's servers, or of those in the files that are named, from a node."""
    found = [_of_process(each) for each in running(processes())]
    for server in [*found, *(_of_file(path) for path in patient.files)]:
        yield from judged(server, patient.alive)


def judged(server: Server, alive: tuple[Node, ...]) -> Iterator[Finding]:
    """Yield what is to be said of one server, given the nodes that are alive."""
    nodes = sum(node.pid in server.pids for node in alive)
    told = f"{_TITLES[server.kind]} ({server.read})"
    if nodes:
        if not any(node.pid in server.pids and node.facts.get("workers_of") for node in alive):
            master = server.pids[0]
            rest = "" if any(node.pid == master for node in alive) else f"; the master, pid {master}, needs none"
            yield Finding("servers", "ok", f"{told}: {nodes} of its {len(server.pids)} processes are nodes{rest}")
    elif server.threads is False:
        yield Finding(
            "servers",
            "warning",
            f"{told} goes without enable-threads: in older releases, such as 2.0.21, no thread runs then, so no node",
            "enable-threads = true",
        )
    elif server.preload and not server.hooked:
        yield Finding(
            "servers",
            "warning",
            f"{told} loads the program before it forks, and nothing starts a node in the workers",
            _MENDS[server.kind],
        )
    elif not server.pids:
        yield Finding("servers", "ok", f"{told}: nothing in it keeps the workers from being nodes")


# -- processes -----------------------------------------------------------------------------------


def running(found: list[Process]) -> list[tuple[Process, ...]]:
    """Return the servers of this program among *found*, each with its master first.

    Of this program are those that run in this working directory, and those that were told a store or a Scheduler.
    """
    serving = {each.pid: each for each in found if kind_of(each) is not None}
    here = Path.cwd()
    return [
        (master, *(each for each in found if each.parent == master.pid))
        for master in serving.values()
        if master.parent not in serving
        and (master.cwd == here or master.environ.keys() & {"TICKONCE_STORE", "TICKONCE_APP"})
    ]


def kind_of(process: Process) -> Literal["gunicorn", "uwsgi"] | None:
    """Return which server it is, by the first words of its command line.

    >>> kind_of(Process(1, 0, ("/usr/bin/python3", "/usr/bin/gunicorn", "-w", "4", "shop:app")))
    'gunicorn'
    >>> kind_of(Process(1, 0, ("vi", "gunicorn.conf.py")))
    """
    names = [Path(word).name for word in process.words[:3]]
    if not names:
        return None
    if re.fullmatch(r"(py)?uwsgi([-_].*)?", names[0]):
        return "uwsgi"
    if names[0].startswith("python"):
        names = names[1:] if names[1:2] != ["-m"] else names[2:]
    match names[:1]:
        case ["gunicorn"]:
            return "gunicorn"
        case ["pyuwsgi" | "uwsgi"]:
            return "uwsgi"
    return None


def _of_process(family: tuple[Process, ...]) -> Server:
    master, pids = family[0], tuple(each.pid for each in family)
    words = list(master.words)
    if kind_of(master) == "gunicorn":
        words += shlex.split(master.environ.get("GUNICORN_CMD_ARGS", ""))
        named = _values(words, "-c", "--config") + [word[2:] for word in words if re.match("-c.", word)]
        file = (named or ["gunicorn.conf.py"])[-1].removeprefix("file:")
        text = _text(master.cwd, file)
        read = f"pid {master.pid}" + (f", {file}" if text else "")
        if named and text is None:  # a module, or not for us to read
            return Server("gunicorn", read, pids=pids)
        server = gunicorn(text or "", read)
        return Server("gunicorn", read, preload="--preload" in words or server.preload, hooked=server.hooked, pids=pids)
    files = _values(words, "--ini", "--yaml", "--yml", "--json", "--xml", "--emperor")
    files += [word for word in words[1:] if re.fullmatch(r"[^-].*\.(ini|ya?ml|json|xml)", word)]
    files = list(dict.fromkeys(files))
    texts = [_text(master.cwd, file) for file in files]
    read = ", ".join([f"pid {master.pid}", *files])
    given = [word.lstrip("-") for word in words if re.match("--(enable-)?threads(=|$)", word)]
    given += ["enable-threads"] if "-T" in words else []
    given += [
        f"{name.removeprefix('UWSGI_').lower().replace('_', '-')} = {value}"
        for name, value in master.environ.items()
        if name.startswith("UWSGI_")
    ]
    threads = None if None in texts else uwsgi("\n".join([*given, *map(str, texts)]), read).threads
    return Server("uwsgi", read, threads=threads, pids=pids)


def _values(words: list[str], *options: str) -> list[str]:
    """Return what stands behind *options*, as the next word or behind an equals sign.

    >>> _values(["uwsgi", "--ini", "a.ini", "--ini=b.ini"], "--ini")
    ['a.ini', 'b.ini']
    """
    behind = [after for word, after in pairwise(words) if word in options]
    return behind + [word.partition("=")[2] for word in words if word.partition("=")[0] in options and "=" in word]


def _text(folder: Path | None, file: str) -> str | None:
    try:
        return ((folder or Path()) / file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


# -- files ---------------------------------------------------------------------------------------


def _of_file(path: Path) -> Server:
    text = path.read_text(encoding="utf-8", errors="replace")
    return gunicorn(text, str(path)) if path.suffix == ".py" else uwsgi(text, str(path))


def gunicorn(text: str, read: str) -> Server:
    """Return what a ``gunicorn.conf.py`` says.

    >>> gunicorn("preload_app = True", "it").preload, gunicorn("# preload_app = True", "it").preload
    (True, False)
    """
    preload = re.search(r"^\s*preload_app\s*=\s*(?!False|0|None)\S", text, re.MULTILINE) is not None
    return Server("gunicorn", read, preload=preload, hooked="tickonce" in text or "start_node" in text)


def uwsgi(text: str, read: str) -> Server:
    """Return what a configuration of uWSGI says, in any of its languages: options, one a line.

    >>> [uwsgi(text, "it").threads for text in ("threads = 2", "enable-threads: false", "<enable-threads/>", "ini = b")]
    [True, False, True, None]
    """
    lines = re.findall(r'^\s*["<]?(enable-threads|threads)\b["/>]*\s*[=:]?\s*["]?([^\s",<]*)', text, re.MULTILINE)
    if any(value.lower() not in {"false", "no", "off", "0"} for _, value in lines):
        return Server("uwsgi", read)
    elsewhere = re.search(r'^\s*["<]?(ini|include|inherit|yaml|json|xml|import)\b', text, re.MULTILINE)
    return Server("uwsgi", read, threads=None if elsewhere else False)
