"""Sealed columns: they open in their own row, column and organization only."""

from uuid import UUID, uuid4

import pytest

from kernel.crypto import keys
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed
from kernel.crypto.fields import open_sealed, seal

pytestmark = pytest.mark.usefixtures("stores")

ROW = UUID(int=7)


def test_text_comes_back_from_its_row() -> None:
    organization_id = uuid4()
    words = "Grüße, 東京".encode()
    sealed = seal(organization_id, words, purpose="chat.message.content", row_id=ROW)
    assert "東京".encode() not in sealed
    opened = open_sealed(organization_id, memoryview(sealed), purpose="chat.message.content", row_id=ROW)
    assert opened == words


def test_a_value_moved_to_another_row_column_or_organization_does_not_open() -> None:
    owner, stranger = uuid4(), uuid4()
    keys.key_for(stranger)
    sealed = seal(owner, b"secret", purpose="webhook.secret", row_id=ROW)
    for organization_id, purpose, row_id in (
        (owner, "webhook.secret", UUID(int=8)),
        (owner, "webhook.url", ROW),
        (stranger, "webhook.secret", ROW),
    ):
        with pytest.raises(CiphertextAltered):
            open_sealed(organization_id, sealed, purpose=purpose, row_id=row_id)


def test_nothing_opens_once_the_keys_are_destroyed() -> None:
    organization_id = uuid4()
    sealed = seal(organization_id, b"secret", purpose="webhook.secret", row_id=ROW)
    keys.destroy_keys(organization_id)
    with pytest.raises(KeyDestroyed):
        open_sealed(organization_id, sealed, purpose="webhook.secret", row_id=ROW)
    with pytest.raises(KeyDestroyed):
        seal(organization_id, b"more", purpose="webhook.secret", row_id=ROW)


def test_what_is_sealed_for_a_person_opens_until_their_key_is_destroyed() -> None:
    organization_id, person, other = uuid4(), uuid4(), uuid4()
    theirs = seal(organization_id, b"theirs", purpose="x.y", row_id=ROW, person=person)
    others = seal(organization_id, b"others", purpose="x.y", row_id=ROW, person=other)
    everybodys = seal(organization_id, b"everybody's", purpose="x.y", row_id=ROW)
    keys.cache.forget()
    assert open_sealed(organization_id, theirs, purpose="x.y", row_id=ROW) == b"theirs"
    keys.destroy_person_key(organization_id, person)
    with pytest.raises(KeyDestroyed):
        open_sealed(organization_id, theirs, purpose="x.y", row_id=ROW)
    with pytest.raises(KeyDestroyed):
        seal(organization_id, b"more", purpose="x.y", row_id=ROW, person=person)
    assert open_sealed(organization_id, others, purpose="x.y", row_id=ROW) == b"others"
    assert open_sealed(organization_id, everybodys, purpose="x.y", row_id=ROW) == b"everybody's"
