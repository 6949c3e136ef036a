"""What cannot be stacked, as an exception that names the part.

Raised while a module is traced or run as a stack, caught where stacks are made. Knows nothing of torch.
"""

from robust_select.core.errors import RobustSelectError


class NotStackableError(RobustSelectError, TypeError):
    """A module does something that is not known to be the same in a stack.

    Attributes:
        module: qualified name of the part that is the reason, as in ``named_modules()``; empty for the whole.
        kind: what that part is: a class, or a function that its ``forward`` calls.
        reason: why it cannot be stacked.

    Example:
        >>> NotStackableError("head.attention", "MultiheadAttention", "no rule is known for it").kind
        'MultiheadAttention'
    """

    def __init__(self, module: str, kind: str, reason: str) -> None:
        where = f"in {module!r}" if module else "in the module's own forward"
        super().__init__(
            f"expected a module that can be stacked, came {kind} {where}: {reason}. "
            "It still trains, one instance at a time; to have it stacked, use layers and functions that the library "
            "knows (docs: the engine)"
        )
        self.module = module
        self.kind = kind
        self.reason = reason

    def __reduce__(self) -> tuple[type["NotStackableError"], tuple[str, str, str]]:
        return type(self), (self.module, self.kind, self.reason)
