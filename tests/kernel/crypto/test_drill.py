"""The drill: a backup of database and object store from before shredding shows nothing of what was shredded.

The backup is restored into a database of its own, beside the objects of then, and read with all that is left:
the platform's settings, its master keys, and the newest copies of the wrapped keys.
"""

import io
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection, connections

from config.onemachine import programs
from inference.chat.models import Conversation
from kernel.crypto import keys, renewal
from kernel.crypto.errors import KeyDestroyed, KeyUnavailable
from kernel.ids import uuid7
from kernel.storage import client, objects
from kernel.storage.names import object_key
from kernel.webhooks import services as webhooks
from kernel.webhooks.models import WebhookEndpoint
from tests.cast import Person, new_person

SECRET = b"what must not be read again"
RESTORED = "restored"


@dataclass
class Content:
    """What an organization had stored when the backup was made."""

    owner: Person
    colleague: Person
    object_name: str
    endpoint_id: UUID

    @classmethod
    def of(cls, owner: Person) -> "Content":
        colleague = new_person(joining=owner)
        name = object_key(owner.organization.pk, "files", uuid7())
        objects.put(owner.organization.pk, name, io.BytesIO(SECRET))
        with owner.acting():
            endpoint = webhooks.create_webhook("https://customer.example/hook", ["*"]).endpoint
            for person in (owner, colleague):
                conversation = Conversation(
                    organization_id=owner.organization.pk,
                    project=person.project,
                    created_by=person.user,
                    title=SECRET.decode(),
                )
                conversation.save()
        return cls(owner, colleague, name, endpoint.pk)

    def read_object(self) -> bytes:
        return b"".join(objects.get(self.owner.organization.pk, self.object_name))

    def read_secret(self) -> str:
        with self.owner.acting():
            return WebhookEndpoint.objects.get(pk=self.endpoint_id).secret

    def read_title(self, person: Person) -> bytes:
        with self.owner.acting():
            return Conversation.objects.get(created_by=person.user).title.encode()


@dataclass
class Backup:
    """A dump of the database, and the objects' bytes as the store kept them."""

    dump: Path
    stored: dict[str, bytes]


def environment(place: Any) -> dict[str, str]:
    return {**os.environ, "PGPASSWORD": place.credentials.postgres_superuser}


def reach(place: Any) -> list[str]:
    return ["--host=127.0.0.1", f"--port={place.ports.postgres}", "--username=postgres"]


def run(place: Any, program: str, *arguments: str) -> None:
    command = [programs.postgres(program), *reach(place), *arguments]
    subprocess.run(command, check=True, capture_output=True, env=environment(place))


def back_up(place: Any, folder: Path, names: list[str]) -> Backup:
    dump = folder / "database.dump"
    run(place, "pg_dump", "--format=custom", f"--file={dump}", "loomworks")
    store = client.bucket()
    stored = {name: store.client.get_object(Bucket=store.name, Key=name)["Body"].read() for name in names}
    return Backup(dump, stored)


@contextmanager
def restored(place: Any, backup: Backup) -> Iterator[None]:
    """Django works on what was restored, until it is dropped again."""
    run(place, "psql", "--dbname=postgres", f"--command=CREATE DATABASE {RESTORED} OWNER loomworks_owner")
    run(place, "pg_restore", f"--dbname={RESTORED}", str(backup.dump))
    store = client.bucket()
    for name, content in backup.stored.items():
        store.client.put_object(Bucket=store.name, Key=name, Body=content)
    switch_to(RESTORED)
    try:
        yield
    finally:
        switch_to("loomworks")
        run(place, "psql", "--dbname=postgres", f"--command=DROP DATABASE {RESTORED} WITH (FORCE)")


def switch_to(database: str) -> None:
    connection.close()
    connection.close_pool()
    connections.settings["default"]["NAME"] = connection.settings_dict["NAME"] = database
    keys.cache.forget()


def test_what_was_shredded_cannot_be_read_from_a_backup_and_everything_else_can(
    owner: Person, stores: Any, tmp_path: Path
) -> None:
    closed, kept = Content.of(new_person()), Content.of(owner)
    backup = back_up(stores.place, tmp_path, [closed.object_name, kept.object_name])
    keys.destroy_keys(closed.owner.organization.pk)
    keys.destroy_person_key(kept.owner.organization.pk, kept.colleague.user.pk)
    renewal.settle(kept.owner.organization.pk)
    with restored(stores.place, backup):
        for reading in (closed.read_object, closed.read_secret, lambda: closed.read_title(closed.owner)):
            with pytest.raises(KeyUnavailable):
                reading()
        with pytest.raises(KeyUnavailable):
            kept.read_title(kept.colleague)
        # Content is under another key than people's: it is there at once.
        assert kept.read_object() == SECRET
        assert kept.read_secret().startswith("whsec_")
        # People's keys were put under a fresh one since the backup: the newest copy has them.
        call_command("keys", "import")
        assert kept.read_title(kept.owner) == SECRET
        with pytest.raises(KeyDestroyed):
            kept.read_title(kept.colleague)
        for reading in (closed.read_object, closed.read_secret, lambda: closed.read_title(closed.owner)):
            with pytest.raises((KeyUnavailable, KeyDestroyed)):
                reading()
    assert kept.read_title(kept.owner) == SECRET


def test_the_keyring_holds_nothing_of_who_was_shredded(owner: Person, stores: Any) -> None:
    content = Content.of(owner)
    keyring = stores.place.layout.keyring
    assert str(owner.organization.pk) in keyring.read_text()
    keys.destroy_keys(content.owner.organization.pk)
    assert str(owner.organization.pk) not in keyring.read_text()
