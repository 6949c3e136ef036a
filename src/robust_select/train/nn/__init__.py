"""The PyTorch engine: many small networks trained as one.

Called by users and by problems. Knows nothing of rules, studies or ledgers; torch is loaded by whoever trains.
"""

from robust_select.train.nn.checkpoints import checkpoint_path, keep_checkpoints, load_instance
from robust_select.train.nn.data import Data
from robust_select.train.nn.settings import Settings
from robust_select.train.nn.trainer import TorchTrainer

__all__ = ["Data", "Settings", "TorchTrainer", "checkpoint_path", "keep_checkpoints", "load_instance"]
