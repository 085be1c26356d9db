"""The tokens in the letters that set a new password. Allauth imports this module; nobody else needs to."""

from typing import Any

from allauth.account.forms import EmailAwarePasswordResetTokenGenerator

from tenants.identity.vouching import vouch_for_address


class ResetTokens(EmailAwarePasswordResetTokenGenerator):
    """Allauth's tokens, of a person whose address is known to be vouched for or not."""

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        vouch_for_address(user)
        value: str = super()._make_hash_value(user, timestamp)
        return value
