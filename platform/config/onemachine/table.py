"""The process table of one machine: everything that `make up` starts, in one place."""

import hashlib
import signal
import sys
from pathlib import Path

from config.onemachine import environment, objects, postgres, probes, valkey
from config.onemachine.environment import Place
from config.onemachine.layout import REPOSITORY
from config.onemachine.process import Process

PYTHON = sys.executable
STORES = ("roles", "valkey", "bucket")
# The object store is slowest to start: what serves loads its own code meanwhile.
OBJECT_STORE = ("bucket",)
NEEDED_TO_SERVE = ("migrate", "roles", "valkey")
# Fewer malloc arenas: the thread pools would otherwise hold on to memory they do not use.
LEAN = {"MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}
WEB_PATIENCE_SECONDS = 120.0
STEP_PATIENCE_SECONDS = 600.0
ROOMS = ("platform", "tenants", "training", "inference")


def stores(place: Place) -> list[Process]:
    """PostgreSQL, Valkey and S3, with their roles and bucket, and the keyring."""
    account = postgres.make_cluster(place)
    return [
        postgres.server(place, account),
        postgres.roles(place),
        valkey.server(place),
        objects.server(place),
        objects.bucket(place),
        keyring(place),
    ]


def everything(place: Place) -> list[Process]:
    """The whole platform."""
    return [*stores(place), base_model(place), migrate(place), *services(place), demo(place)]


def keyring(place: Place) -> Process:
    """The step that makes the files of master keys and of signing keys."""
    files = (str(place.layout.keyring), str(place.layout.signing_keys))
    return Process(
        name="keyring",
        command=(PYTHON, "-m", "config.onemachine.keyring", *files),
        once=True,
    )


def base_model(place: Place) -> Process:
    """The step that prepares the bundled base model; skipped while its files are as it left them."""
    folder = place.layout.base_model
    return Process(
        name="base-model",
        command=(PYTHON, "-m", "training.recipes.base_model", "--output", str(folder)),
        environment=LEAN,
        once=True,
        patience_seconds=STEP_PATIENCE_SECONDS,
        done=place.layout.run / "base-model-made",
        fingerprint=lambda: files_fingerprint(folder),
    )


def migrate(place: Place) -> Process:
    """The step that brings the schema up to date, as the schema's owner."""
    return Process(
        name="migrate",
        command=(PYTHON, str(REPOSITORY / "manage.py"), "migrate", "--no-input"),
        environment={**environment.owner(place), **LEAN},
        needs=("roles", "keyring"),
        once=True,
        patience_seconds=STEP_PATIENCE_SECONDS,
        done=place.layout.postgres / "migrated",
        fingerprint=migrations_fingerprint,
    )


def demo(place: Place) -> Process:
    """The step that makes the demo organization, or reads again what it is."""
    return Process(
        name="demo",
        command=(
            PYTHON,
            str(REPOSITORY / "manage.py"),
            "seed_demo",
            "--url",
            place.url,
            "--previous",
            str(place.layout.demo),
        ),
        environment={**environment.application(place), **LEAN},
        needs=("migrate", "base-model", *STORES),
        once=True,
        output=demo_output(place),
        done=place.layout.postgres / "demo-made",
        fingerprint=lambda: demo_fingerprint(place),
    )


def demo_output(place: Place) -> Path:
    """What the step printed when it was last done."""
    return place.layout.run / "demo-output.json"


def demo_fingerprint(place: Place) -> str:
    """Changes when the address, the base model or the schema does, and when what was told is gone."""
    told = demo_output(place).exists() or place.layout.demo.exists()
    return f"{place.url} {told} {migrations_fingerprint()} {files_fingerprint(place.layout.base_model)}"


def services(place: Place) -> list[Process]:
    """What serves: the pod, the web process, the workers and the schedule."""
    application = {**environment.application(place), **LEAN}
    needs = NEEDED_TO_SERVE
    celery = (PYTHON, "-m", "celery", "-A", "config", "worker", "--without-gossip", "--without-mingle")
    return [
        pod(place),
        Process(
            name="worker",
            command=(*celery, "-n", "worker@%h", "-Q", "default,data", "--pool", "threads", "-c", "4"),
            environment=application,
            needs=needs,
            uses=OBJECT_STORE,
            stop=((signal.SIGTERM, 10.0), (signal.SIGQUIT, 3.0)),
        ),
        Process(
            name="trainer",
            command=(*celery, "-n", "trainer@%h", "-Q", "training", "--pool", "solo"),
            environment=application,
            needs=needs,
            uses=OBJECT_STORE,
            # The running recipe gets the time to write a checkpoint, from which the job goes on.
            stop=((signal.SIGTERM, 10.0), (signal.SIGQUIT, 10.0)),
        ),
        Process(
            name="beat",
            command=(PYTHON, str(REPOSITORY / "manage.py"), "schedule"),
            environment=application,
            needs=needs,
            uses=OBJECT_STORE,
        ),
        web(place, application, needs),
    ]


def pod(place: Place) -> Process:
    """The embedded model server."""
    return Process(
        name="pod",
        command=(
            PYTHON,
            "-m",
            "inference.engine",
            "--model-dir",
            str(place.layout.base_model),
            "--host",
            "127.0.0.1",
            "--port",
            str(place.ports.pod),
            "--state-dir",
            str(place.layout.home / "pod"),
        ),
        environment={"POD_KEY": place.credentials.pod_key, **LEAN},
        needs=("base-model",),
        probe=probes.http_ok(place.ports.pod, "/health"),
    )


def web(place: Place, application: dict[str, str], needs: tuple[str, ...]) -> Process:
    """Django, Channels and the gateway behind one port."""
    options = {
        "--host": "127.0.0.1",
        "--port": str(place.ports.web),
        "--loop": "uvloop",
        "--http": "kernel.connections:BoundedHeads",
        "--ws": "websockets",
        "--ws-per-message-deflate": "false",
        "--timeout-graceful-shutdown": "5",
        "--log-level": "warning",
    }
    arguments = tuple(part for option in options.items() for part in option)
    return Process(
        name="web",
        command=(
            PYTHON,
            "-m",
            "uvicorn",
            "config.asgi:application",
            *arguments,
            "--no-proxy-headers",
            "--no-server-header",
        ),
        environment=application,
        needs=needs,
        uses=OBJECT_STORE,
        probe=probes.http_ok(place.ports.web, "/readyz"),
        patience_seconds=WEB_PATIENCE_SECONDS,
    )


def files_fingerprint(folder: Path) -> str:
    """Changes when a file of the folder, or the package it is made from, does."""
    lines = [
        f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in sorted(folder.glob("*"))
    ]
    lines.append((REPOSITORY / "locks" / "base-model.txt").read_text())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def migrations_fingerprint() -> str:
    """Changes when a migration or a locked package does: then `migrate` must run again."""
    digest = hashlib.sha256()
    for path in migration_files():
        digest.update(str(path.relative_to(REPOSITORY)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def migration_files() -> list[Path]:
    """Every migration of ours, and the lock that fixes everyone else's."""
    ours = (path for room in ROOMS for path in (REPOSITORY / room).glob("**/migrations/*.py"))
    return sorted([*ours, REPOSITORY / "locks" / "platform.txt"])
