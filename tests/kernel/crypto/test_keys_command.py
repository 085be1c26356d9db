"""`manage.py keys`: what an operator does with wrapped keys."""

from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from kernel.crypto import keys, renewal
from kernel.crypto.errors import KeyDestroyed

pytestmark = pytest.mark.usefixtures("stores")


def test_an_export_is_private_and_is_never_written_over(tmp_path: Path) -> None:
    key, file = keys.key_for(uuid4()), tmp_path / "keys.jsonl"
    call_command("keys", "export", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert str(key.key_id) in file.read_text()
    assert key.secret not in file.read_bytes()
    with pytest.raises(CommandError):
        call_command("keys", "export", str(file))
    call_command("keys", "import", str(file))


def test_a_file_that_is_no_export_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_text("nothing of the kind")
    with pytest.raises(CommandError, match="Line 1"):
        call_command("keys", "import", str(file))
    with pytest.raises(CommandError, match="No such file"):
        call_command("keys", "import", str(tmp_path / "absent"))


def test_moving_gives_fresh_master_keys_and_leaves_tombstones_alone() -> None:
    living, destroyed = uuid4(), uuid4()
    key = keys.key_for(living)
    keys.key_for(destroyed)
    keys.destroy_keys(destroyed)
    before = keys.newest(living, keys.CONTENT)
    call_command("keys", "move", str(living))
    call_command("keys", "move", str(destroyed))
    after = keys.newest(living, keys.CONTENT)
    assert before is not None
    assert after is not None
    assert before.provider_key_id != after.provider_key_id
    assert keys.unwrap_row(after) == key
    with pytest.raises(KeyDestroyed):
        keys.key_for(destroyed)


def test_settling_says_when_nothing_is_left() -> None:
    organization_id, person = uuid4(), uuid4()
    keys.key_for(organization_id, person)
    keys.destroy_person_key(organization_id, person)
    with pytest.raises(SystemExit) as end:
        call_command("keys", "settle")
    assert end.value.code == 0
    assert not renewal.is_in_backups(organization_id, person)


def test_the_platforms_own_key_is_rotated() -> None:
    before = keys.key_for(keys.PLATFORM)
    call_command("keys", "rotate-platform")
    assert keys.key_for(keys.PLATFORM) != before
