"""Encrypted streams: whatever is altered, moved or cut is noticed before a wrong byte comes out."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.crypto.errors import CiphertextAltered, KeyUnavailable
from kernel.crypto.streams import (
    HEADER_BYTES,
    MAX_SEGMENT_BYTES,
    Readable,
    StreamReader,
    Unlock,
    decrypt,
    encrypt,
    exchange_head,
    open_range,
    sealed_by,
)
from kernel.crypto.values import TAG_BYTES, KeyEncryptionKey, bind, open_value, seal_value

KEK = KeyEncryptionKey(uuid4(), b"k" * 32)
CONTEXT = bind("object", UUID(int=1), "organizations/a/files/1")
CONTENT = bytes(range(256)) * 4
SEGMENT = 100


def find_key(key_id: UUID) -> KeyEncryptionKey:
    if key_id != KEK.key_id:
        raise CiphertextAltered
    return KEK


UNLOCK = Unlock(find_key, CONTEXT)


@dataclass
class Ciphertext:
    """Ciphertext in memory that counts what is read of it."""

    content: bytes
    bytes_asked: int = 0

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    def open_at(self, start: int, length: int) -> Readable:
        self.bytes_asked += length
        return io.BytesIO(self.content[start : start + length])


class Dripping:
    """A stream that gives fewer bytes than it is asked for."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def read(self, size: int, /) -> bytes:
        return self._rest.read(min(size, 7))


def sealed(content: bytes = CONTENT, segment_bytes: int = SEGMENT, context: bytes = CONTEXT) -> bytes:
    return b"".join(encrypt(io.BytesIO(content), KEK, context, segment_bytes=segment_bytes))


def opened(ciphertext: bytes, unlock: Unlock = UNLOCK) -> bytes:
    return b"".join(decrypt(io.BytesIO(ciphertext), unlock))


def everything_from(ciphertext: bytes) -> bytes:
    """All bytes by random access, the end verified."""
    return b"".join(open_range(Ciphertext(ciphertext), 0, 1 << 40, UNLOCK))


def right_prefix_until_refused(ciphertext: bytes) -> bytes:
    """What comes out before the refusal."""
    came_out: list[bytes] = []
    with pytest.raises(CiphertextAltered):
        came_out.extend(decrypt(io.BytesIO(ciphertext), UNLOCK))
    return b"".join(came_out)


@given(content=st.binary(max_size=600), segment_bytes=st.integers(1, 130))
def test_what_is_encrypted_comes_back(content: bytes, segment_bytes: int) -> None:
    ciphertext = sealed(content, segment_bytes)
    assert opened(ciphertext) == content
    assert everything_from(ciphertext) == content


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 200, 300, 1024])
def test_sizes_around_a_segment_come_back_from_a_stream_that_drips(size: int) -> None:
    content = CONTENT[:size]
    ciphertext = b"".join(encrypt(Dripping(content), KEK, CONTEXT, segment_bytes=SEGMENT))
    segments = max(1, -(-size // SEGMENT))
    assert len(ciphertext) == HEADER_BYTES + size + segments * TAG_BYTES
    assert b"".join(decrypt(Dripping(ciphertext), UNLOCK)) == content


@given(bit=st.integers(0, len(sealed()) * 8 - 1))
def test_any_flipped_bit_is_noticed_before_a_wrong_byte(bit: int) -> None:
    altered = bytearray(sealed())
    altered[bit // 8] ^= 1 << bit % 8
    assert CONTENT.startswith(right_prefix_until_refused(bytes(altered)))
    with pytest.raises(CiphertextAltered):
        everything_from(bytes(altered))


def test_every_single_byte_matters() -> None:
    ciphertext = sealed(CONTENT[:250])
    for place in range(len(ciphertext)):
        altered = ciphertext[:place] + bytes([ciphertext[place] ^ 0x80]) + ciphertext[place + 1 :]
        right_prefix_until_refused(altered)


@given(kept=st.integers(0, len(sealed()) - 1))
def test_any_truncation_is_noticed(kept: int) -> None:
    cut = sealed()[:kept]
    assert CONTENT.startswith(right_prefix_until_refused(cut))
    with pytest.raises(CiphertextAltered):
        everything_from(cut)


@given(tail=st.binary(min_size=1, max_size=300))
def test_any_extension_is_noticed(tail: bytes) -> None:
    assert CONTENT.startswith(right_prefix_until_refused(sealed() + tail))
    with pytest.raises(CiphertextAltered):
        everything_from(sealed() + tail)


def _segments_of(ciphertext: bytes) -> list[bytes]:
    body = ciphertext[HEADER_BYTES:]
    size = SEGMENT + TAG_BYTES
    return [body[start : start + size] for start in range(0, len(body), size)]


@given(first=st.integers(0, 9), second=st.integers(0, 9))
def test_swapped_segments_are_noticed(first: int, second: int) -> None:
    ciphertext = sealed(CONTENT[:1000])
    parts = _segments_of(ciphertext)
    parts[first], parts[second] = parts[second], parts[first]
    swapped = ciphertext[:HEADER_BYTES] + b"".join(parts)
    if first == second:
        assert opened(swapped) == CONTENT[:1000]
    else:
        assert right_prefix_until_refused(swapped) == CONTENT[: min(first, second) * SEGMENT]


@pytest.mark.parametrize(
    "mangle",
    [
        lambda parts: parts[1:],
        lambda parts: parts[:-1],
        lambda parts: parts[:3] + parts[4:],
        lambda parts: parts[:4] + parts[3:],
        lambda parts: [*parts, parts[-1]],
        lambda parts: parts[-1:],
        lambda parts: [],
    ],
)
def test_lost_and_doubled_segments_are_noticed(mangle: Callable[[list[bytes]], list[bytes]]) -> None:
    ciphertext = sealed(CONTENT[:1000])
    right_prefix_until_refused(ciphertext[:HEADER_BYTES] + b"".join(mangle(_segments_of(ciphertext))))


def test_a_segment_of_another_stream_is_noticed() -> None:
    mine, other = sealed(CONTENT[:1000]), sealed(CONTENT[:1000])
    mixed = [*_segments_of(mine)[:5], *_segments_of(other)[5:]]
    assert right_prefix_until_refused(mine[:HEADER_BYTES] + b"".join(mixed)) == CONTENT[:500]
    right_prefix_until_refused(other[:HEADER_BYTES] + mine[HEADER_BYTES:])


@given(place=st.binary(max_size=50))
def test_ciphertext_opens_only_where_it_was_put(place: bytes) -> None:
    if place != CONTEXT:
        with pytest.raises(CiphertextAltered):
            opened(sealed(), Unlock(find_key, place))


def test_contexts_of_different_places_differ() -> None:
    organization = UUID(int=1)
    places = {
        bind("object", organization, "ab", "c"),
        bind("object", organization, "a", "bc"),
        bind("object", organization, "abc"),
        bind("objecta", organization, "bc"),
        bind("object", UUID(int=2), "abc"),
    }
    assert len(places) == 5


def test_another_key_does_not_open() -> None:
    with pytest.raises(CiphertextAltered):
        opened(sealed(), Unlock(lambda key_id: KeyEncryptionKey(key_id, b"x" * 32), CONTEXT))


@given(start=st.integers(0, 1100), length=st.integers(0, 1100), size=st.integers(0, 1024))
def test_a_range_is_the_same_slice_of_the_plaintext(start: int, length: int, size: int) -> None:
    content = CONTENT[:size]
    pieces = list(open_range(Ciphertext(sealed(content)), start, length, UNLOCK))
    assert b"".join(pieces) == content[start : start + length]
    assert all(pieces)


def test_a_range_reads_only_its_own_segments() -> None:
    ciphertext = Ciphertext(sealed(CONTENT * 100, segment_bytes=1000))
    reader = StreamReader(ciphertext, UNLOCK)
    ciphertext.bytes_asked = 0
    assert b"".join(reader.read_range(50_500, 1000)) == (CONTENT * 100)[50_500:51_500]
    assert ciphertext.bytes_asked == 2 * (1000 + TAG_BYTES)


def test_damage_elsewhere_does_not_spoil_a_range_and_damage_within_does() -> None:
    altered = bytearray(sealed())
    altered[HEADER_BYTES + 5 * (SEGMENT + TAG_BYTES)] ^= 1
    ciphertext = Ciphertext(bytes(altered))
    assert b"".join(open_range(ciphertext, 0, 500, UNLOCK)) == CONTENT[:500]
    with pytest.raises(CiphertextAltered):
        b"".join(open_range(ciphertext, 450, 100, UNLOCK))


def test_a_range_past_a_forged_end_is_refused_rather_than_empty() -> None:
    cut = Ciphertext(sealed()[: HEADER_BYTES + 3 * (SEGMENT + TAG_BYTES)])
    for start in (250, 300, 10_000):
        with pytest.raises(CiphertextAltered):
            b"".join(open_range(cut, start, 100, UNLOCK))


def test_a_negative_range_is_refused() -> None:
    reader = StreamReader(Ciphertext(sealed()), UNLOCK)
    for start, length in ((-1, 5), (0, -5)):
        with pytest.raises(ValueError, match="starts at 0 or later"):
            reader.read_range(start, length)


def test_a_header_that_claims_a_gigantic_segment_is_refused_without_reading_it() -> None:
    ciphertext = bytearray(sealed())
    ciphertext[6:10] = (0xFFFFFFFF).to_bytes(4, "big")
    right_prefix_until_refused(bytes(ciphertext))
    with pytest.raises(ValueError, match="A segment has 1 to"):
        next(encrypt(io.BytesIO(), KEK, CONTEXT, segment_bytes=MAX_SEGMENT_BYTES + 1))


def test_the_same_content_never_gives_the_same_ciphertext() -> None:
    assert sealed()[HEADER_BYTES:] != sealed()[HEADER_BYTES:]


def test_plaintext_and_keys_do_not_show() -> None:
    assert CONTENT[:16] not in sealed()
    assert KEK.secret not in sealed()
    assert repr(KEK.secret) not in repr(KEK)


@given(content=st.binary(max_size=600), segment_bytes=st.integers(1, 130))
def test_a_stream_goes_under_another_key_by_exchanging_its_head_alone(
    content: bytes, segment_bytes: int
) -> None:
    """The segments of the two heads are the same bytes: re-encryption need not touch them."""
    ciphertext = sealed(content, segment_bytes)
    new = KeyEncryptionKey(uuid4(), b"n" * 32)
    head = exchange_head(io.BytesIO(ciphertext), UNLOCK, new)
    assert (sealed_by(io.BytesIO(ciphertext)), sealed_by(io.BytesIO(head))) == (KEK.key_id, new.key_id)
    assert len(head) == HEADER_BYTES
    moved = head + ciphertext[HEADER_BYTES:]
    assert opened(moved, Unlock(lambda _: new, CONTEXT)) == content
    # Who had read the old head goes on with the segments that follow the new one.
    reader = StreamReader(Ciphertext(ciphertext), UNLOCK)
    reader._reader = Ciphertext(moved)
    assert b"".join(reader.read_range(0, len(content) + 1)) == content


@given(bit=st.integers(0, HEADER_BYTES * 8 - 1))
def test_no_head_is_exchanged_that_was_altered(bit: int) -> None:
    altered = bytearray(sealed())
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CiphertextAltered):
        exchange_head(io.BytesIO(bytes(altered)), UNLOCK, KEK)


def test_a_long_read_ends_with_the_key_that_is_taken_away_meanwhile() -> None:
    revoked: list[bool] = []

    def find(key_id: UUID) -> KeyEncryptionKey:
        if revoked:
            raise KeyUnavailable
        return KEK

    reading = open_range(Ciphertext(sealed()), 0, len(CONTENT), Unlock(find, CONTEXT))
    assert next(reading) == CONTENT[:SEGMENT]
    revoked.append(True)
    with pytest.raises(KeyUnavailable):
        next(reading)


def test_a_head_sealed_anew_for_another_place_does_not_move_the_segments() -> None:
    """Even who holds the keys cannot move content by mistake: segments know their place too."""
    ciphertext, elsewhere = sealed(), b"elsewhere"
    fixed, sealed_key = ciphertext[:17], ciphertext[19:HEADER_BYTES]
    data_key = open_value(find_key, sealed_key, fixed + CONTEXT)
    head = fixed + ciphertext[17:19] + seal_value(KEK, data_key, fixed + elsewhere)
    with pytest.raises(CiphertextAltered):
        opened(head + ciphertext[HEADER_BYTES:], Unlock(find_key, elsewhere))
