"""Memory that is free on this machine."""

from __future__ import annotations

from pathlib import Path


def free_memory(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that new processes can take without swapping, within a container's limit; None where it cannot be told."""
    kibibytes = _figures(proc / "meminfo").get("MemAvailable:")
    known = (None if kibibytes is None else kibibytes * 1024, _free_in_container(cgroup))
    return min((value for value in known if value is not None), default=None)


def _free_in_container(folder: Path) -> int | None:
    """What a limit of cgroup v2 leaves; files in the page cache make room when it is needed."""
    try:
        limit, used = ((folder / name).read_text(encoding="utf-8").strip() for name in ("memory.max", "memory.current"))
    except OSError:
        return None
    cached = _figures(folder / "memory.stat").get("inactive_file", 0)
    return max(int(limit) - int(used) + cached, 0) if limit.isdigit() and used.isdigit() else None


def _figures(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
