"""Many modules of one architecture as one function.

Called by the trainer, the fitting loop and the throughput benchmark. Knows nothing of losses, optimisers or data.
"""

from robust_select.train.nn.stacking.alone import Alone
from robust_select.train.nn.stacking.errors import NotStackableError
from robust_select.train.nn.stacking.flops import flops_of
from robust_select.train.nn.stacking.packing import Packed, make_stacks
from robust_select.train.nn.stacking.stack import Stack

__all__ = ["Alone", "NotStackableError", "Packed", "Stack", "flops_of", "make_stacks"]
