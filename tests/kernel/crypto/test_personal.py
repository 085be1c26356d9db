"""What belongs to a person is sealed under the platform's own key."""

import base64
from typing import Any

import pytest

from kernel.crypto import keys, personal
from kernel.crypto.errors import CiphertextAltered
from kernel.crypto.personal import open_personal, reseal_personal, seal_personal
from kernel.crypto.values import key_id_of


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


def test_everything_personal_is_sealed_anew_and_the_older_key_opens_what_is_left(
    stores: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"one": seal_personal("first", purpose="factor"), "two": seal_personal("second", purpose="factor")}

    def reseal() -> int:
        anew = {name: reseal_personal(text, purpose="factor") for name, text in kept.items()}
        kept.update({name: text for name, text in anew.items() if text is not None})
        return len([text for text in anew.values() if text is not None])

    monkeypatch.setattr(personal, "_resealers", [])
    personal.holds_personal(reseal)
    before = dict(kept)
    keys.rotate_key(keys.PLATFORM)
    assert personal.reseal_all() == 2
    assert personal.reseal_all() == 0
    for texts in (before, kept):
        assert [open_personal(text, purpose="factor") for text in texts.values()] == ["first", "second"]
    assert {key_id_of(base64.b64decode(text)) for text in kept.values()} == {
        keys.key_for(keys.PLATFORM).key_id
    }
