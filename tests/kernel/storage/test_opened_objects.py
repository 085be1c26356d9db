"""Objects opened as files, as parsers read them: a little here and there, line by line, or whole."""

import io
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from kernel.storage import client, objects
from kernel.storage.names import object_key

pytestmark = pytest.mark.usefixtures("stores")

MEBIBYTE = 1 << 20


@pytest.fixture
def organization_id() -> Iterator[UUID]:
    organization_id = uuid4()
    yield organization_id
    objects.delete_everything(organization_id)


def stored(organization_id: UUID, content: bytes) -> str:
    key = object_key(organization_id, "files", uuid4())
    objects.put(organization_id, key, io.BytesIO(content))
    return key


def test_an_object_opens_as_a_file_that_parsers_can_seek_in(organization_id: UUID) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(300_000))
    key = stored(organization_id, lines)
    with objects.open_object(organization_id, key) as file:
        assert file.readline() == b"line 0\n"
        assert file.seek(-7, io.SEEK_END) == len(lines) - 7
        assert file.read() == lines[-7:]
        assert file.seek(1_500_000) == 1_500_000
        assert file.read(100) == lines[1_500_000:1_500_100]
        file.seek(0)
        assert sum(1 for _ in file) == 300_000


@pytest.mark.parametrize("whole", [False, True])
def test_reading_a_file_line_by_line_or_whole_fetches_each_segment_once(
    organization_id: UUID, whole: bool
) -> None:
    content = b"".join(b"line %d\n" % number for number in range(300_000))
    key = stored(organization_id, content)
    requests: list[str] = []
    events = client.bucket().client.meta.events

    def note(request: Any, **_: Any) -> None:
        requests.append(request.url)

    with objects.open_object(organization_id, key) as file:
        events.register("before-send.s3.GetObject", note)
        try:
            assert (file.read() if whole else b"".join(file)) == content
        finally:
            events.unregister("before-send.s3.GetObject", note)
    segments = -(-len(content) // MEBIBYTE)
    # At the end a reader looks once more whether anything follows.
    assert len(requests) <= (1 if whole else segments + 1)
