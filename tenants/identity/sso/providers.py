"""The organization's identity providers: set up, changed, tested, removed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models.functions import Now

from kernel import ids
from kernel.audit.log import record
from kernel.egress import destinations
from kernel.errors import Conflict, InvalidRequest, NotFound
from kernel.events.outbox import Happening, emit
from kernel.tenancy.scope import current_organization_id
from tenants.access.delegation import require_may_hand_out
from tenants.access.models import Group, RoleAssignment
from tenants.access.permissions import MATRIX, Role
from tenants.access.principal import Principal
from tenants.access.services import roles
from tenants.identity.models import IdentityProvider, ProviderKind
from tenants.identity.sso import metadata
from tenants.identity.sso.errors import SsoStandsOnThis
from tenants.organizations.models import Organization

MAX_PROVIDERS = 20
ATTRIBUTES = ("email", "name", "groups")
NEEDED = {
    ProviderKind.OIDC: ("issuer", "client_id"),
    ProviderKind.SAML: ("issuer", "sign_in_url", "certificates"),
}
# What may be seen of a row in the audit log: everything but the secret.
SHOWN = (
    "name",
    "is_active",
    "issuer",
    "client_id",
    "metadata_url",
    "sign_in_url",
    "allow_idp_initiated",
    "just_in_time",
    "default_role",
    "attributes",
    "group_map",
    "required_claims",
)


class ProviderNameTaken(Conflict):
    """Two providers of an organization would have one name."""

    code = "provider_name_taken"


class TooManyProviders(Conflict):
    """More than an organization may set up."""

    code = "too_many_providers"
    message = f"An organization may have {MAX_PROVIDERS} identity providers: remove one that is not needed."


@dataclass(frozen=True)
class Wishes:
    """What a provider should become; what is None stays as it is. `issuer` is SAML's entity id too."""

    name: str | None = None
    is_active: bool | None = None
    issuer: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    metadata_xml: str | None = field(default=None, repr=False)
    metadata_url: str | None = None
    sign_in_url: str | None = None
    certificates: tuple[str, ...] | None = None
    allow_idp_initiated: bool | None = None
    just_in_time: bool | None = None
    default_role: str | None = None
    attributes: Mapping[str, str] | None = None
    group_map: Mapping[str, str] | None = None
    required_claims: Mapping[str, str] | None = None


def with_metadata(wishes: Wishes) -> Wishes:
    """The wishes, filled with what the SAML metadata say; may ask the network.

    Raises `EgressFault`, `ProviderUnusable`.
    """
    if wishes.metadata_xml:
        published = metadata.parse(wishes.metadata_xml)
    elif wishes.metadata_url:
        published = metadata.fetch(wishes.metadata_url)
    else:
        return wishes
    return replace(
        wishes,
        issuer=published.entity_id,
        sign_in_url=published.sign_in_url,
        certificates=published.certificates,
    )


def find_provider(public_id: str) -> IdentityProvider:
    """The provider of the current organization with this id (`idp-…`). Raises `NotFound`."""
    pk = ids.parse("idp", public_id, param="provider_id")
    found: IdentityProvider | None = IdentityProvider.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound(f"There is no identity provider '{public_id}'.", param="provider_id")
    return found


def create_provider(kind: ProviderKind, wishes: Wishes, *, by: Principal) -> IdentityProvider:
    """Set up a provider. Raises `InvalidRequest` for what is missing or wrong, `ProviderNameTaken`."""
    if IdentityProvider.objects.count() >= MAX_PROVIDERS:
        raise TooManyProviders
    if not wishes.name:
        raise InvalidRequest("'name' is needed: what people read where they sign in.", param="name")
    provider = IdentityProvider(
        id=ids.uuid7(), organization_id=current_organization_id(), kind=kind, default_role=Role.END_USER.value
    )
    _apply(provider, wishes, by)
    provider.save(force_insert=True)
    provider.refresh_from_db()
    record("sso.provider.create", provider.public_id, kind=kind.value, after=_shown(provider))
    _tell("created", provider)
    return provider


def change_provider(provider: IdentityProvider, wishes: Wishes, *, by: Principal) -> IdentityProvider:
    """Change what is not None. Raises what `create_provider` raises, and `SsoStandsOnThis`."""
    before = _shown(provider)
    if wishes.is_active is False:
        _require_another(provider)
    _apply(provider, wishes, by)
    provider.save()
    IdentityProvider.objects.filter(pk=provider.pk).update(updated_at=Now())
    provider.refresh_from_db()
    after = _shown(provider)
    changed = [name for name in SHOWN if before[name] != after[name]]
    record(
        "sso.provider.update",
        provider.public_id,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
        new_secret=wishes.client_secret is not None,
        new_certificates=wishes.certificates is not None,
    )
    _tell("updated", provider)
    return provider


def remove_provider(provider: IdentityProvider) -> None:
    """Remove a provider and whom it vouched for. Raises `SsoStandsOnThis` for the last one while required."""
    _require_another(provider)
    record("sso.provider.remove", provider.public_id, before=_shown(provider))
    _tell("removed", provider)
    provider.delete()


def active_providers() -> list[IdentityProvider]:
    """The current organization's active ones, the oldest first."""
    return list(IdentityProvider.objects.filter(is_active=True).order_by("pk"))


def _apply(provider: IdentityProvider, wishes: Wishes, by: Principal) -> None:
    for name in SHOWN:
        wish = getattr(wishes, name)
        if wish is not None:
            setattr(provider, name, dict(wish) if isinstance(wish, Mapping) else wish)
    if wishes.certificates is not None:
        provider.certificates = list(metadata.plain(wishes.certificates))
    if wishes.client_secret is not None:
        provider.client_secret = wishes.client_secret
    _check_whole(provider)
    _check_powers(provider, by)


def _check_whole(provider: IdentityProvider) -> None:
    missing = next(
        (name for name in NEEDED[ProviderKind(provider.kind)] if not getattr(provider, name)), None
    )
    if missing:
        raise InvalidRequest(f"A provider of kind '{provider.kind}' needs '{missing}'.", param=missing)
    if provider.kind == ProviderKind.OIDC:
        destinations.parse(provider.issuer)
    else:
        destinations.parse(provider.sign_in_url)
    if unknown := set(provider.attributes) - set(ATTRIBUTES):
        raise InvalidRequest(
            f"'attributes' can map {', '.join(ATTRIBUTES)}, not '{min(unknown)}'.", param="attributes"
        )
    if IdentityProvider.objects.exclude(pk=provider.pk).filter(name=provider.name).exists():
        raise ProviderNameTaken(f"There is an identity provider '{provider.name}' already.", param="name")


def _check_powers(provider: IdentityProvider, by: Principal) -> None:
    """What the provider gives to those it brings in, whoever set it up must hold."""
    if provider.default_role == Role.OWNER:
        raise InvalidRequest("An identity provider makes no owners.", param="default_role")
    require_may_hand_out(by, MATRIX[Role(provider.default_role)])
    for public_id in set(provider.group_map.values()):
        group = Group.objects.filter(pk=ids.parse("group", public_id, param="group_map")).first()
        if group is None:
            raise NotFound(f"There is no group '{public_id}'.", param="group_map")
        if group.scim_managed:
            raise InvalidRequest(f"'{group.name}' is filled by provisioning already.", param="group_map")
        for assignment in RoleAssignment.objects.filter(group=group).select_related("custom_role"):
            permissions = roles.permissions_of(roles.role_of(assignment))
            require_may_hand_out(by, permissions, project_id=assignment.project_id)


def _require_another(provider: IdentityProvider) -> None:
    required = Organization.objects.get(pk=current_organization_id()).require_sso
    others = IdentityProvider.objects.exclude(pk=provider.pk).filter(is_active=True)
    if required and not others.exists():
        raise SsoStandsOnThis


def _shown(provider: IdentityProvider) -> dict[str, Any]:
    return {name: getattr(provider, name) for name in SHOWN}


def _tell(verb: str, provider: IdentityProvider) -> None:
    emit(
        Happening(
            name=f"tenants.identity_provider.{verb}.v1",
            aggregate_id=provider.pk,
            resource="identity_provider",
            resource_id=provider.public_id,
        )
    )
