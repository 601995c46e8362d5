"""Errors that the person at the keyboard can mend."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The closest of the known names as a parenthesis behind the wrong one, or nothing."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


class UserError(Exception):
    """A mistake in what was handed in: a file, an option, a name. Each message says where, what and what to do."""

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class GenomeError(UserError):
    """A genome that no network can be built from."""


class BudgetError(UserError):
    """A budget that cannot be read, or that a space cannot meet."""


class RunFailed(Exception):  # noqa: N818
    """A run that started and could not do its job."""
