"""The folder that the documentation's commands run in."""

import pytest
from docs_commands import make_bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    bench = make_bench(tmp_path_factory.mktemp("docs"))
    yield bench
    bench.close()
