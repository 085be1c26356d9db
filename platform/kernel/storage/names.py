"""Names of objects: `organizations/<organization>/<room>/<id>[/part…]`."""

import re
from uuid import UUID

from kernel.storage.errors import ForeignObjectKey

PART = re.compile(r"(?!\.+$)[A-Za-z0-9._=-]{1,128}")
MAX_KEY_BYTES = 1024


def prefix_of(organization_id: UUID) -> str:
    """What the keys of all of the organization's objects begin with."""
    return f"organizations/{organization_id}/"


def object_key(organization_id: UUID, room: str, object_id: UUID, *parts: str) -> str:
    """The key of an object. Keys are written once: new content takes a new id.

    A part may be a path itself. Raises `ForeignObjectKey` for other characters than letters, digits and
    `._=-`, and for `.` and `..`.
    """
    key = prefix_of(organization_id) + "/".join((room, str(object_id), *parts))
    require_own(organization_id, key)
    return key


def require_own(organization_id: UUID, key: str) -> None:
    """Raises `ForeignObjectKey` unless `key` is well formed and under the organization's prefix."""
    prefix = prefix_of(organization_id)
    parts = key.removeprefix(prefix).split("/")
    if not key.startswith(prefix) or len(key) > MAX_KEY_BYTES or len(parts) < 2:
        raise ForeignObjectKey
    if not all(PART.fullmatch(part) for part in parts):
        raise ForeignObjectKey
