"""Domains that organizations have proved, their identity providers, and whom those vouch for."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now

from kernel import ids
from kernel.crypto.columns import OpenedText, SealedColumn
from kernel.ports.holdings import Erasure, Holding, of_nobody
from kernel.tenancy.models import TenantOwned
from tenants.access.models import Member
from tenants.access.permissions import Role

# An identity provider brings people in; it never makes owners.
DEFAULT_ROLES = [role.value for role in Role if role is not Role.OWNER]


class Domain(TenantOwned):
    """An e-mail domain that the organization says is its own, and since when that is proved.

    Any organization may claim a name; only one of the whole platform can have it verified. `failing_since`
    is when the proof was first missing again; the domain keeps its standing for a time.
    """

    holding: ClassVar[Holding] = of_nobody("domains")

    name = models.CharField(max_length=253)
    token = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    verified_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="domain_claimed_once"),
            models.UniqueConstraint(
                fields=["name"], condition=~models.Q(verified_at=None), name="domain_verified_once"
            ),
            models.CheckConstraint(condition=models.Q(name=Lower("name")), name="domain_in_lower_case"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def public_id(self) -> str:
        return ids.render("domain", self.id)


class ProviderKind(models.TextChoices):
    """The two protocols of single sign-on."""

    OIDC = "oidc"
    SAML = "saml"


class IdentityProvider(TenantOwned):
    """The organization's own sign-in, by OpenID Connect or SAML.

    `issuer` is OpenID's issuer or SAML's entity id. `client_secret` is that of OIDC, empty where there is
    none. `attributes` say which claim or attribute holds `email`, `name` and `groups`;
    `group_map` gives the id of one of our groups to a value of the last. `required_claims` must be asserted
    exactly, for an issuer that serves others besides the organization.
    """

    holding: ClassVar[Holding] = of_nobody("identity providers", withheld=frozenset({"sealed_secret"}))

    kind = models.CharField(max_length=10, choices=ProviderKind.choices)
    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    issuer = models.CharField(max_length=1024)
    client_id = models.CharField(max_length=255, blank=True)
    sealed_secret = SealedColumn(null=True, purpose="identity.provider.client_secret")
    client_secret = OpenedText("sealed_secret")
    metadata_url = models.CharField(max_length=2048, blank=True)
    sign_in_url = models.CharField(max_length=2048, blank=True)
    certificates: "ArrayField[Any, Any]" = ArrayField(models.TextField(), default=list)
    allow_idp_initiated = models.BooleanField(default=False)
    just_in_time = models.BooleanField(default=True)
    default_role = models.CharField(
        max_length=20, choices=[(role, role) for role in DEFAULT_ROLES], default=Role.END_USER.value
    )
    attributes: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    group_map: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    required_claims: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    tested_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="provider_name_once"),
            models.CheckConstraint(
                condition=~models.Q(default_role=Role.OWNER.value), name="provider_makes_no_owner"
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("idp", self.id)


class FederatedIdentity(TenantOwned):
    """Which person a provider's subject is. Bound at the first sign-in, and never to somebody else."""

    holding: ClassVar[Holding] = Holding(
        kind="federated identities", erased=Erasure.DELETED, person="user_id"
    )

    provider = models.ForeignKey(
        IdentityProvider, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    subject = models.CharField(max_length=1024)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "provider", "subject"], name="subject_is_one_person"
            ),
            models.UniqueConstraint(
                fields=["organization_id", "provider", "user"], name="person_is_one_subject"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} by {self.provider_id}"


class BreakGlass(TenantOwned):
    """An owner who may come in by their own factors although the organization requires single sign-on."""

    holding: ClassVar[Holding] = Holding(
        kind="emergency entries", erased=Erasure.DELETED, person="member__user_id"
    )

    member = models.ForeignKey(Member, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "member"], name="break_glass_once"),
        ]

    def __str__(self) -> str:
        return f"break glass for {self.member_id}"


class ProvisionedPerson(TenantOwned):
    """What the organization's directory says of a member, as it said it (SCIM's core attributes).

    It is the organization's view of the person; the person's own account is changed by it only where the
    organization has proved the domain of their address.
    """

    holding: ClassVar[Holding] = Holding(
        kind="directory entries", erased=Erasure.DELETED, person="member__user_id"
    )

    member = models.ForeignKey(Member, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    given_name = models.CharField(max_length=100, blank=True)
    family_name = models.CharField(max_length=100, blank=True)
    display_name = models.CharField(max_length=200, blank=True)
    title = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "member"], name="provisioned_once"),
        ]

    def __str__(self) -> str:
        return f"provisioned {self.member_id}"
