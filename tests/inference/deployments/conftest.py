"""Fixtures of deployments' tests."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.test import override_settings

from tests.inference.deployments.fake_pod import KEY, FakePod, running


@pytest.fixture
def pod(stores: Any) -> Iterator[FakePod]:
    """A pod that serves the base model and takes adapters."""
    # This file may be loaded before Django is set up, and the house needs its models.
    house = import_module("tests.inference.deployments.house")
    base = house.base_model()
    with (
        running(FakePod(base=f"base-{base.digest}")) as pod,
        override_settings(POD_URL=pod.url, POD_KEY=KEY),
    ):
        yield pod
