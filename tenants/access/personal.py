"""The door for what a person does on their own account: also one who is in no organization yet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from kernel.api import door
from kernel.api.callers import actor_of
from kernel.audit.log import Actor, acting_as
from kernel.errors import Unauthenticated
from tenants.access.endpoint import Endpoint
from tenants.access.models import User
from tenants.access.permissions import Permission


class PersonAuthentication(BaseAuthentication):
    """A session cookie with its CSRF token. API keys stand for no person."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        user = request._request.user
        if "Authorization" in request.headers or not isinstance(user, User):
            return None
        SessionAuthentication().enforce_csrf(request)
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class PersonScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the generated API description names the one way in."""

    target_class = PersonAuthentication
    name = "personSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class PersonEndpoint(Endpoint):
    """A REST address of a person, in no organization: its handler opens the scopes that it needs."""

    permission = Permission.ACCOUNT_USE
    scoped: ClassVar[bool] = False
    authentication_classes = [PersonAuthentication]

    @property
    def person(self) -> User:
        """Who is signed in. Raises `Unauthenticated`."""
        if not isinstance(self.request.user, User):
            raise Unauthenticated("Sign in first.")
        return self.request.user

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # The gate of DRF without the one of organizations: whoever is signed in has an account.
        APIView.initial(self, request, *args, **kwargs)
        if not isinstance(request.user, User):
            raise Unauthenticated("Sign in first.")
        door.check(request, self)

    @contextmanager
    def _door(self) -> Iterator[None]:
        with acting_as(self._actor()):
            yield

    def _answer(self, request: Request, act: Callable[[], Any]) -> Any:
        return act()

    def _actor(self) -> Actor:
        return actor_of(self.request._request, self.person.public_id, self.person.pk)
