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
from kernel.addresses import is_within, network
from kernel.api.callers import address_of
from kernel.errors import DomainError, PermissionDenied, Unauthenticated
from kernel.tenancy.scope import across_tenants, acting_for
from tenants.access import secrets, sessions
from tenants.access.models import ApiKey, User
from tenants.access.powers import Powers, powers_of
from tenants.access.principal import Principal
from tenants.access.proofs import proof_of
from tenants.access.services import uses
from tenants.access.support import principal_of_support

PROJECT_HEADER = "OpenAI-Project"


class AddressNotAllowed(DomainError):
    """The key is bound to networks, and the request comes from none of them."""

    code, status = "ip_not_authorized", 401
    message = "This API key may not be used from your network address."


class ConflictingCredentials(DomainError):
    """A session and an API key that belong to two organizations: nobody can tell which one is meant."""

    code, status = "conflicting_credentials", 400
    message = (
        "The request carries an API key of one organization and a session cookie of another; send only one "
        "of the two."
    )


class PrincipalAuthentication(BaseAuthentication):
    """Sets `request.auth` to a `Principal`; an API key fixes the organization, a session selects one."""

    def authenticate(self, request: Request) -> tuple[Any, Principal] | None:
        header = request.headers.get("Authorization", "")
        if header:
            named, address = request.headers.get(PROJECT_HEADER), address_of(request._request)
            holder = principal_of_key(header, named, address=address)
            require_no_other_organization(request._request, holder)
            return AnonymousUser(), holder
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
    if (looking_in := principal_of_support(user, request.session)) is not None:
        return looking_in
    chosen = str(ids.parse("proj", project)) if project else request.session.get(sessions.PROJECT_KEY)
    principal = sessions.principal_for(
        user, request.session.get(sessions.ORGANIZATION_KEY), chosen, proof_of(request.session)
    )
    if principal and project and str(principal.project) != chosen:
        raise PermissionDenied("You may not work in that project, or there is no such project.")
    return principal


def principal_of_key(header: str, project: str | None, *, address: str = "") -> Principal:
    """The caller that an `Authorization` header stands for, in the named project if the key works there.

    Raises `Unauthenticated`, `AddressNotAllowed`, or why the organization, project or maker is refused.
    """
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secrets.is_well_formed(secret.strip()):
        raise Unauthenticated("Incorrect API key provided. Keys begin with 'lw_'; make one in the console.")
    key = live_key(secrets.keyed_hash(secret.strip(), settings.API_KEY_PEPPER))
    if key is None:
        raise Unauthenticated("Incorrect API key provided: it is unknown, revoked or expired.")
    if key.allowed_networks and not is_within(address, [network(text) for text in key.allowed_networks]):
        raise AddressNotAllowed
    with acting_for(key.organization_id):
        powers = powers_of([key])[key.pk]
    if powers.refusal is not None:
        raise powers.refusal
    chosen = _project_of(key, powers, project)
    uses.note_use(key)
    return Principal(
        organization_id=key.organization_id,
        project=chosen,
        permissions=powers.everywhere if chosen is None else powers.in_projects[chosen],
        everywhere=powers.everywhere,
        key_id=UUID(str(key.pk)),
        made_by=None if key.service_account_id else key.created_by_id,
        allowed_models=frozenset(key.allowed_models),
    )


def require_no_other_organization(request: HttpRequest, principal: Principal) -> None:
    """Raise `ConflictingCredentials` where a key comes with the cookie of another organization's session."""
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return
    signed_in = principal_of_session(request)
    if signed_in is not None and signed_in.organization_id != principal.organization_id:
        raise ConflictingCredentials


def live_key(secret_hash: str) -> ApiKey | None:
    """The key that a secret with this hash opens now, by its present secret or one being rotated out."""
    present = Q(secret_hash=secret_hash)
    rotated_out = Q(previous_hash=secret_hash, previous_until__gt=Now())
    with across_tenants():
        key: ApiKey | None = (
            ApiKey.objects.filter(present | rotated_out, revoked_at=None)
            .filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
            .first()
        )
    return key


def _project_of(key: ApiKey, powers: Powers, named: str | None) -> UUID | None:
    """The project in which the key acts. Raises `Unauthenticated` for another, or why it is refused."""
    chosen = key.project_id
    if named:
        chosen = next((pk for pk in powers.in_projects if ids.render("proj", pk) == named), None)
        if chosen is None:
            raise Unauthenticated(
                f"The header {PROJECT_HEADER} names a project in which the API key does not work.",
                code="mismatched_project",
            )
    if chosen is not None and chosen in powers.refusals:
        raise powers.refusals[chosen]
    return chosen


class PrincipalScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the generated API description names the two ways in."""

    target_class = PrincipalAuthentication
    name = ["apiKey", "session"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
        ]
