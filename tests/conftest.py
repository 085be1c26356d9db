"""What every test stands on: an environment before Django is imported, and the real services on request."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from config.onemachine import credentials, environment, layout, ports, table
from config.onemachine.environment import Place
from config.onemachine.supervisor import Supervisor
from kernel.crypto.keyring import create_local_keyring

REPOSITORY = layout.REPOSITORY
SERVICE_FIXTURES = {"stores", "stack", "browser"}
PLACE = pytest.StashKey[Place]()
STACK_STARTS_WITHIN_SECONDS = 240


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--unit` runs only what needs no service and is quick."""
    parser.addoption("--unit", action="store_true", help="only tests that need no service")


def pytest_configure(config: pytest.Config) -> None:
    """Choose a home, ports and secrets for this run, before anything imports the settings."""
    config.addinivalue_line("markers", "unit: needs no service (set by itself)")
    home = Path(tempfile.mkdtemp(prefix="loomworks-tests-"))
    folders = layout.prepare(home)
    place = Place(folders, ports.any_free(), credentials.load(folders.secrets))
    create_local_keyring(folders.keyring)
    os.environ.update(environment.application(place))
    config.stash[PLACE] = place


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    if (place := config.stash.get(PLACE, None)) is not None:
        shutil.rmtree(place.layout.home, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs no service as a unit test; `--unit` deselects the rest."""
    others = []
    for item in items:
        needs_services = SERVICE_FIXTURES & set(getattr(item, "fixturenames", ()))
        if not needs_services and item.get_closest_marker("slow") is None:
            item.add_marker("unit")
        else:
            others.append(item)
    if config.getoption("--unit"):
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Place:
    """The folders, ports and secrets of this test run, whether or not anything is started."""
    return request.config.stash[PLACE]


@pytest.fixture(scope="session")
def stores(place: Place) -> Iterator[Place]:
    """Real PostgreSQL, Valkey and S3, migrated by the owner; Django connects as the application's role."""
    lines: list[str] = []
    processes = [*table.stores(place), table.migrate(place)]
    supervisor = Supervisor(processes, logs=place.layout.logs, run=place.layout.run, say=lines.append)
    try:
        supervisor.start_all()
        yield place
    finally:
        close_database_connections()
        supervisor.stop_all()
