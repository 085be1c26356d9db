"""Fixtures of the batches' tests."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.test import override_settings

from tests.inference.gateway.fake_tgi import FakeTgi


@pytest.fixture
def tgi(stores: Any) -> Iterator[FakeTgi]:
    """A scripted model server behind the platform's pod address."""
    # This file may be loaded before Django is set up, and the house needs its models.
    house = import_module("tests.inference.batches.house")
    with house.served(FakeTgi()) as server, override_settings(POD_URL=server.url):
        yield server
