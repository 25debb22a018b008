"""A SIGTERM that nobody hears, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from textwrap import dedent

import pytest

BEGIN = """
import os, signal, threading, time
from tickonce.ending import UnheardEnd

def leave():
    print("leaves in", threading.current_thread().name, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)  # told once more meanwhile
    time.sleep(0.2)
    print("has left", flush=True)

def told():
    signal.raise_signal(signal.SIGTERM)
"""
DEFAULT = "print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)"


def ended(text: str) -> tuple[int, list[str]]:
    """Run a program; return how it ended, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + dedent(text)], capture_output=True, text=True, timeout=30, check=False
    )
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def test_the_node_leaves_and_then_the_process_ends_by_the_signal():
    text = """
    with UnheardEnd(leave):
        told()
        time.sleep(20)
    """
    assert ended(text) == (-signal.SIGTERM, ["leaves in tickonce-stop", "has left"])


def test_all_nodes_of_the_process_leave():
    text = """
    with UnheardEnd(lambda: print("one", flush=True)):
        with UnheardEnd(lambda: print("two", flush=True)):
            pass
        with UnheardEnd(lambda: (time.sleep(0.2), print("three", flush=True))):
            told()
            time.sleep(20)
    """
    assert ended(text) == (-signal.SIGTERM, ["one", "three"])


def test_a_terminal_that_is_closed_is_heard_too():
    text = """
    with UnheardEnd(lambda: print("leaves", flush=True)):
        signal.raise_signal(signal.SIGHUP)
        time.sleep(20)
    """
    assert ended(text) == (-signal.SIGHUP, ["leaves"])


def test_a_node_that_cannot_leave_keeps_no_process_alive():
    text = """
    import logging
    logging.disable()
    with UnheardEnd(lambda: 1 / 0):
        told()
        time.sleep(20)
    """
    assert ended(text) == (-signal.SIGTERM, [])


def test_once_the_server_ends_the_signal_says_nothing_new_and_afterwards_it_does_again_what_it_did():
    text = f"""
    with UnheardEnd(leave) as end:
        end.begins()
        told()
        print("goes on", flush=True)
    {DEFAULT}
    told()
    """
    assert ended(text) == (-signal.SIGTERM, ["goes on", "True"])


def test_who_hears_the_signal_goes_on_hearing_it():
    text = """
    signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
    with UnheardEnd(leave):
        told()
    """
    assert ended(text) == (0, ["heard"])


def test_a_handler_that_came_later_stays():
    text = """
    with UnheardEnd(leave):
        signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
    told()
    """
    assert ended(text) == (0, ["heard"])


def test_in_other_threads_nothing_is_done():
    text = f"""
    def run():
        with UnheardEnd(leave):
            {DEFAULT}
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    """
    assert ended(text) == (0, ["True"])


@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
def test_a_child_forked_meanwhile_can_be_ended():
    text = """
    with UnheardEnd(leave) as end:
        end.begins()
        ready, say = os.pipe()
        child = os.fork()
        if not child:
            os.write(say, b".")  # Python drops what comes while it forks
            time.sleep(20)
            os._exit(1)
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
    """
    assert ended(text) == (0, [str(int(signal.SIGTERM))])
