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

import django
import pytest
from config.onemachine import credentials, environment, layout, ports, table
from config.onemachine.environment import Place
from config.onemachine.supervisor import Supervisor
from django.db import connections
from kernel.crypto.keyring import create_local_keyring

REPOSITORY = layout.REPOSITORY
SERVICE_FIXTURES = {"stores", "stack", "browser"}
PLACE = pytest.StashKey[Place]()
DJANGO_FAULT = pytest.StashKey[str | None]()
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
    config.stash[DJANGO_FAULT] = set_up_django()


def set_up_django() -> str | None:
    """Load the settings and the apps; what went wrong, if anything, fails the tests that need them."""
    try:
        django.setup()
    except Exception as fault:
        return f"{type(fault).__name__}: {fault}"
    return None


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say at the top when Django could not be set up, and why."""
    fault = config.stash[DJANGO_FAULT]
    return f"Django could not be set up: {fault}" if fault else None


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


@dataclass(frozen=True)
class Stores:
    """Running PostgreSQL, Valkey and S3; a test may stop one and must start it again."""

    place: Place
    supervisor: Supervisor

    def stop(self, name: str) -> None:
        """Kill one store (`postgres`, `valkey`, `s3`) as a crash would."""
        child = self.supervisor.children[name]
        assert child.popen is not None
        child.popen.kill()
        child.popen.wait()

    def start(self, name: str) -> None:
        """Bring it back; returns when it is ready."""
        child = self.supervisor.children[name]
        child.deaths = 0
        self.supervisor.tick()
        child.not_before = 0.0
        self.supervisor.start_all()


@pytest.fixture(scope="session")
def stores(place: Place, pytestconfig: pytest.Config) -> Iterator[Stores]:
    """Real stores, migrated by the schema's owner; Django connects as the application's role."""
    if fault := pytestconfig.stash[DJANGO_FAULT]:
        pytest.fail(f"Django could not be set up: {fault}")
    processes = [*table.stores(place), table.migrate(place)]
    folders = place.layout
    supervisor = Supervisor(processes, logs=folders.logs, run=folders.run, say=lambda line: None)
    try:
        supervisor.start_all()
        yield Stores(place, supervisor)
    finally:
        close_database_connections()
        supervisor.stop_all()
        supervisor.close()


def close_database_connections() -> None:
    """Give back what Django holds, its pools' threads included."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        close_pool = getattr(connection, "close_pool", None)
        if close_pool is not None:
            close_pool()
