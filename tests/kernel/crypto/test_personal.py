"""What belongs to a person is sealed under the platform's own key."""

import base64
from typing import Any

import pytest

from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.personal import open_personal, seal_personal


def test_what_is_sealed_opens_again_and_shows_nothing(stores: Any) -> None:
    sealed = seal_personal("JBSWY3DPEHPK3PXP", purpose="factor")
    assert "JBSWY3DPEHPK3PXP" not in sealed
    assert b"JBSWY3DPEHPK3PXP" not in base64.b64decode(sealed)
    assert open_personal(sealed, purpose="factor") == "JBSWY3DPEHPK3PXP"


def test_it_opens_for_its_purpose_only(stores: Any) -> None:
    sealed = seal_personal("secret", purpose="factor")
    with pytest.raises(CiphertextAltered):
        open_personal(sealed, purpose="something else")


@pytest.mark.parametrize("text", ["", "plain text", "JBSWY3DPEHPK3PXP", "AAAA"])
def test_what_was_never_sealed_does_not_open(stores: Any, text: str) -> None:
    with pytest.raises(CiphertextAltered):
        open_personal(text, purpose="factor")
