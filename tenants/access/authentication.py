"""Recognise the caller of a REST request: an API key, or a session cookie with its CSRF token."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from kernel import ids
from kernel.errors import PermissionDenied, Unauthenticated
from kernel.tenancy.scope import across_tenants
from tenants.access import secrets, sessions
from tenants.access.models import ApiKey, User
from tenants.access.principal import Principal, granted
from tenants.access.proofs import proof_of

PROJECT_HEADER = "OpenAI-Project"


class PrincipalAuthentication(BaseAuthentication):
    """Sets `request.auth` to a `Principal`; an API key fixes the organization, a session selects one."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        header = request.headers.get("Authorization", "")
        if header:
            return AnonymousUser(), principal_of_key(header, request.headers.get(PROJECT_HEADER))
        principal = self._principal_of_session(request)
        return (request._request.user, principal) if principal else None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def _principal_of_session(self, request: Request) -> Principal | None:
        user = request._request.user
        if not isinstance(user, User):
            return None
        SessionAuthentication().enforce_csrf(request)
        return principal_of_session(request._request, request.headers.get(PROJECT_HEADER))


def principal_of_session(request: HttpRequest, project: str | None = None) -> Principal | None:
    """The caller that the session cookie stands for, in the named project (`proj_…`) if one is named."""
    user = request.user
    if not isinstance(user, User):
        return None
    chosen = str(ids.parse("proj", project)) if project else request.session.get(sessions.PROJECT_KEY)
    principal = sessions.principal_for(
        user, request.session.get(sessions.ORGANIZATION_KEY), chosen, proof_of(request.session)
    )
    if principal and project and str(principal.project) != chosen:
        raise PermissionDenied("You may not work in that project, or there is no such project.")
    return principal


def principal_of_key(header: str, project: str | None) -> Principal:
    """The caller that an `Authorization` header stands for. Raises `Unauthenticated`."""
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secrets.is_well_formed(secret.strip()):
        raise Unauthenticated("Incorrect API key provided. Keys begin with 'lw_'; make one in the console.")
    key = _live_key(secrets.keyed_hash(secret.strip(), settings.API_KEY_PEPPER))
    if key is None:
        raise Unauthenticated("Incorrect API key provided: it is unknown, revoked or expired.")
    if project and (key.project_id is None or project != ids.render("proj", key.project_id)):
        raise Unauthenticated(
            f"The header {PROJECT_HEADER} names another project than the API key's.",
            code="mismatched_project",
        )
    permissions = granted(key.permissions)
    return Principal(
        organization_id=key.organization_id,
        project=key.project_id,
        permissions=permissions,
        everywhere=permissions if key.project_id is None else frozenset(),
        key_id=UUID(str(key.pk)),
    )


def _live_key(secret_hash: str) -> ApiKey | None:
    with across_tenants():
        key: ApiKey | None = (
            ApiKey.objects.filter(secret_hash=secret_hash, revoked_at=None)
            .filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
            .first()
        )
    return key


class PrincipalScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the generated API description names the two ways in."""

    target_class = PrincipalAuthentication
    name = ["apiKey", "session"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
        ]
