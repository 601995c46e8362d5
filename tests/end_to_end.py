"""The command line as a person has it: in this process, as a process of its own, and a search that can be killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-c", "from archspace.cli.main import main; main()")
SPACE = """\
name: tiny
target: {input: [1, 32, 32], classes: 10}
stem: {kind: cifar, width: 4}
stages:
  number: 2
  block: bottleneck
  depth: {range: [1, 2], per: stage}
  width: {range: [4, 24], step: 4, times: [1, 2]}
  cardinality: {choices: [1, 2]}
  group_width: {choices: [2, 4]}
"""
QUICK = ("--set", "recipe.batch=128", "--set", "recipe.lr=0.1", "--set", "recipe.norm_batches=2")


@dataclass(frozen=True)
class Said:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


class Caller:
    """Calls the command line in this process: fast, and with its real exit codes."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: object) -> Said:
        from archspace.cli.main import main

        self.monkeypatch.setattr(sys, "argv", ["archspace", *map(str, arguments)])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, *self.capsys.readouterr())


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **changes}


def command(*arguments: object, cwd: Path, **changes: str) -> Said:
    """Call the command line in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


class Search:
    """A command in the background, in a session of its own, so that whatever it starts can be told from all else."""

    def __init__(self, *arguments: object, cwd: Path) -> None:
        self.out, self.err = cwd / "stdout.txt", cwd / "stderr.txt"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [*COMMAND, *map(str, arguments)],
                cwd=cwd,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )

    def members(self) -> dict[int, str]:
        """The living processes of the session: process id and command line."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def workers(self) -> list[int]:
        """The processes that train."""
        titles = ("ray::ResourceTrainable", "ray::TrialActor")
        return [number for number, title in self.members().items() if title.startswith(titles)]

    def wait_for(self, what: Callable[[], Any], seconds: float = 120) -> None:
        """Wait until something holds; fail if the search ends before."""
        end = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None, f"the search ended early: {self.err.read_text()}"
            assert time.monotonic() < end, self.err.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL the driver alone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self, seconds: float = 240) -> Said:
        """Wait for the end."""
        code = self.process.wait(seconds)
        return Said(code, self.out.read_text(), self.err.read_text())


def heed_interrupts() -> None:
    """In a child: what a shell runs in the background ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def searching(*arguments: object, cwd: Path) -> Iterator[Search]:
    """A command in the background; nothing of it outlives the test."""
    search = Search(*arguments, cwd=cwd)
    try:
        yield search
    finally:
        for number in (search.process.pid, *search.members()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        search.process.wait()


def wait_until(what: Callable[[], Any], seconds: float) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
