"""The program: its commands, and what becomes of errors and Ctrl-C.

Called as ``robust-select``. Knows no library but Typer: ``--help`` must not wait for statistics or databases.
"""

import errno
import io
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from robust_select.cli.demo import demo
from robust_select.cli.efficiency import efficiency
from robust_select.cli.ledgers import export, status
from robust_select.cli.options import TYPED
from robust_select.cli.planning import plan
from robust_select.cli.replaying import replay
from robust_select.cli.reporting import report
from robust_select.cli.stability import stability
from robust_select.cli.tables import measure
from robust_select.cli.training import run
from robust_select.core.errors import InputError, RobustSelectError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
"""Exit codes; 0 is done."""


class Commands(TyperGroup):
    """All commands: an error becomes one message and an exit code, never a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep what was typed, to say how to go on with it."""
        ctx.meta[TYPED] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except RobustSelectError as error:
            typer.echo(f"robust-select: {error}", err=True)
            raise typer.Exit(BAD_INPUT if isinstance(error, InputError) else FAILED) from error
        except KeyboardInterrupt as error:
            typer.echo("robust-select: stopped", err=True)
            raise typer.Exit(INTERRUPTED) from error
        except OSError as error:
            if error.filename is None or error.errno == errno.EPIPE:
                raise  # no file of the user's
            typer.echo(f"robust-select: cannot use {error.filename}: {error.strerror}", err=True)
            raise typer.Exit(FAILED) from error


app = typer.Typer(
    cls=Commands,
    name="robust-select",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def robust_select() -> None:
    """Which of many candidate models is still good when somebody trains it again?

    Answers for programs: --json FILE, or --json - for standard output.

    Exit codes: 0 done, 1 failed, 2 bad input, 130 stopped by Ctrl-C.
    """


for command in (run, measure, plan, status, replay, efficiency, stability, export, report, demo):
    app.command()(command)


def main() -> None:
    """Run the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign must not end a study
    app(prog_name="robust-select")
