"""Fixtures of chat's tests."""

from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Any

import pytest


@pytest.fixture
def deployed(owner: Any) -> str:
    """The alias of a model in the owner's project (nothing runs: the gateway is scripted)."""
    return deploy(owner)


@pytest.fixture
def deploy_in() -> Callable[[Any], str]:
    """Deploys a model in anybody's project."""
    return deploy


def deploy(person: Any) -> str:
    # This file may be loaded before Django is set up.
    services = import_module("inference.deployments.services")
    with person.acting():
        alias: str = services.deploy_base_model(person.project.pk).alias
    return alias


@pytest.fixture
async def chat(stores: Any) -> AsyncIterator[Any]:
    """The sockets behind a scripted gateway, as the web process mounts them."""
    house = import_module("tests.inference.chat.house")
    async with house.opened() as chat:
        yield chat
