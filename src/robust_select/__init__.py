"""Robust model selection: which candidate is still good when it is trained again?

Everything that users need is here; ``import robust_select`` loads neither torch nor matplotlib nor
scikit-learn.
"""

__version__ = "0.1.0"
