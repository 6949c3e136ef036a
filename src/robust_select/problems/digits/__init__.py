"""Handwritten digits: 1,797 scanned images (8 x 8) that come with scikit-learn, two dozen models.

Called by the study file beside it. Knows nothing of studies. Data: Alpaydin and Kaynak, "Optical Recognition of
Handwritten Digits", UCI 1998, the test part, as in ``sklearn.datasets.load_digits``.
"""

from robust_select.problems.digits.trainer import load, train

__all__ = ["load", "train"]
