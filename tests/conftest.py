import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # benchmarks/ is no part of the installed package
    sys.path.insert(0, str(ROOT))
