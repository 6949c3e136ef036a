"""Compact convolutional transformers: convolutions make tokens, transformer layers mix them, all are pooled.

Called by ``models``. Knows nothing of training. Source: Hassani et al. 2021, "Escaping the big data paradigm with
compact transformers", arXiv 2104.05704, and its reference implementation.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from robust_select.core.errors import InputError

_FILTERS = 64  # of the convolutions before the last, as in the reference implementation


class DropPath(nn.Module):
    """Leaves the branch of a whole example out with some probability while training, and scales the others up.

    Source: Huang et al. 2016, "Deep networks with stochastic depth".

    Args:
        p: the probability.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout1d(p)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, N, F) to (B, N, F)."""
        whole: Tensor = self.dropout(x.flatten(1).unsqueeze(1))  # one channel an example: dropped as a whole
        return whole.view(-1, x.shape[1], x.shape[2])


class Attention(nn.Module):
    """Self-attention of several heads.

    Args:
        width: F of the tokens.
        heads: that share the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.inward = nn.Linear(width, 3 * width, bias=False)
        self.outward = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, N, F) to (B, N, F)."""
        parts = self.inward(x).chunk(3, dim=-1)
        query, key, value = (self._by_head(parts[number], x.shape[1]) for number in range(3))
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.outward(mixed.transpose(1, 2).reshape(-1, x.shape[1], self.width))  # type: ignore[no-any-return]

    def _by_head(self, x: Tensor, n_tokens: int) -> Tensor:
        return x.view(-1, n_tokens, self.heads, self.width // self.heads).transpose(1, 2)


class Layer(nn.Module):
    """Attention and a feed-forward network, each with a way around it, as in the reference implementation.

    Args:
        width: F of the tokens.
        heads: of the attention.
        ratio: width of the feed-forward network over F.
        drop_path: the probability to leave a branch out.
    """

    def __init__(self, width: int, heads: int, ratio: int, drop_path: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.wide, self.narrow = nn.Linear(width, ratio * width), nn.Linear(ratio * width, width)
        self.drop1, self.drop2 = DropPath(drop_path), DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """From (B, N, F) to (B, N, F)."""
        x = self.norm2(x + self.drop1(self.attention(self.norm1(x))))
        return x + self.drop2(self.narrow(functional.gelu(self.wide(x))))  # type: ignore[no-any-return]


class CompactTransformer(nn.Module):
    """A compact convolutional transformer.

    Args:
        size: pixels of a side of the images.
        channels: of the images.
        classes: how many logits it gives.
        width: F of the tokens, the filters of the last convolution.
        convolutions: k3, each with ReLU and a pooling by 2; those before the last have 64 filters.
        depth: how many transformer layers.
        heads: of each attention.
        ratio: width of the feed-forward networks over F.
        drop_path: the probability to leave a branch of the last layer out; those before it have less, evenly rising.

    Raises:
        InputError: a number below 1, heads that do not share the width, or a probability that is none.
    """

    def __init__(
        self,
        size: int = 32,
        channels: int = 3,
        classes: int = 10,
        *,
        width: int = 128,
        convolutions: int = 2,
        depth: int = 6,
        heads: int = 4,
        ratio: int = 2,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        if min(size, channels, classes, width, convolutions, depth, heads, ratio) < 1 or width % heads:
            raise InputError(
                f"expected numbers from 1, and a width that the heads can share, came size={size}, "
                f"channels={channels}, classes={classes}, width={width}, convolutions={convolutions}, depth={depth}, "
                f"heads={heads}, ratio={ratio}"
            )
        if not 0 <= drop_path < 1:
            raise InputError(f"expected a probability from 0 and below 1, came drop_path={drop_path}")
        filters = [channels, *[_FILTERS] * (convolutions - 1), width]
        tokens: list[nn.Module] = []
        for n_inputs, n_outputs in itertools.pairwise(filters):
            tokens += [
                nn.Conv2d(n_inputs, n_outputs, 3, padding=1, bias=False),
                nn.ReLU(),
                nn.MaxPool2d(3, 2, padding=1),
            ]
            size = (size + 1) // 2
        self.tokens = nn.Sequential(*tokens)
        self.places = nn.Parameter(torch.empty(1, size * size, width))
        rates = [drop_path * layer / max(depth - 1, 1) for layer in range(depth)]
        self.layers = nn.Sequential(*[Layer(width, heads, ratio, rate) for rate in rates])
        self.norm = nn.LayerNorm(width)
        self.weigh = nn.Linear(width, 1)
        self.classify = nn.Linear(width, classes)
        self._initialise()

    def forward(self, images: Tensor) -> Tensor:
        """From images (B, channels, H, W) to logits (B, classes)."""
        x = self.tokens(images).flatten(2).transpose(1, 2) + self.places
        x = self.norm(self.layers(x))
        weights = torch.softmax(self.weigh(x), dim=1)
        return self.classify((weights.transpose(1, 2) @ x).squeeze(1))  # type: ignore[no-any-return]

    def _initialise(self) -> None:
        """Draw the weights as the reference implementation does."""
        nn.init.trunc_normal_(self.places, std=0.2)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
