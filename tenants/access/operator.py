"""The door of whoever runs the platform."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.views import APIView

from kernel.api import door
from kernel.api.callers import actor_of
from kernel.audit.log import acting_as
from kernel.errors import PermissionDenied, Unauthenticated
from tenants.access.endpoint import Endpoint
from tenants.access.models import User
from tenants.access.permissions import Permission


class OperatorEndpoint(Endpoint):
    """An address for whoever runs the platform, signed in in a browser. It acts in no organization."""

    permission = Permission.PLATFORM_OPERATE
    open_without_factor = True
    # Who asks is told by the session alone: an operator need not belong to any organization.
    authentication_classes = (SessionAuthentication,)
    permission_classes = ()

    @property
    def operator(self) -> User:
        """Who asks. Raises `Unauthenticated` for nobody, `PermissionDenied` for anybody else."""
        user = self.request._request.user
        if self.request.headers.get("Authorization") or not isinstance(user, User):
            raise Unauthenticated("Sign in as an operator; API keys open nothing here.")
        if not user.is_operator:
            raise PermissionDenied("This needs the permission 'platform.operate', which you do not have.")
        return user

    @property
    def actor(self) -> str:
        """The operator's name in the platform's own trail."""
        return self.operator.public_id

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        APIView.initial(self, request, *args, **kwargs)
        _ = self.operator
        door.check(request, self)

    def scope(self) -> AbstractContextManager[None]:
        """No organization."""
        return nullcontext()

    @contextmanager
    def _door(self) -> Iterator[None]:
        with acting_as(actor_of(self.request._request, self.operator.public_id, self.operator.pk)):
            yield

    def _answer(self, request: Request, act: Callable[[], Any]) -> Any:
        return act()
