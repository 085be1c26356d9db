"""What every test stands on: an environment before Django is imported, and the real services on request."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
import psycopg
import pytest
from django.conf import settings
from django.db import connections
from playwright.sync_api import Browser, sync_playwright
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling

from config.onemachine import accounts, credentials, environment, install, layout, ports, table
from config.onemachine.environment import Place
from config.onemachine.supervisor import Supervisor
from kernel.crypto.cache import cache as keys_in_memory
from kernel.crypto.providers.keyring import create_local_keyring
from kernel.crypto.signing_keys import create_signing_keys

REPOSITORY = layout.REPOSITORY
# Fixtures that start something: a store, the platform, a browser, a model server.
SERVICE_FIXTURES = {
    "stores",
    "stack",
    "browser",
    "valkey_server",
    "house",
    "scripted_place",
    "model_dir",
    "whole_model_dir",
}
# What starts the whole platform: it is started once, by one of the processes that share the tests.
WITH_THE_PLATFORM = re.compile(r"tests/(?:e2e/(?!conformance/)|faults/)")
# What every deployment has from the start.
FILLED_BY_MIGRATIONS = (
    "auth_permission",
    "django_content_type",
    "django_migrations",
    "limits_plan",
    "limits_platformpolicy",
)
PLACE = pytest.StashKey[Place]()
STORES = pytest.StashKey["Stores | None"]()
PLATFORM = pytest.StashKey[ExitStack]()
DJANGO_FAULT = pytest.StashKey[str | None]()
STACK_STARTS_WITHIN_SECONDS = 300
STACK_STOPS_WITHIN_SECONDS = 60
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--no-zygote",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--unit` runs only what needs no service and is quick."""
    parser.addoption("--unit", action="store_true", help="only tests that need no service")


def pytest_configure(config: pytest.Config) -> None:
    """Choose a home, ports and secrets for this run, before anything imports the settings."""
    config.addinivalue_line("markers", "unit: needs no service (set by itself)")
    config.addinivalue_line("markers", "services: starts services itself, so it is no unit test")
    home = Path(tempfile.mkdtemp(prefix="loomworks-tests-"))
    folders = layout.prepare(home)
    place = Place(folders, ports.any_free(), credentials.load(folders.secrets))
    create_local_keyring(folders.keyring)
    create_signing_keys(folders.signing_keys)
    os.environ.update(environment.application(place))
    config.stash[PLACE] = place
    config.stash[DJANGO_FAULT] = set_up_django()
    if config.stash[DJANGO_FAULT] is None:
        # The cast's models need Django to be set up first.
        config.pluginmanager.import_plugin("tests.cast")


def set_up_django() -> str | None:
    """Load the settings and the apps; what went wrong, if anything, fails the tests that need them."""
    try:
        django.setup()
        settings.PASSWORD_HASHERS = ["tests.hashing.QuickArgon2"]
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
    """Mark what needs no service as a unit test; `--unit` deselects the rest.

    What needs the platform comes first: nothing takes as long, so one of the processes begins with it.
    """
    items.sort(key=lambda item: WITH_THE_PLATFORM.match(item.nodeid) is None)
    others = []
    for item in items:
        needs_services = SERVICE_FIXTURES & set(getattr(item, "fixturenames", ()))
        needs_services |= {"services"} & {mark.name for mark in item.iter_markers()}
        if not needs_services and item.get_closest_marker("slow") is None:
            item.add_marker("unit")
        else:
            others.append(item)
    if config.getoption("--unit"):
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


class ByModule(LoadScopeScheduling):
    """Which process runs what: a module stays whole, and all that needs the platform is one's."""

    def _split_scope(self, nodeid: str) -> str:
        return "the platform" if WITH_THE_PLATFORM.match(nodeid) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    """Called where several processes share the tests."""
    return ByModule(config, log)


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest) -> Place:
    """The folders, ports and secrets of this test run, whether or not anything is started."""
    return request.config.stash[PLACE]


@dataclass(frozen=True)
class Stores:
    """Running PostgreSQL, Valkey and S3; a test may stop one and must start it again."""

    place: Place
    supervisor: Supervisor

    def forget_the_past(self) -> None:
        """Empty every table that tests fill.

        What works for everybody (a schedule, a publication, a report) would otherwise do it for those
        of all earlier tests, and each would take longer than the one before.
        """
        place = self.place
        address = {"host": "127.0.0.1", "port": place.ports.postgres, "dbname": "loomworks"}
        superuser = {"user": "postgres", "password": place.credentials.postgres_superuser}
        with psycopg.connect(**address, **superuser) as connection:
            # Neither triggers that refuse nor foreign keys apply to a replica.
            connection.execute("SET session_replication_role = replica")
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
                " AND relnamespace = 'public'::regnamespace AND relname <> ALL(%s)",
                [list(FILLED_BY_MIGRATIONS)],
            )
            filled = sql.SQL(" UNION ALL ").join(
                sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(name, sql.Identifier(name))
                for (name,) in tables
            )
            for (name,) in connection.execute(filled).fetchall():
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
        # The platform's own key is gone with its row.
        keys_in_memory.forget()

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
        pytestconfig.stash[STORES] = running = Stores(place, supervisor)
        yield running
    finally:
        pytestconfig.stash[STORES] = None
        close_database_connections()
        supervisor.stop_all()
        supervisor.close()


def close_database_connections() -> None:
    """Give back what Django holds, its pools' threads included."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        # Asking a connection for a pool that it does not have would make one.
        if connection.alias in getattr(connection, "_connection_pools", {}):
            connection.close_pool()


@pytest.fixture(scope="module", autouse=True)
def a_fresh_start(pytestconfig: pytest.Config) -> Iterator[None]:
    """Each module begins with a fresh pool, since threads that died with an event loop kept theirs, and finds
    nothing waiting that another left.
    """
    yield
    close_database_connections()
    if (running := pytestconfig.stash.get(STORES, None)) is not None:
        running.forget_the_past()


@pytest.fixture(scope="session")
def base_model(pytestconfig: pytest.Config) -> Path:
    """The bundled base model, prepared once and kept in pytest's cache for later runs."""
    folder = pytestconfig.cache.mkdir("loomworks") / "smollm2-135m-instruct"
    subprocess.run([sys.executable, "-m", "training.recipes.base_model", "--output", str(folder)], check=True)
    return folder


@dataclass(frozen=True)
class Stack:
    """The whole platform, started as a person would start it."""

    home: Path
    demo: dict[str, str]
    pid: int

    @property
    def url(self) -> str:
        return self.demo["url"]


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config, base_model: Path) -> Iterator[Stack]:
    """The platform, for as long as tests need it: even idle it takes part of a core from the others."""
    with ExitStack() as running:
        pytestconfig.stash[PLATFORM] = running
        yield running.enter_context(started_platform(base_model))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the platform after the last test that needs it."""
    running = item.config.stash.get(PLATFORM, None)
    if running is not None and not (nextitem and WITH_THE_PLATFORM.match(nextitem.nodeid)):
        running.close()


@contextmanager
def started_platform(base_model: Path) -> Iterator[Stack]:
    """`make up` in a folder and on ports of its own; nothing of it is left afterwards."""
    home = Path(tempfile.mkdtemp(prefix="loomworks-stack-"))
    folders = layout.prepare(home)
    shutil.copytree(base_model, folders.base_model, copy_function=link_or_copy)
    words = home / "up.log"
    with words.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", "config.onemachine", "up"],
            env={**os.environ, "LOOMWORKS_HOME": str(home), "LOOMWORKS_PORT": "0"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=lambda: accounts.die_with_parent(signal.SIGTERM),  # noqa: PLW1509
        )
    try:
        wait_for_greeting(popen, words)
        yield Stack(home, json.loads(folders.demo.read_text()), popen.pid)
    finally:
        popen.terminate()
        popen.wait(STACK_STOPS_WITHIN_SECONDS)
        shutil.rmtree(home, ignore_errors=True)


def link_or_copy(source: str, target: str) -> None:
    """A second name for the file, or a copy where the cache lies on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def wait_for_greeting(popen: "subprocess.Popen[bytes]", words: Path) -> None:
    """Return once `up` says that it is ready; fail with its words when it is not in time."""
    until = time.monotonic() + STACK_STARTS_WITHIN_SECONDS
    while "Loomworks is ready" not in words.read_text(errors="replace"):
        if popen.poll() is not None or time.monotonic() > until:
            pytest.fail(f"The stack did not start:\n{words.read_text(errors='replace')}")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium. One per module: while it runs, no asynchronous test can."""
    program = install.install_browser()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(program),
            args=list(CHROMIUM_FLAGS),
            env={**os.environ, **browser_environment(program)},
        )
        yield chromium
        chromium.close()


def browser_environment(program: Path) -> dict[str, str | float | bool]:
    """Libraries and fonts that came with the browser, where the system has none."""
    variables: dict[str, str | float | bool] = {}
    libraries, fonts = program.parent / "al2023" / "lib", program.parent / "fonts"
    linked = subprocess.run(["ldd", str(program)], check=False, capture_output=True, text=True)
    if "not found" in linked.stdout and libraries.is_dir():
        variables["LD_LIBRARY_PATH"] = str(libraries)
    if fonts.is_dir() and not Path("/etc/fonts/fonts.conf").exists():
        variables["FONTCONFIG_PATH"] = str(fonts)
    return variables
