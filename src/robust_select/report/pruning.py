"""The section on pruning by epochs: who was stopped, what it saved, and whether the study's own curves call it safe.

Called by the page and the command line. Computes nothing; the numbers come from analysis.
"""

import math
from html import escape

from robust_select.analysis.pruning import pruning
from robust_select.report.words import duration, number
from robust_select.select.result import Result


def pruning_html(result: Result) -> str:
    """Give the section as HTML; empty where the study did not prune by epochs.

    Args:
        result: of a study, finished or not.
    """
    if result.pruned is None:
        return ""
    found = pruning(result)
    rows = "".join(
        f"<tr><td>{epoch}</td><td>{stopped:,}</td><td>{witnesses:,}</td><td>{number(tau, 2)}</td></tr>"
        for epoch, stopped, witnesses, tau in zip(
            found.epochs, found.stopped.tolist(), found.witnesses.tolist(), found.tau.tolist(), strict=True
        )
    )
    return (
        '<section id="pruning" aria-labelledby="h-pruning"><h2 id="h-pruning">Pruning by epochs</h2>'
        '<p class="about">First trainings that were behind others after these epochs were stopped, and their '
        "candidates left out before the rule began. Witnesses were behind, too, and trained to the end all the same; "
        "tau is Kendall’s, between the ranking of all candidates there and at the end, as witnesses and the others "
        "tell it.</p>"
        f'<p class="said">{escape(found.verdict)}</p><div class="scroll" role="region" '
        'aria-labelledby="h-pruning" tabindex="0"><table><thead><tr><th scope="col">epoch</th><th scope="col">stopped'
        '</th><th scope="col">witnesses</th><th scope="col">tau</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f'<p class="note">{escape(savings_text(found.epochs_saved, found.share_saved, found.seconds_saved))}</p>'
        "</section>"
    )


def savings_text(epochs: int, share: float, seconds: float) -> str:
    """Say what was not trained.

    Example:
        >>> savings_text(120, 0.25, 90.0)
        'Saved: 120 epochs, 25 % of those of all first trainings, about 1 min 30 s.'
    """
    if not epochs:
        return "Saved: nothing."
    noun = "epoch" if epochs == 1 else "epochs"
    time = f", about {duration(seconds)}" if math.isfinite(seconds) else ""
    return f"Saved: {epochs:,} {noun}, {100 * share:.0f} % of those of all first trainings{time}."
