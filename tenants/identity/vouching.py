"""Whose address needs no letter to be verified.

Who signed up alone has a row that waits to be verified. Who has none was brought in by the operator, or by
an organization's directory or identity provider, and those have vouched for the address. Allauth makes a
row, unverified, wherever it misses one: so ours is made before.
"""

from allauth.account.models import EmailAddress

from tenants.access.models import User


def vouch_for_address(user: User) -> None:
    """Take the word of whoever brought the person in, where nothing is known of the address yet."""
    if not EmailAddress.objects.filter(user_id=user.pk).exists():
        # Somebody new may come by several tabs at once.
        EmailAddress.objects.get_or_create(
            user=user, email=user.email, defaults={"primary": True, "verified": True}
        )
