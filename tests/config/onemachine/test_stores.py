"""The stores that the one-machine platform starts are real ones, closed to whoever has no password."""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import psycopg
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError

from config.onemachine import environment

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from tests.conftest import Stores


def s3_client(stores: "Stores", *, secret: str | None = None) -> "S3Client":
    variables = environment.application(stores.place)
    return boto3.client(
        "s3",
        endpoint_url=variables["S3_ENDPOINT_URL"],
        aws_access_key_id=variables["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=secret or variables["S3_SECRET_ACCESS_KEY"],
        region_name=variables["S3_REGION"],
        config=Config(retries={"max_attempts": 1}),
    )


def test_the_application_connects_as_a_role_that_row_level_security_binds(stores: "Stores") -> None:
    with psycopg.connect(environment.database_url(stores.place)) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row == (False, False, False)


def test_the_application_owns_no_table(stores: "Stores") -> None:
    with psycopg.connect(environment.database_url(stores.place)) as connection:
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert owners == [("loomworks_owner",)]


def test_postgresql_refuses_a_wrong_password(stores: "Stores") -> None:
    url = environment.database_url(stores.place).replace(stores.place.credentials.postgres_app, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_valkey_refuses_to_talk_without_the_password(stores: "Stores") -> None:
    with (
        redis.Redis(host="127.0.0.1", port=stores.place.ports.valkey) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_valkey_never_evicts(stores: "Stores") -> None:
    with redis.Redis.from_url(environment.application(stores.place)["VALKEY_URL"]) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_the_object_store_refuses_a_wrong_signature(stores: "Stores") -> None:
    with pytest.raises(ClientError) as refusal:
        s3_client(stores, secret="wrong").list_objects_v2(Bucket=environment.S3_BUCKET)
    assert refusal.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_the_application_cannot_make_buckets(stores: "Stores") -> None:
    with pytest.raises(ClientError) as refusal:
        s3_client(stores).create_bucket(Bucket="another")
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"


def test_what_the_stores_acknowledged_survives_their_being_killed(stores: "Stores") -> None:
    bucket, body = environment.S3_BUCKET, os.urandom(300_000)
    for number in range(20):
        s3_client(stores).put_object(Bucket=bucket, Key=f"kept/{number}", Body=body)
    with redis.Redis.from_url(environment.application(stores.place)["VALKEY_URL"]) as client:
        client.set("kept", "value")
        for name in ("s3", "valkey"):
            stores.stop(name)
            stores.start(name)
        assert client.get("kept") == b"value"
        client.delete("kept")
    for number in range(20):
        answer = s3_client(stores).get_object(Bucket=bucket, Key=f"kept/{number}")
        assert answer["Body"].read() == body
        s3_client(stores).delete_object(Bucket=bucket, Key=f"kept/{number}")


def test_nobody_else_can_read_what_the_platform_keeps(stores: "Stores") -> None:
    """Only the home itself lets others pass, and only where root must let PostgreSQL's user through."""
    home = stores.place.layout.home
    open_to_others = [path for path in home.iterdir() if mode(path) & (stat.S_IRWXG | stat.S_IRWXO)]
    assert open_to_others == []
    assert not mode(home) & (stat.S_IROTH | stat.S_IWOTH | stat.S_IRGRP | stat.S_IWGRP)
    for path in stores.place.layout.secrets.iterdir():
        assert mode(path) == 0o600, path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
