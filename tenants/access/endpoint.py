"""The door of every REST address: it names its permission, and works inside its caller's organization."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from kernel import ids
from kernel.api import door, idempotency
from kernel.api.callers import actor_of
from kernel.audit.log import Actor, acting_as, prepare, record, record_denial
from kernel.errors import NotFound, PermissionDenied, Unauthenticated
from kernel.tenancy.scope import acting_for
from tenants.access.assurance import SecondFactorRequired, require_recent_sign_in
from tenants.access.permissions import Permission
from tenants.access.principal import Principal
from tenants.organizations.models import Project
from tenants.organizations.refusals import OrganizationClosing, OwnKeyRefused

# One's account and the organization's state are read and chosen whatever state that is.
OPEN_WHILE_REFUSED = frozenset({Permission.ACCOUNT_USE, Permission.ORGANIZATION_READ})
# Whoever's own key is refused can see why, and name another way to it.
MENDING_A_KEY = frozenset(
    {Permission.ENCRYPTION_KEY_READ, Permission.ENCRYPTION_KEY_WRITE, Permission.AUDIT_READ}
)


class Endpoint(APIView):
    """A REST address of a tenant.

    `permission` names what the caller must be allowed, for all methods or per method. Handlers run
    inside `acting_for` of the caller's organization, in one transaction; `scoped = False` leaves that
    to a handler that talks to the object store for long.
    """

    permission: ClassVar[Permission | dict[str, Permission]]
    scoped: ClassVar[bool] = True
    # Whether a person in the browser must have proved lately that it is them, to change something here.
    requires_recent_sign_in: ClassVar[bool] = False
    # Whether somebody who still lacks the second factor that the organization requires is answered.
    open_without_factor: ClassVar[bool] = False

    @classmethod
    def permission_for(cls, method: str) -> Permission:
        """The permission that a method needs."""
        return cls.permission[method] if isinstance(cls.permission, dict) else cls.permission

    @property
    def principal(self) -> Principal:
        """The recognised caller."""
        if not isinstance(self.request.auth, Principal):
            raise Unauthenticated
        return self.request.auth

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not isinstance(request.auth, Principal):
            raise Unauthenticated
        method = request.method or ""
        if request.auth.lacks_factor and not self.open_without_factor:
            raise SecondFactorRequired
        self._require_open(method)
        if method.lower() not in self.http_method_names or not hasattr(self, method.lower()):
            return
        # Before anything is written of the request, a denial included.
        door.check(request, self)
        self._check(method)
        # A key proves itself with each call; a session left open does not.
        if self.requires_recent_sign_in and method not in SAFE_METHODS and request.auth.key_id is None:
            require_recent_sign_in(request._request)

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        self.args, self.kwargs = args, kwargs
        request = self.initialize_request(request, *args, **kwargs)
        self.request = request
        self.headers = self.default_response_headers
        try:
            self.initial(request, *args, **kwargs)
            handler = getattr(self, (request.method or "").lower(), self.http_method_not_allowed)
            with self._door():
                response = self._answer(request, lambda: handler(request, *args, **kwargs))
        except Exception as exception:
            response = self.handle_exception(exception)
        self.response = self.finalize_response(request, response, *args, **kwargs)
        return self.response

    def _require_open(self, method: str) -> None:
        """Raise why the organization is out of service, except to what is still answered then."""
        refusal = self.principal.refusal
        if refusal is None or method.lower() not in self.http_method_names:
            return
        permission = self.permission_for(method) if hasattr(self, method.lower()) else None
        if permission in OPEN_WHILE_REFUSED:
            return
        # Whoever closes an organization can still take their data out, and change their mind.
        closing = isinstance(refusal, OrganizationClosing)
        if closing and (method in SAFE_METHODS or permission is Permission.ORGANIZATION_OWN):
            return
        if isinstance(refusal, OwnKeyRefused) and permission in MENDING_A_KEY:
            return
        raise refusal

    def check_permission(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless the caller has it where this address acts: the chosen project."""
        self.principal.must(permission)

    def _check(self, method: str) -> None:
        permission = self.permission_for(method)
        try:
            self.check_permission(permission)
        except PermissionDenied:
            with acting_as(self._actor()), acting_for(self.principal.organization_id):
                record_denial(permission, self.request.path[:60])
            raise

    def scope(self) -> AbstractContextManager[None]:
        """The caller's organization, for handlers with `scoped = False`."""
        return acting_for(self.principal.organization_id)

    @contextmanager
    def _door(self) -> Iterator[None]:
        with acting_as(self._actor()):
            if self.request.method not in SAFE_METHODS:
                prepare(self.principal.organization_id)
            self._record_support()
            if self.scoped:
                with self.scope():
                    yield
            else:
                yield

    def _record_support(self) -> None:
        """What an operator looks at is in the organization's log, whatever becomes of the request."""
        access = self.principal.support_access
        if access is not None:
            with acting_for(self.principal.organization_id):
                record(
                    "support.request",
                    ids.render("support", access),
                    method=self.request.method,
                    path=self.request.path[:200],
                )

    def _answer(self, request: Request, act: Callable[[], Any]) -> Any:
        """What the handler answers, or answered before under the same idempotency key."""
        place = str(self.principal.project)
        call = idempotency.call_of(request, caller=self.principal.actor, place=place)
        if call is None:
            return act()
        # Also where the handler opens its own scopes: what it creates and its answer are kept together.
        with self.scope():
            return idempotency.answer_once(call, request, act)

    def _actor(self) -> Actor:
        return actor_of(self.request._request, self.principal.actor, self.principal.person)


class OrganizationEndpoint(Endpoint):
    """An address that acts on the whole organization: what is allowed in one project does not count."""

    def check_permission(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless the caller has it in the whole organization."""
        self.principal.must_everywhere(permission)


class ProjectEndpoint(Endpoint):
    """An address that acts on the project it names (`project_id`), whichever the caller has chosen."""

    def check_permission(self, permission: Permission) -> None:
        """Raise `PermissionDenied` unless the caller has it in that project."""
        named = ids.parse("proj", self.kwargs["project_id"], param="project_id")
        replace(self.principal, permissions=self.principal.permissions_in(named)).must(permission)

    @property
    def project(self) -> Project:
        """The project that the address names. Raises `NotFound`."""
        found: Project | None = Project.objects.filter(
            pk=ids.parse("proj", self.kwargs["project_id"], param="project_id")
        ).first()
        if found is None:
            raise NotFound(f"There is no project '{self.kwargs['project_id']}'.", param="project_id")
        return found
