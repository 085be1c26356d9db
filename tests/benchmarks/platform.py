"""Real stores for a benchmark, and Django connected to them as the application's role."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.db import connections

from config.onemachine import credentials, environment, layout, ports, table
from config.onemachine.environment import Place
from config.onemachine.supervisor import Supervisor
from kernel.crypto.providers.keyring import create_local_keyring


@contextmanager
def stores() -> Iterator[Place]:
    """PostgreSQL, Valkey and S3, migrated; gone afterwards. Models can be imported inside only."""
    home = Path(tempfile.mkdtemp(prefix="loomworks-bench-"))
    folders = layout.prepare(home)
    place = Place(folders, ports.any_free(), credentials.load(folders.secrets))
    create_local_keyring(folders.keyring)
    before = dict(os.environ)
    os.environ.update({**environment.application(place), "LOG_LEVEL": "ERROR"})
    processes = [*table.stores(place), table.migrate(place)]
    supervisor = Supervisor(processes, logs=folders.logs, run=folders.run, say=lambda line: None)
    try:
        supervisor.start_all()
        django.setup()
        yield place
    finally:
        for connection in connections.all(initialized_only=True):
            connection.close()
            connection.close_pool()
        supervisor.stop_all()
        supervisor.close()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(home, ignore_errors=True)
