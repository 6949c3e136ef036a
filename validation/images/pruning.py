"""A small real trial: was pruning by epochs safe on digits, with a one-cycle and with a constant learning rate?

Run as ``python validation/images/pruning.py`` (half a minute of one core); it prints what the two studies say.
"""

import typer

from robust_select import Exhaustive, PruneEpochs, Study
from robust_select.analysis.pruning import pruning
from robust_select.problems.images import digits_trainer, small_convolutional
from robust_select.report.pruning import savings_text

N_EPOCHS = 20
PRUNE = PruneEpochs((5, 10), audit=0.5)  # half of them: with a tenth of 36, next to nothing could be said
SEED = 2025


def main() -> None:
    """Train 36 small convolutional networks once, twice over, and say what pruning did."""
    for schedule in ("one-cycle", "constant"):
        trainer = digits_trainer(epochs=N_EPOCHS, schedule=schedule)
        study = Study(
            small_convolutional(), trainer, criterion="mean", rule=Exhaustive(1), seed=SEED, prune_epochs=PRUNE
        )
        result = study.run(progress=True)
        found = pruning(result)
        typer.echo(f"{schedule}: selected {result.selected}, {found.n_stopped} stopped")
        typer.echo(found.to_frame().to_string(index=False))
        typer.echo(found.verdict)
        typer.echo(savings_text(found.epochs_saved, found.share_saved, found.seconds_saved))


if __name__ == "__main__":
    main()
