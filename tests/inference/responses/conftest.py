"""Fixtures of the stored responses' tests."""

from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture
async def desk(stores: Any) -> AsyncIterator[Any]:
    """Both planes at one address."""
    # This file may be loaded before Django is set up.
    house = import_module("tests.inference.responses.house")
    async with house.opened() as desk:
        yield desk
