"""What was destroyed is unreadable in copies of the database too, and renewing may break off anywhere."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import override_settings

from kernel.crypto import copies, keys, people, renewal, wrapping
from kernel.crypto.errors import CiphertextAltered, KeyDestroyed, KeyRefused, KeyUnavailable
from kernel.crypto.fields import open_sealed, seal
from kernel.crypto.models import OrganizationKey, PersonKey, RetiredRoot
from kernel.storage.errors import StorageUnavailable
from kernel.tenancy.scope import acting_for
from tests.kernel.crypto.keepers import FakeKms, FakeVault

pytestmark = pytest.mark.usefixtures("stores")

ROW = UUID(int=7)


@pytest.fixture
def organization_id() -> Iterator[UUID]:
    organization_id = uuid4()
    yield organization_id
    keys.cache.forget(organization_id)


def sealed_for(organization_id: UUID, person: UUID | None, words: bytes = b"words") -> bytes:
    return seal(organization_id, words, purpose="x.y", row_id=ROW, person=person)


def opened(organization_id: UUID, sealed: bytes) -> bytes:
    keys.cache.forget(organization_id)
    return open_sealed(organization_id, sealed, purpose="x.y", row_id=ROW)


def backup_of(organization_id: UUID) -> list[str]:
    """The keys as a backup of the database would hold them."""
    return copies.lines_of(organization_id)


def put_back(organization_id: UUID, backup: list[str]) -> None:
    """What restoring such a backup does: the rows of then, and none of now."""
    with acting_for(organization_id):
        for model in copies.COPIED:
            model.objects.all().delete()
        for number, line in enumerate(backup):
            copies._read(number, line).save(force_insert=True)
    keys.cache.forget(organization_id)


def test_a_destroyed_persons_key_does_not_open_from_a_backup_and_others_do(organization_id: UUID) -> None:
    gone, stays = uuid4(), uuid4()
    theirs, others = sealed_for(organization_id, gone), sealed_for(organization_id, stays)
    everybodys = sealed_for(organization_id, None)
    backup = backup_of(organization_id)
    keys.destroy_person_key(organization_id, gone)
    assert renewal.is_in_backups(organization_id, gone)
    assert organization_id in renewal.due()
    renewal.settle(organization_id)
    assert not renewal.is_in_backups(organization_id, gone)
    assert organization_id not in renewal.due()
    assert opened(organization_id, others) == opened(organization_id, everybodys) == b"words"
    put_back(organization_id, backup)
    with pytest.raises(KeyRefused):
        opened(organization_id, theirs)
    # The newest copy of the wrapped keys brings back whoever was not destroyed.
    assert copies.restore(copies.kept()) > 0
    assert opened(organization_id, others) == opened(organization_id, everybodys) == b"words"
    with pytest.raises(KeyDestroyed):
        opened(organization_id, theirs)


def test_destroyed_keys_of_an_organization_do_not_open_from_a_backup(organization_id: UUID) -> None:
    sealed, theirs = sealed_for(organization_id, None), sealed_for(organization_id, uuid4())
    backup = backup_of(organization_id)
    keys.destroy_keys(organization_id)
    put_back(organization_id, backup)
    for content in (sealed, theirs):
        with pytest.raises(KeyRefused):
            opened(organization_id, content)


@pytest.mark.parametrize("scheme", ["vault", "aws-kms"])
def test_shredding_holds_where_master_keys_are_kept_elsewhere(
    organization_id: UUID, scheme: str, vault: FakeVault, kms: FakeKms
) -> None:
    gone, stays = uuid4(), uuid4()
    with override_settings(KEY_PROVIDER=scheme):
        theirs, others = sealed_for(organization_id, gone), sealed_for(organization_id, stays)
        backup = backup_of(organization_id)
        keys.destroy_person_key(organization_id, gone)
        renewal.settle(organization_id)
        assert opened(organization_id, others) == b"words"
        put_back(organization_id, backup)
        with pytest.raises(KeyRefused):
            opened(organization_id, theirs)


class Killed(BaseException):
    """The process ends here."""


def places() -> list[tuple[Any, str]]:
    return [
        (keys, "next_people_key"),
        (renewal, "new_root"),
        (people, "seal_key"),
        (renewal, "retire_roots"),
        (copies, "keep"),
        (renewal, "destroy_retired_roots"),
        (wrapping, "provider_of"),
    ]


@pytest.mark.parametrize("where", range(7))
@pytest.mark.parametrize("when", ["before", "after"])
def test_renewing_that_is_killed_anywhere_is_brought_to_its_end(
    organization_id: UUID, where: int, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, stay = uuid4(), [uuid4() for _ in range(3)]
    theirs = sealed_for(organization_id, gone)
    others = [sealed_for(organization_id, person) for person in stay]
    backup = backup_of(organization_id)
    keys.destroy_person_key(organization_id, gone)
    module, name = places()[where]
    honest: Callable[..., Any] = getattr(module, name)

    def killing(*args: Any, **kwargs: Any) -> Any:
        if when == "after":
            honest(*args, **kwargs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, name, killing)
        try:
            renewal.settle(organization_id)
        except Killed:
            keys.cache.forget(organization_id)
    for sealed in others:
        assert opened(organization_id, sealed) == b"words"
    for _ in range(2):
        renewal.settle(organization_id)
    assert organization_id not in renewal.due()
    assert [opened(organization_id, sealed) for sealed in others] == [b"words"] * 3
    with acting_for(organization_id):
        assert OrganizationKey.objects.filter(purpose=keys.PEOPLE, destroyed_at=None).count() == 1
        assert not RetiredRoot.objects.exists()
    put_back(organization_id, backup)
    with pytest.raises(KeyRefused):
        opened(organization_id, theirs)


def test_without_a_copy_of_the_keys_no_master_key_is_destroyed(
    organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, stays = uuid4(), uuid4()
    sealed_for(organization_id, gone)
    others = sealed_for(organization_id, stays)
    backup = backup_of(organization_id)
    keys.destroy_person_key(organization_id, gone)

    def away(organization_id: UUID) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(copies, "keep", away)
        renewal.settle(organization_id)
    assert organization_id in renewal.due()
    assert renewal.is_in_backups(organization_id, gone)
    put_back(organization_id, backup)
    assert opened(organization_id, others) == b"words"


def test_a_persons_key_is_never_sealed_under_a_key_that_is_retired(organization_id: UUID) -> None:
    """Another process still has the key for people in its memory when it is replaced."""
    keys.key_for(organization_id, uuid4())
    stale = keys._newest_or_first(organization_id, keys.PEOPLE)
    keys.next_people_key(organization_id)
    renewal.renew_people(organization_id)
    answers = [stale, keys._newest_or_first(organization_id, keys.PEOPLE)]
    person = uuid4()
    row = people.insert(organization_id, person, lambda: answers.pop(0))
    assert answers == []
    assert people.open_key(row, keys.finder(organization_id)).key_id == row.pk


def test_moving_puts_every_key_under_fresh_master_keys(organization_id: UUID, vault: FakeVault) -> None:
    old, person = sealed_for(organization_id, None), uuid4()
    theirs = sealed_for(organization_id, person)
    keys.rotate_key(organization_id)
    new = sealed_for(organization_id, None)
    backup = backup_of(organization_id)
    with override_settings(KEY_PROVIDER="vault"):
        assert renewal.move(organization_id, None) == 3
        renewal.finish(organization_id)
    assert [opened(organization_id, sealed) for sealed in (old, theirs, new)] == [b"words"] * 3
    assert len(vault.keys) == 2
    put_back(organization_id, backup)
    with pytest.raises(KeyRefused):
        opened(organization_id, old)


def test_keys_that_change_while_they_are_moved_are_not_lost(
    organization_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = sealed_for(organization_id, None)
    honest = renewal._wrapped_anew

    def meanwhile(*args: Any) -> Any:
        found = honest(*args)
        keys.rotate_key(organization_id)
        return found

    monkeypatch.setattr(renewal, "_wrapped_anew", meanwhile)
    with pytest.raises(renewal.KeysChanged):
        renewal.move(organization_id, None)
    assert opened(organization_id, old) == b"words"


def test_a_copy_never_revives_what_was_destroyed_nor_replaces_what_opens(organization_id: UUID) -> None:
    person = uuid4()
    theirs, content = sealed_for(organization_id, person), sealed_for(organization_id, None)
    old = backup_of(organization_id)
    renewal.move(organization_id, None)
    renewal.finish(organization_id)
    keys.destroy_person_key(organization_id, person)
    copies.restore(old)
    assert opened(organization_id, content) == b"words"
    with pytest.raises(KeyDestroyed):
        opened(organization_id, theirs)


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "{}",
        '{"kind": "User"}',
        '{"kind": "PersonKey"}',
        '{"kind": "PersonKey", "id": 1, "x": 2}',
    ],
)
def test_a_copy_that_is_none_is_refused_by_its_line(line: str) -> None:
    with pytest.raises(copies.UnreadableCopy, match="Line 1"):
        copies.restore([line])


def test_no_copy_stays_of_an_organization_that_was_shredded(organization_id: UUID) -> None:
    keys.key_for(organization_id)
    renewal.move(organization_id, None)
    renewal.finish(organization_id)
    assert any(str(organization_id) in line for line in copies.kept())
    keys.destroy_keys(organization_id)
    copies.keep(organization_id)
    assert not any(str(organization_id) in line for line in copies.kept())


def test_a_copy_shows_no_key(organization_id: UUID) -> None:
    key, person = keys.key_for(organization_id), keys.key_for(organization_id, uuid4())
    text = "".join(backup_of(organization_id)).encode()
    assert key.secret not in text
    assert person.secret not in text


def test_a_wrapped_key_put_in_another_organizations_place_does_not_open(organization_id: UUID) -> None:
    keys.key_for(organization_id, uuid4())
    stranger = uuid4()
    keys.key_for(stranger)
    with acting_for(organization_id):
        mine, person = OrganizationKey.objects.first(), PersonKey.objects.first()
    assert mine is not None
    assert person is not None
    with acting_for(stranger):
        OrganizationKey.objects.update(wrapped_key=mine.wrapped_key, provider_key_id=mine.provider_key_id)
        PersonKey(person=person.person, sealed_key=person.sealed_key).save()
    keys.cache.forget()
    for who in (None, person.person):
        with pytest.raises((CiphertextAltered, KeyUnavailable)):
            keys.key_for(stranger, who)


def test_a_master_key_of_many_is_destroyed_when_the_last_has_left_it(organization_id: UUID) -> None:
    """As all had it in key files of the format before."""
    other = uuid4()
    shared = wrapping.new_root(uuid4(), "everybody")
    for each in (organization_id, other):
        key = keys.key_for(each)
        with acting_for(each):
            OrganizationKey.objects.update(
                provider_key_id=shared, wrapped_key=wrapping.wrap(key, shared, each, None)
            )
    for leaving, staying in ((organization_id, other), (other, organization_id)):
        renewal.move(leaving, None)
        renewal.finish(leaving)
        keys.cache.forget()
        assert keys.key_for(leaving).secret
        assert keys.key_for(staying).secret
    assert renewal.due() >= {organization_id}
    renewal.settle(organization_id)
    with pytest.raises(KeyRefused):
        wrapping.provider_of(shared).wrap(shared, b"", {})
