"""Where the clients are pointed to."""

from collections.abc import Iterator

import pytest

from tests.e2e.conformance.places import Place, playing


@pytest.fixture(scope="module")
def scripted_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway before the scripted model, for one module."""
    with playing(tmp_path_factory.mktemp("place")) as place:
        yield place


@pytest.fixture
def scripted(scripted_place: Place) -> Iterator[Place]:
    """The same; whatever a test makes it say has to be as published."""
    yield scripted_place
    scripted_place.witness.check()
