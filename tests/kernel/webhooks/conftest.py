"""Fixtures of webhooks' tests."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from tests.kernel.egress.conftest import Names, Script, Server, names, serve

__all__ = ["names", "serve"]


@pytest.fixture
def customer(serve: Callable[[Script], Server], names: Names) -> Any:
    """The server at `hook.example`."""
    # This file may be loaded before Django is set up.
    house = import_module("tests.kernel.webhooks.house")
    made = house.Customer()
    made.url = serve(made.answer).url("/hooks")
    return made


@pytest.fixture(autouse=True)
def tasks_are_known() -> None:
    """Followers and subscribers live in tasks' modules."""
    import_module("config.celery").app.loader.import_default_modules()
