"""The `archspace` command and what it does with mistakes."""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import Any

import click

from archspace import __version__
from archspace.cli.compare import compare
from archspace.cli.cost import cost
from archspace.cli.doctor import doctor
from archspace.cli.export import export
from archspace.cli.output import INTERRUPTED
from archspace.cli.plan import plan
from archspace.cli.profile import profile
from archspace.cli.runs import report, runs, show
from archspace.cli.search import resume, search
from archspace.cli.space import sample, space
from archspace.cli.study import study
from archspace.cli.train import evaluate, train
from archspace.cli.zoo import zoo
from archspace.errors import RunFailed, UserError

# fmt: off
COMMANDS = (
    search, resume, plan, runs, show, compare, train, evaluate, cost, profile, sample, space, zoo, study, report,
    export, doctor,
)
# fmt: on


class Commands(click.Group):
    """The commands, listed in the order in which a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click passes it
        """The order of registration."""
        return list(self.commands)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """As `invoke`, for `--help` and `--version`."""
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError:
            _drop_stdout()
            raise click.exceptions.Exit(0) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a reader that went away (`| head`) is no failure, though click takes it for one."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _drop_stdout()
            return 0


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="archspace")
def archspace() -> None:
    """Explore convolutional network design spaces within an exact budget.

    Start with `archspace search --space resnext --budget 4GFLOPs`: it trains what Optuna proposes, keeps the budget,
    and leaves a Pareto front, a report and the winner as a source file of its own.

    GENOME is a zoo name (`archspace zoo`), a YAML or JSON file, RUN:ID for a genome of a run, or - for standard input.
    """


for command in COMMANDS:
    archspace.add_command(command)


def main() -> None:
    """Run the command line: exit code 0 ok, 1 the run failed, 2 usage or configuration, 130 interrupted."""
    try:
        code = archspace.main(prog_name="archspace", standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        code = _say(2, *error.messages)
    except RunFailed as error:
        code = _say(1, str(error))
    except click.UsageError as error:
        error.show()
        code = 2
    except click.ClickException as error:
        code = _say(2, error.format_message())
    except (KeyboardInterrupt, click.Abort):
        code = _say(INTERRUPTED, "interrupted")
    except BrokenPipeError:
        _drop_stdout()
        code = 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _drop_stdout()
        code = _say(1, f"{error.filename or 'standard output'}: {error.strerror}; make room")
    sys.exit(code or 0)


def _drop_stdout() -> None:
    """Say nothing more on a stdout that nobody reads, not even by the interpreter's own flush at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(code: int, *messages: str) -> int:
    """Messages that begin with a file's line and column stay as they are: editors go there."""
    for message in messages:
        click.echo(message if re.match(r".+?:\d+:\d+: ", message) else f"archspace: {message}", err=True)
    return code
