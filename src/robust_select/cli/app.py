"""The program: its commands, and what becomes of errors and Ctrl-C.

Called as ``robust-select``. Knows no library but Typer: ``--help`` must not wait for statistics or databases.
"""

import errno
import io
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from robust_select.cli.demo import demo
from robust_select.cli.efficiency import efficiency
from robust_select.cli.ledgers import backup, export, status
from robust_select.cli.measuring import measure
from robust_select.cli.options import TYPED
from robust_select.cli.planning import plan
from robust_select.cli.replaying import replay
from robust_select.cli.reporting import report
from robust_select.cli.show import clean
from robust_select.cli.stability import stability
from robust_select.cli.training import run
from robust_select.core.errors import InputError, RobustSelectError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
"""Exit codes; 0 is done."""

TRACEBACK = "ROBUST_SELECT_TRACEBACK"
"""An environment variable: where it is set, an error that nobody foresaw shows where it comes from."""

_LONGEST = 300  # signs of somebody else's message
_OF_TYPER = (typer.Exit, typer.Abort, typer.BadParameter.__mro__[2])  # ClickException, of click or Typer's own copy


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
            _tell(str(error))
            raise typer.Exit(BAD_INPUT if isinstance(error, InputError) else FAILED) from error
        except KeyboardInterrupt as error:
            _tell("stopped")
            raise typer.Exit(INTERRUPTED) from error
        except Exception as error:  # the last line of defence: a traceback helps nobody who cannot mend it
            if isinstance(error, _OF_TYPER) or (isinstance(error, OSError) and error.errno == errno.EPIPE):
                raise  # a wrong option, the end of a command, or of who reads its output: Typer knows what to do
            if isinstance(error, OSError) and error.filename is not None:
                _tell(f"cannot use {error.filename}: {error.strerror}")
                raise typer.Exit(FAILED) from error
            if os.environ.get(TRACEBACK):
                raise
            _tell(_unforeseen(error))
            raise typer.Exit(FAILED) from error


def _tell(message: str) -> None:
    """Print a message; signs that steer a terminal, which a damaged file may hold, are replaced."""
    typer.echo(clean(f"robust-select: {message}"), err=True)


def _unforeseen(error: Exception) -> str:
    """Say what is to be done about an error that is none of ours."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this: ask for less at once (candidates, instances, resamples)"
    lines = str(error).split("\n")
    said = f"{type(error).__name__}: {lines[0][:_LONGEST]}".rstrip(": ")
    return (
        f"stopped by an error that nobody foresaw, {said}. Trainings that had finished are in the ledger. Set "
        f"{TRACEBACK}=1 and run this again to see where it comes from, and please report it"
    )


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


for command in (run, measure, plan, status, replay, efficiency, stability, export, backup, report, demo):
    app.command()(command)


def main() -> None:
    """Run the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign must not end a study
    app(prog_name="robust-select")
