"""What Ray prints: kept from stdout, which holds a search's result."""

import threading

import pytest
import ray

from archspace.searching import runner

NOTE = "(raylet) A worker died or was killed while executing a task by an unexpected system error. To troubleshoot, run"


def test_nothing_that_ray_prints_reaches_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Notes come from a thread of Ray's; those that came more than once are printed when it shuts down."""
    monkeypatch.setattr(ray, "init", lambda **_: print(NOTE))  # noqa: T201
    monkeypatch.setattr(ray, "shutdown", lambda: print(f"{NOTE} [repeated 2x across cluster]"))  # noqa: T201
    with runner._ray(1, None):
        thread = threading.Thread(target=print, args=(NOTE,))
        thread.start()
        thread.join()
    out, err = capsys.readouterr()
    assert out == ""
    told = "ray: A worker died or was killed while executing a task by an unexpected system error."
    assert err.splitlines() == [told] * 3
