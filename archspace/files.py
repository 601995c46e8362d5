"""Files by names that people type."""

from __future__ import annotations

import os
from pathlib import Path


def is_file(path: Path | str) -> bool:
    """Whether there is such a file; no for a name that no file can have, or where nobody may look."""
    return os.path.isfile(path)  # noqa: PTH113  # Path.is_file raises there
