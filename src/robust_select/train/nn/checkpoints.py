"""The weights of trained instances on disk, and back into modules.

Called by the trainer beside this file and by users. Knows nothing of how they were trained.
"""

import hashlib
import shutil
import urllib.parse
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robust_select.core.candidates import params_json
from robust_select.core.errors import InputError, MissingExtraError
from robust_select.core.files import replacing
from robust_select.core.instances import Instance

if TYPE_CHECKING:
    from torch import Tensor, nn

_LONGEST_NAME = 120


def checkpoint_path(folder: str | Path, candidate: str, replicate: int) -> Path:
    """Say where the weights of an instance are.

    Example:
        >>> checkpoint_path("weights", "lr=0.1, width=16", 3).as_posix()
        'weights/lr%3D0.1%2C%20width%3D16/3.pt'
    """
    return _candidate_folder(Path(folder), candidate) / f"{replicate}.pt"


def save_instance(
    folder: Path, params: Mapping[str, Any], instance: Instance, score: float, state: "Mapping[str, Tensor]"
) -> None:
    """Write the weights of an instance, whole or not at all.

    Args:
        folder: of all checkpoints.
        params: of the candidate.
        instance: which training.
        score: that it ended with.
        state: the module's state dict.
    """
    import torch

    path = checkpoint_path(folder, instance.candidate, instance.replicate)
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {
        "candidate": instance.candidate,
        "replicate": instance.replicate,
        "params": params_json(params),
        "score": score,
        "state": dict(state),
    }
    with replacing(path) as part:
        torch.save(held, part)


def load_instance(
    build: "Callable[[Mapping[str, Any]], nn.Module]",
    params: Mapping[str, Any],
    folder: str | Path,
    candidate: str,
    replicate: int,
) -> "nn.Module":
    """Load a trained instance as an ordinary module, in evaluation mode, on the CPU.

    Nothing but tensors, text and numbers is read (``weights_only``): a file from elsewhere can do no harm.

    Args:
        build: what the trainer was given.
        params: of the candidate.
        folder: what the trainer was given as ``checkpoints``.
        candidate: its name.
        replicate: of the instance.

    Raises:
        MissingExtraError: torch is not installed.
        InputError: there is no such file, it is none of ours, or the weights do not fit what ``build`` gives.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from torch import nn
        >>> from robust_select.core.instances import Instance, seeds_for
        >>> from robust_select.train.nn import Data, TorchTrainer
        >>> def build(params):
        ...     return nn.Linear(2, params["width"])
        >>> data = Data(np.zeros((20, 2)), np.zeros((20, 1)), np.zeros((5, 2)), np.zeros((5, 1)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     trainer = TorchTrainer(build, data, loss="mse", defaults={"epochs": 1}, checkpoints=folder)
        ...     outcome = trainer({"width": 1}, Instance("small", 0, seeds_for(0, 0)))
        ...     load_instance(build, {"width": 1}, folder, "small", 0)
        Linear(in_features=2, out_features=1, bias=True)
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "torch") from error
    path = checkpoint_path(folder, candidate, replicate)
    if not path.is_file():
        raise InputError(
            f"expected the weights of candidate {candidate!r}, replicate {replicate}, found no file {path}: train "
            "with TorchTrainer(checkpoints=...)"
        )
    try:
        _check_sizes(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
        state, params_then = dict(held["state"]), held["params"]
        first = next((tensor for tensor in state.values() if tensor.is_floating_point()), None)
    except Exception as error:  # whatever the file holds, it is not ours
        raise InputError(
            f"expected weights that TorchTrainer wrote, came {path} ({type(error).__name__}: {error})"
        ) from error
    with torch.random.fork_rng(devices=[]):
        module = build(params)
    if first is not None:
        module.to(first.dtype)
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"expected build(params) to give the module that was trained with params={params_then}, came "
            f"params={params_json(params)}: {error}"
        ) from error
    module.eval()
    return module


def _check_sizes(path: Path) -> None:
    """Refuse a file whose parts claim to be larger than it is: torch would take the memory first."""
    with zipfile.ZipFile(path) as parts:
        claimed = sum(part.file_size for part in parts.infolist())
    if claimed > path.stat().st_size:
        raise ValueError(f"its parts claim {claimed:,} bytes")


def keep_checkpoints(folder: str | Path, candidate: str) -> int:
    """Remove the weights of all candidates but one, the selected one, say.

    Args:
        folder: of all checkpoints.
        candidate: whose weights stay.

    Returns:
        How many candidates' weights were removed.

    Raises:
        InputError: there are no weights of that candidate: nothing is removed then.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for candidate in ("small", "large"):
        ...         path = checkpoint_path(folder, candidate, 0)
        ...         path.parent.mkdir()
        ...         _ = path.write_bytes(b"weights")
        ...     keep_checkpoints(folder, "small"), checkpoint_path(folder, "large", 0).exists()
        (1, False)
    """
    kept = _candidate_folder(Path(folder), candidate)
    if not kept.is_dir():
        raise InputError(f"expected weights of candidate {candidate!r}, found no folder {kept}: nothing is removed")
    others = [path for path in Path(folder).iterdir() if path != kept and any(path.glob("*.pt"))]
    for path in others:
        shutil.rmtree(path)
    return len(others)


def _candidate_folder(folder: Path, candidate: str) -> Path:
    """Name a candidate's folder; what is too long for a file system is cut, and told apart by a hash."""
    quoted = urllib.parse.quote(candidate, safe="")
    quoted = quoted.replace(".", "%2E") if set(quoted) == {"."} else quoted
    if len(quoted) > _LONGEST_NAME:
        quoted = f"{quoted[: _LONGEST_NAME - 18]}--{hashlib.sha256(candidate.encode()).hexdigest()[:16]}"
    return folder / quoted
