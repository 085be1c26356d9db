"""SeaweedFS from its wheel: a real S3 server, with one administrator and one identity for the application."""

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from config.onemachine import environment, probes, programs
from config.onemachine.credentials import S3_ADMIN_KEY_ID, S3_KEY_ID
from config.onemachine.environment import S3_BUCKET, S3_LOCKED_BUCKET, Place
from config.onemachine.layout import write_private
from config.onemachine.ports import GRPC_OFFSET, Ports
from config.onemachine.process import Process

APPLICATION_ACTIONS = ("Read", "Write", "List", "Tagging")
# Among them to lock what is written; not to go round a lock.
LOCKING_ACTIONS = (*APPLICATION_ACTIONS, "GetObjectRetention", "PutObjectRetention")


def identities(place: Place) -> str:
    """SeaweedFS's identities: the application may use its bucket, not make or drop any."""
    return json.dumps(
        {
            "identities": [
                identity(S3_ADMIN_KEY_ID, place.credentials.s3_admin_secret, ["Admin"]),
                identity(
                    S3_KEY_ID,
                    place.credentials.s3_secret,
                    [
                        f"{action}:{bucket}"
                        for bucket, actions in (
                            (S3_BUCKET, APPLICATION_ACTIONS),
                            (S3_LOCKED_BUCKET, LOCKING_ACTIONS),
                        )
                        for action in actions
                    ],
                ),
            ]
        }
    )


def identity(key_id: str, secret: str, actions: list[str]) -> dict[str, object]:
    """One identity, with one key pair of its own name."""
    return {
        "name": key_id,
        "credentials": [{"accessKey": key_id, "secretKey": secret}],
        "actions": actions,
    }


def server(place: Place) -> Process:
    """Master, volume server, filer and S3 gateway in one process, small."""
    ports = place.ports
    file = place.layout.secrets / "s3.json"
    write_private(file, identities(place))
    return Process(
        name="s3",
        command=(
            programs.weed(),
            "-logtostderr=true",
            "server",
            f"-dir={place.layout.s3}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={ports.s3_master}",
            "-master.volumeSizeLimitMB=64",
            "-master.telemetry=false",
            # The one master has nobody to wait for before it leads again; the default is ten seconds.
            "-master.electionTimeout=1s",
            f"-volume.port={ports.s3_volume}",
            "-volume.max=500",
            "-volume.preStopSeconds=0",
            "-filer",
            f"-filer.port={ports.s3_filer}",
            "-s3",
            f"-s3.port={ports.s3}",
            f"-s3.config={file}",
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ),
        # Of its heap 150 MB live: a limit near that makes it collect garbage all the time (measured: 7 % of a
        # core when idle, and a third of the speed of small writes).
        environment={"GOMEMLIMIT": "384MiB"},
        probe=probes.object_store(ports.s3, ports.s3_filer),
        # It would take 15 seconds to stop by itself; what it has acknowledged is in its files already.
        stop=((signal.SIGTERM, 2.0),),
        leaves=tuple(sockets(ports)),
    )


def sockets(ports: Ports) -> Iterator[Path]:
    """The sockets that SeaweedFS puts into /tmp, named by its ports; for most there is no option."""
    for name, port in (("filer", ports.s3_filer), ("s3", ports.s3)):
        yield Path(f"/tmp/seaweedfs-{name}-{port}.sock")  # noqa: S108 - its choice
    named = {"filer": ports.s3_filer, "s3": ports.s3, "master": ports.s3_master, "volume": ports.s3_volume}
    for name, port in named.items():
        yield Path(f"/tmp/seaweedfs-{name}-grpc-{port + GRPC_OFFSET}.sock")  # noqa: S108


def bucket(place: Place) -> Process:
    """The step that makes the application's buckets, once."""
    return Process(
        name="bucket",
        command=(sys.executable, "-m", "config.onemachine.bucket"),
        environment=environment.object_store_admin(place),
        needs=("s3",),
        once=True,
        done=place.layout.s3 / "bucket-made",
        fingerprint=lambda: f"{S3_BUCKET} {S3_LOCKED_BUCKET}",
    )
