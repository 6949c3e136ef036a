import gzip
import struct

import numpy as np
import pytest


@pytest.fixture
def clothes(tmp_path):
    """A folder like that of Debian's package, of 60 and 20 images that are easy to tell apart."""
    rng = np.random.default_rng(3)
    for stem, n in (("train", 60), ("t10k", 20)):
        labels = (np.arange(n) % 10).astype(np.uint8)
        images = rng.integers(0, 40, (n, 28, 28)).astype(np.uint8)
        images[np.arange(n), 2 * labels + 4] = 250
        pictures = struct.pack(">4I", 0x803, n, 28, 28) + images.tobytes()
        (tmp_path / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pictures, mtime=0))
        (tmp_path / f"{stem}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(struct.pack(">2I", 0x801, n) + labels.tobytes())
        )
    return tmp_path
