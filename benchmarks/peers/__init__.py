"""The real peers on scores that exist already, with one calling convention.

Called by the benchmark of rules. ``PEERS[name].run(losses, knob)`` gives what was selected and how many trainings it
took; ``base`` says what a peer is, README.md in the folder above which there are and which not.
"""

from . import irace, optuna_wilcoxon, sklearn_halving
from .base import Peer

PEERS: dict[str, Peer] = {peer.name: peer for peer in (*irace.PEERS, *optuna_wilcoxon.PEERS, *sklearn_halving.PEERS)}
"""All peers by name; ``missing()`` says which cannot run here."""

__all__ = ["PEERS", "Peer"]
