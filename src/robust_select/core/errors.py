"""What can go wrong, as exceptions that say what to do next.

Raised everywhere, caught by the command line (``InputError`` is exit code 2, the others are 1).
Knows nothing of the rest of the library.
"""

import re


class RobustSelectError(Exception):
    """Base of every error that robust-select raises on purpose.

    Example:
        >>> from robust_select.core.candidates import grid
        >>> try:
        ...     grid()
        ... except RobustSelectError as error:
        ...     print(error)
        expected at least one parameter with its values, came none: grid(lr=[0.1, 0.01])
    """


class InputError(RobustSelectError, ValueError):
    """Something that the user gave cannot be used.

    Example:
        >>> from robust_select.stats.criteria import criterion
        >>> try:
        ...     criterion("mode")
        ... except InputError as error:
        ...     print(isinstance(error, ValueError), str(error)[-11:])
        True came 'mode'
    """


class TableError(InputError):
    """A table of scores cannot be read.

    Attributes:
        source: where the table came from (a path, or "the data frame").

    Example:
        >>> print(TableError("expected a column 'score', came none", "scores.csv"))
        scores.csv: expected a column 'score', came none
    """

    def __init__(self, message: str, source: str = "the table") -> None:
        super().__init__(f"{source}: {message}")
        self.source = source


class StudyFileError(InputError):
    """A study file cannot be read.

    Attributes:
        source: path of the file.
        problems: one ``(path inside the file, message)`` a problem.

    Example:
        >>> print(StudyFileError("study.toml", [("rule.warmup", "expected a whole number, came 'three'")]))
        study.toml: the study file cannot be used:
          rule.warmup: expected a whole number, came 'three'
    """

    def __init__(self, source: str, problems: list[tuple[str, str]]) -> None:
        lines = "\n".join(f"  {where}: {message}" if where else f"  {message}" for where, message in problems)
        super().__init__(f"{source}: the study file cannot be used:\n{lines}")
        self.source = source
        self.problems = problems


class LedgerError(InputError):
    """A ledger cannot be used: not a ledger, of another version, or of another study.

    Attributes:
        url: the ledger's database URL.

    Example:
        >>> print(LedgerError("another process runs this study", "postgresql://me:secret@host/studies"))
        ledger postgresql://me:***@host/studies: another process runs this study
    """

    def __init__(self, message: str, url: str) -> None:
        shown = re.sub(r"^([^:/]+://[^:/@]*):.*@", r"\1:***@", url)  # messages end in logs, and on the live page
        super().__init__(f"ledger {shown}: {message}")
        self.url = url


class SettingsDifferError(LedgerError):
    """The study in the ledger was started with other settings.

    Attributes:
        differences: one ``(setting, in the ledger, now)`` a difference.

    Example:
        >>> print(SettingsDifferError("digits", [("seed", "1", "2")], "sqlite:///study.db"))  # doctest: +ELLIPSIS
        ledger sqlite:///study.db: study 'digits' was started with other settings:
          seed: in the ledger 1, now 2
        Set them back to go on with it, ...
    """

    def __init__(self, study: str, differences: list[tuple[str, str, str]], url: str) -> None:
        lines = "\n".join(f"  {key}: in the ledger {old}, now {new}" for key, old, new in differences[:8])
        lines += f"\n  and {len(differences) - 8} more" if len(differences) > 8 else ""
        super().__init__(
            f"study {study!r} was started with other settings:\n{lines}\n"
            "Set them back to go on with it, or start a study of its own with on_existing='new' "
            "(command line: --on-existing new) or another ledger.",
            url,
        )
        self.differences = differences


class MissingExtraError(RobustSelectError, ImportError):
    """An optional dependency is not installed.

    Attributes:
        extra: the extra that installs it.

    Example:
        >>> print(MissingExtraError("torch", "torch"))
        torch is not installed: pip install "robust-select[torch]"
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed: pip install "robust-select[{extra}]"')
        self.extra = extra


class WorkerLostError(RobustSelectError, RuntimeError):
    """A worker process died while it trained an instance, again and again.

    Attributes:
        attempts: how often the instance was tried.

    Example:
        >>> print(WorkerLostError(3, "killed by signal 9"))
        the worker process died 3 times while training this instance (killed by signal 9)
    """

    def __init__(self, attempts: int, reason: str) -> None:
        super().__init__(f"the worker process died {attempts} times while training this instance ({reason})")
        self.attempts = attempts


class ExecutorBrokenError(RobustSelectError, RuntimeError):
    """The executor takes no more work; which training is at fault, if one is, nobody can tell.

    Example:
        >>> str(ExecutorBrokenError("it was shut down"))[:76]
        'expected an executor that trains on, came one that is broken or shut down (i'
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"expected an executor that trains on, came one that is broken or shut down ({reason}): what has "
            "finished is recorded; run the study again with a new executor and it goes on where it was. If one "
            "training kills a borrowed executor's process each time, use workers=N: then only that training fails"
        )


class TrainerError(RobustSelectError, RuntimeError):
    """The trainer fails whatever it is given.

    Attributes:
        n_failures: how many trainings failed, with none that did not.

    Example:
        >>> from robust_select.core.candidates import grid
        >>> from robust_select.study import Study
        >>> def train(params, instance):
        ...     raise KeyError("lr")
        >>> try:
        ...     Study(grid(rate=[0.1, 0.2]), train).run()
        ... except TrainerError as error:
        ...     print(error.n_failures, "failures")
        2 failures
    """

    def __init__(self, n_failures: int, first: str, log: str) -> None:
        super().__init__(
            f"the first {n_failures} trainings all failed, so the trainer itself seems broken; nothing was "
            f"recorded. The first failure was: {first}\n{log}".rstrip()
        )
        self.n_failures = n_failures
