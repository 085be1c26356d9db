"""Names of objects: nobody reaches outside the organization's own prefix."""

from uuid import UUID

import pytest

from kernel.errors import NotFound
from kernel.storage.errors import ForeignObjectKey
from kernel.storage.names import object_key, require_own

OWNER, STRANGER, OBJECT = UUID(int=1), UUID(int=2), UUID(int=3)


def test_a_key_names_organization_room_and_object() -> None:
    key = object_key(OWNER, "files", OBJECT, "rows-00001.parquet")
    assert key == f"organizations/{OWNER}/files/{OBJECT}/rows-00001.parquet"
    require_own(OWNER, key)


@pytest.mark.parametrize(
    "key",
    [
        f"organizations/{STRANGER}/files/{OBJECT}",
        f"organizations/{OWNER}/../{STRANGER}/files/{OBJECT}",
        f"organizations/{OWNER}/files/../../{STRANGER}/files/{OBJECT}",
        f"organizations/{OWNER}/files/./{OBJECT}",
        f"organizations/{OWNER}/files//{OBJECT}",
        f"organizations/{OWNER}/files/{OBJECT}/",
        f"organizations/{OWNER}/files/{OBJECT}\n",
        f"organizations/{OWNER}/files/a%2e%2e",
        f"organizations/{OWNER}/files/ä",
        f"organizations/{OWNER}/files/" + "a" * 200,
        f"organizations/{OWNER}/" + "a/" * 600 + "a",
        f"organizations/{OWNER}/files",
        f"organizations/{OWNER}x/files/{OBJECT}",
        f"organizations/{OWNER}",
        f"/organizations/{OWNER}/files/{OBJECT}",
        f"x/organizations/{OWNER}/files/{OBJECT}",
        "",
    ],
)
def test_a_key_elsewhere_is_not_found(key: str) -> None:
    with pytest.raises(ForeignObjectKey) as refusal:
        require_own(OWNER, key)
    assert isinstance(refusal.value, NotFound)


@pytest.mark.parametrize("part", ["..", ".", "", "a/../b", "a b", "a\0"])
def test_a_part_that_would_leave_its_place_makes_no_key(part: str) -> None:
    with pytest.raises(ForeignObjectKey):
        object_key(OWNER, "files", OBJECT, part)
