"""A person's account, which belongs to them and to no organization: for their own copy alone."""

from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession

from tenants.access.models import User


def account_of(person: UUID) -> dict[str, Any]:
    """What the platform holds of an account; of second factors only that there are some."""
    user = User.objects.get(pk=person)
    return {
        "id": user.public_id,
        "email": user.email,
        "name": user.name,
        "created_at": user.created_at,
        "last_sign_in": user.last_login,
        "addresses": list(EmailAddress.objects.filter(user=user).values("email", "verified", "primary")),
        "second_factors": list(
            Authenticator.objects.filter(user=user).values("type", "created_at", "last_used_at")
        ),
        "sessions": list(
            UserSession.objects.filter(user=user).values("ip", "user_agent", "created_at", "last_seen_at")
        ),
    }
