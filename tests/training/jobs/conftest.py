"""Fixtures of the jobs' tests. The cast is imported late: this file is read before Django is set up."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def cast() -> Any:
    """The module with the cast."""
    return importlib.import_module("tests.training.jobs.cast")


@pytest.fixture
def base_model(stores: object) -> Any:
    """A base model that only the scripted recipe can train."""
    return cast().make_base_model()


@pytest.fixture
def owner(base_model: object) -> Iterator[Any]:
    tenant = cast().make_tenant("Acme Inc.")
    yield tenant
    cast().end_all(tenant)


@pytest.fixture
def stranger(base_model: object) -> Iterator[Any]:
    tenant = cast().make_tenant("Other & Sons")
    yield tenant
    cast().end_all(tenant)


@pytest.fixture
def run_jobs() -> Iterator[Callable[..., int]]:
    """Run what waits with the scripted recipe, as a trainer would; takes the recipe's options."""

    def run(**options: Any) -> int:
        done: int = cast().run_waiting_jobs(**options)
        return done

    yield run
    cast().be_ready_again()
