"""Password sign-in by e-mail address."""

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest

from tenants.access.models import User


class EmailBackend(BaseBackend):
    """Recognises a person by address and password, taking as long for a stranger as for a member."""

    def authenticate(
        self,
        request: HttpRequest | None,
        email: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        if not email or password is None:
            return None
        user = User.objects.filter(email=email.strip().lower()).first()
        if user is None:
            make_password(password)
            return None
        # The password first: whether somebody was deactivated is nobody's to time.
        return user if user.check_password(password) and user.is_active else None

    def get_user(self, user_id: Any) -> User | None:
        return User.objects.filter(pk=user_id, is_active=True).first()
