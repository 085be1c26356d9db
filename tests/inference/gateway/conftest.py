"""Fixtures of the gateway's tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.inference.gateway.house import House, ValkeyServer, opened


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def house(
    request: pytest.FixtureRequest, valkey_server: ValkeyServer, tmp_path: Path
) -> AsyncIterator[House]:
    async with opened(valkey_server, tmp_path, kind=getattr(request, "param", "tgi")) as house:
        yield house
