"""Sealed values: small ciphertexts that open only with their key and in their place."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.values import OVERHEAD_BYTES, KeyEncryptionKey, key_id_of, open_value, seal_value

KEK = KeyEncryptionKey(uuid4(), b"k" * 32)


def find_key(key_id: UUID) -> KeyEncryptionKey:
    if key_id != KEK.key_id:
        raise CiphertextAltered
    return KEK


@given(plaintext=st.binary(max_size=300), context=st.binary(max_size=60))
def test_a_sealed_value_opens_in_its_place(plaintext: bytes, context: bytes) -> None:
    sealed = seal_value(KEK, plaintext, context)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert key_id_of(sealed) == KEK.key_id
    assert open_value(find_key, sealed, context) == plaintext


@given(context=st.binary(max_size=30))
def test_it_does_not_open_in_another_place(context: bytes) -> None:
    with pytest.raises(CiphertextAltered):
        open_value(find_key, seal_value(KEK, b"secret", b"here" + context), context)


def test_no_bit_can_be_flipped_and_nothing_cut_or_added() -> None:
    sealed = seal_value(KEK, b"secret", b"here")
    altered = [sealed[:length] for length in range(len(sealed))] + [sealed + b"\0"]
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        altered.append(bytes(flipped))
    for candidate in altered:
        with pytest.raises(CiphertextAltered):
            open_value(find_key, candidate, b"here")


def test_the_same_value_is_sealed_differently_each_time() -> None:
    assert len({seal_value(KEK, b"secret", b"here") for _ in range(100)}) == 100
