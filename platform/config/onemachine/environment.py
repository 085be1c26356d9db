"""The environment variables of every process of one machine: the same that a cluster would set."""

from dataclasses import dataclass

from config.onemachine.credentials import S3_ADMIN_KEY_ID, S3_KEY_ID, Credentials
from config.onemachine.layout import Layout
from config.onemachine.ports import Ports

S3_BUCKET = "loomworks"


@dataclass(frozen=True)
class Place:
    """Where one platform lives: its folders, ports and secrets."""

    layout: Layout
    ports: Ports
    credentials: Credentials

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports.web}"


def database_url(place: Place, *, owner: bool = False) -> str:
    """The database's address, as the application's role or as the owner of its schema."""
    role = "loomworks_owner" if owner else "loomworks_app"
    password = place.credentials.postgres_owner if owner else place.credentials.postgres_app
    return f"postgresql://{role}:{password}@127.0.0.1:{place.ports.postgres}/loomworks"


def application(place: Place) -> dict[str, str]:
    """What the settings read, for web, workers, beat and the one-shot commands."""
    layout, ports, credentials = place.layout, place.ports, place.credentials
    return {
        "LOOMWORKS_HOME": str(layout.home),
        "LOOMWORKS_PORT": str(ports.web),
        "DATABASE_URL": database_url(place),
        "VALKEY_URL": f"redis://:{credentials.valkey}@127.0.0.1:{ports.valkey}/0",
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{ports.s3}",
        "S3_BUCKET": S3_BUCKET,
        "S3_ACCESS_KEY_ID": S3_KEY_ID,
        "S3_SECRET_ACCESS_KEY": credentials.s3_secret,
        "S3_REGION": "us-east-1",
        "SECRET_KEY": credentials.secret_key,
        "API_KEY_PEPPER": credentials.api_key_pepper,
        "KEYRING_FILE": str(layout.keyring),
        "SIGNING_KEY_FILE": str(layout.signing_keys),
        "POD_URL": f"http://127.0.0.1:{ports.pod}",
        "POD_KEY": credentials.pod_key,
        "MODELS_DIR": str(layout.models),
        "SCRATCH_DIR": str(layout.scratch),
        "SPOOL_DIR": str(layout.spool),
        "PUBLIC_URL": place.url,
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }


def owner(place: Place) -> dict[str, str]:
    """The application's environment with the schema owner's database address: for migrations."""
    return application(place) | {"DATABASE_URL": database_url(place, owner=True)}


def object_store_admin(place: Place) -> dict[str, str]:
    """The application's environment with the object store's administrator: it makes the bucket."""
    return application(place) | {
        "S3_ACCESS_KEY_ID": S3_ADMIN_KEY_ID,
        "S3_SECRET_ACCESS_KEY": place.credentials.s3_admin_secret,
    }
