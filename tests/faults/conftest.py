"""Studies in processes of their own, to be struck; what strikes them is in benchmarks, for the long campaign, too."""

import pytest
from benchmarks.striking import open_nursery, undisturbed_result


@pytest.fixture(scope="session")
def nursery():
    with open_nursery() as made:
        yield made


@pytest.fixture(scope="session")
def undisturbed(nursery, tmp_path_factory):
    """The result of the study that is left alone."""
    return undisturbed_result(nursery, tmp_path_factory.mktemp("undisturbed"), "significance")
