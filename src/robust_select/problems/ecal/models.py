"""Networks for the calorimeter: images of 15 x 15 cells in GeV, to one number, the photon's energy or its x.

Called by the trainers, and by whoever wants one of the published networks. Knows nothing of training.
"""

from collections.abc import Mapping
from typing import Any

from robust_select.core.errors import MissingExtraError
from robust_select.problems.ecal.architectures import N_SIDE, Architecture, architecture_of, named

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise MissingExtraError("torch", "torch") from error

CELL_SIZE = 4.0
"""cm."""

_LEAST_SUM = 1e-6  # GeV; keeps the barycentre of an empty image finite

_SLOPES = {"prelu": 0.25, "leaky-relu": 0.01}
_PLAIN: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky-relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


class Network(nn.Module):
    """A network of the calorimeter problem, ready to be trained.

    Weights are drawn as He et al. 2015 do (normal, fan in), biases are 0.

    Args:
        architecture: of it.
    """

    x_of_cells: Tensor
    y_of_cells: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        first, second = architecture.filters
        self.architecture = architecture
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, first, 3, bias=False),
            _activation(architecture, first),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1, bias=False),
            _activation(architecture, second),
            nn.MaxPool2d(6 // architecture.pooled),
            nn.Flatten(),
        )
        *early, last = architecture.hidden
        layers: list[nn.Module] = []
        n_inputs = architecture.n_features
        for units in early:
            layers += [nn.Linear(n_inputs, units), _activation(architecture, units)]
            n_inputs = units
        self.early = nn.Sequential(*layers)
        self.late = nn.Sequential(
            nn.Linear(n_inputs + architecture.n_joined, last), _activation(architecture, last), nn.Linear(last, 1)
        )
        x, y = _centres()
        self.register_buffer("x_of_cells", x, persistent=False)
        self.register_buffer("y_of_cells", y, persistent=False)
        _initialise(self, architecture)

    def forward(self, cells: Tensor) -> Tensor:
        """Predict.

        Args:
            cells: (B, 1, 15, 15) energies that the scintillator of each cell saw, GeV.

        Returns:
            (B, 1) in the unit that it was trained to. Nothing is scaled here.
        """
        features = self.early(self.convolutions(cells))
        if self.architecture.joined == "none":
            return self.late(features)  # type: ignore[no-any-return]
        flat = torch.flatten(cells, 1)
        total = flat.sum(1, keepdim=True)
        joined = [features]
        if self.architecture.joined in {"sum", "both"}:
            joined.append(total)
        if self.architecture.joined in {"barycentre", "both"}:
            weight = total + _LEAST_SUM
            joined.append((flat * self.x_of_cells).sum(1, keepdim=True) / weight)
            joined.append((flat * self.y_of_cells).sum(1, keepdim=True) / weight)
        return self.late(torch.cat(joined, 1))  # type: ignore[no-any-return]


def _activation(architecture: Architecture, n_channels: int) -> nn.Module:
    if architecture.activation == "prelu":
        return nn.PReLU(n_channels)
    return _PLAIN[architecture.activation]()


def _centres() -> tuple[Tensor, Tensor]:
    """Give x and y of each cell's centre, (225,) cm; an image is indexed [x, y]."""
    along = (torch.arange(N_SIDE, dtype=torch.float32) - N_SIDE // 2) * CELL_SIZE
    return along.repeat_interleave(N_SIDE), along.repeat(N_SIDE)


def _initialise(network: nn.Module, architecture: Architecture) -> None:
    """Draw the weights from torch's generator, those of the last layer for no activation after it."""
    slope = _SLOPES.get(architecture.activation, 0.0)
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    for layer in layers:
        is_last = layer is layers[-1]
        nn.init.kaiming_normal_(layer.weight, slope, nonlinearity="linear" if is_last else "leaky_relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def build(wanted: str | Mapping[str, Any]) -> Network:
    """Build a network, its weights drawn from torch's generator.

    Args:
        wanted: name of a published one (``"Model 1"`` or ``"model1"`` to 4, ``"NAS 1"``, 2), or a candidate's
            parameters (see ``architecture_of``).

    Raises:
        InputError: an unknown name, or parameters that no architecture has.

    Example:
        >>> sum(parameter.numel() for parameter in build("model2").parameters())
        23932
    """
    return Network(named(wanted) if isinstance(wanted, str) else architecture_of(wanted))
