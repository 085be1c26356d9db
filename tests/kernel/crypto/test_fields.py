"""Sealed columns: they open in their own row, column and organization only."""

from uuid import UUID, uuid4

import pytest

from kernel.crypto import keys
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed
from kernel.crypto.fields import open_sealed, open_text, seal, seal_text

pytestmark = pytest.mark.usefixtures("stores")

ROW = UUID(int=7)


def test_text_comes_back_from_its_row() -> None:
    organization_id = uuid4()
    sealed = seal_text(organization_id, "Grüße, 東京", purpose="chat.message.content", row_id=ROW)
    assert "東京".encode() not in sealed
    opened = open_text(organization_id, memoryview(sealed), purpose="chat.message.content", row_id=ROW)
    assert opened == "Grüße, 東京"


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
