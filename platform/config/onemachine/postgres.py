"""PostgreSQL from its wheel: the cluster's making, the server, its roles and database."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from config.onemachine import accounts, probes, programs
from config.onemachine.environment import Place
from config.onemachine.faults import CannotStart
from config.onemachine.layout import REPOSITORY
from config.onemachine.process import Process

SUPERUSER = "postgres"
ROLES = REPOSITORY / "platform" / "kernel" / "tenancy" / "roles.sql"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# Passwords come from psql's environment, so that neither `ps` nor a log ever shows them.
PASSWORDS_SQL = r"""
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv app_password APP_PASSWORD
SET log_min_error_statement = panic;
ALTER ROLE loomworks_owner PASSWORD :'owner_password';
ALTER ROLE loomworks_app PASSWORD :'app_password';
"""
DATABASE_SQL = r"""
SELECT 'CREATE DATABASE loomworks OWNER loomworks_owner'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'loomworks') \gexec
REVOKE ALL ON DATABASE loomworks FROM PUBLIC;
GRANT CONNECT ON DATABASE loomworks TO loomworks_app;
\connect loomworks
"""


def cluster(place: Place) -> Path:
    """The folder of the cluster's files."""
    return place.layout.postgres / "cluster"


def make_cluster(place: Place) -> accounts.Account | None:
    """Make the cluster unless there is one; returns the user that the server must run as."""
    folder = place.layout.postgres
    folder.mkdir(exist_ok=True)
    account = accounts.unprivileged(cluster(place), Path(programs.postgres("postgres")))
    if account is not None and folder.stat().st_uid == 0:
        os.chown(folder, account.uid, account.gid)
    elif account is not None:
        # An older cluster keeps its owner, whichever user we would choose today.
        status = folder.stat()
        account = accounts.Account(status.st_uid, status.st_gid, account.capability)
    folder.chmod(0o700)
    if not (cluster(place) / "PG_VERSION").exists():
        initialize(place, account)
    return account


def initialize(place: Place, account: accounts.Account | None) -> None:
    """Run initdb into a folder beside, then rename: half a cluster is never taken for one."""
    half = place.layout.postgres / "cluster.half"
    shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(cluster(place), ignore_errors=True)
    password_file = place.layout.postgres / "initial-password"
    password_file.touch(0o600)
    password_file.write_text(place.credentials.postgres_superuser)
    if account is not None:
        os.chown(password_file, account.uid, account.gid)
    command = (
        programs.postgres("initdb"),
        f"--pgdata={half}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    )
    try:
        made = subprocess.run(  # noqa: S603 - our own wheel's program
            command,
            check=False,
            capture_output=True,
            text=True,
            preexec_fn=None if account is None else lambda: accounts.become(account),
        )
    finally:
        password_file.unlink()
    if made.returncode != 0:
        last = (made.stderr.strip().splitlines() or ["no message"])[-1]
        raise CannotStart(f"PostgreSQL's cluster could not be made in {half}: {last}")
    half.rename(cluster(place))


def server(place: Place, account: accounts.Account | None) -> Process:
    """The server itself, on loopback TCP only."""
    options = {**SETTINGS, "port": str(place.ports.postgres)}
    arguments = tuple(part for name, value in options.items() for part in ("-c", f"{name}={value}"))
    return Process(
        name="postgres",
        command=(programs.postgres("postgres"), "-D", str(cluster(place)), *arguments),
        probe=probes.postgres(place.ports.postgres),
        # SIGINT: roll back what is open and shut down; SIGQUIT: at once, recovering at the next start.
        stop=((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0)),
        death_signal=signal.SIGQUIT,
        account=account,
    )


def roles(place: Place) -> Process:
    """The step that makes roles and database and sets the passwords."""
    script = ROLES.read_text(encoding="utf-8")
    return Process(
        name="roles",
        command=(
            programs.postgres("psql"),
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            "--host=127.0.0.1",
            f"--port={place.ports.postgres}",
            f"--username={SUPERUSER}",
            "--dbname=postgres",
        ),
        environment={
            "PGPASSWORD": place.credentials.postgres_superuser,
            "OWNER_PASSWORD": place.credentials.postgres_owner,
            "APP_PASSWORD": place.credentials.postgres_app,
            "PGOPTIONS": "--client-min-messages=warning",
        },
        stdin="\n".join((script, PASSWORDS_SQL, DATABASE_SQL, script)),
        needs=("postgres",),
        once=True,
    )
