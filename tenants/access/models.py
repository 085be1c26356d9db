"""People, their memberships, API keys and object permissions."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Now
from guardian.managers import GroupObjectPermissionManager, UserObjectPermissionManager
from guardian.models import GroupObjectPermissionAbstract, UserObjectPermissionAbstract

from kernel import ids
from kernel.tenancy.models import TenantManager, TenantOwned
from tenants.access.permissions import Role
from tenants.organizations.models import ProjectOwned


class UserManager(BaseUserManager["User"]):
    """Creates people; an address is the same person in any case of letters."""

    def create_user(self, email: str, password: str, name: str = "") -> "User":
        """A person with a password (hashed by Argon2id)."""
        user = User(email=email.strip().lower(), name=name)
        user.set_password(password)
        user.save(force_insert=True)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person; global, since one may belong to several organizations."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=100, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_in_lower_case")
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("user", self.id)


class Member(TenantOwned):
    """A person's membership of one organization, with a role."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=20, choices=[(role.value, role.value) for role in Role])
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization_id", "user"], name="member_once")]

    def __str__(self) -> str:
        return f"{self.user_id} as {self.role}"


class ApiKey(ProjectOwned):
    """A program's key to one project. Only a keyed hash of the secret is stored."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20)
    secret_hash = models.CharField(max_length=64, unique=True)
    permissions: "ArrayField[Any, Any]" = ArrayField(models.CharField(max_length=50))
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("key", self.id)


class ScopedUserPermissions(TenantManager[Any], UserObjectPermissionManager):
    """Guardian's manager, seeing the current organization's rows only."""


class ScopedGroupPermissions(TenantManager[Any], GroupObjectPermissionManager):
    """Guardian's manager, seeing the current organization's rows only."""


class TenantUserPermission(TenantOwned, UserObjectPermissionAbstract):
    """Guardian's permission of one person on one object, owned by the organization."""

    objects: ClassVar[ScopedUserPermissions] = ScopedUserPermissions()

    class Meta(UserObjectPermissionAbstract.Meta):
        abstract = False
        unique_together = ["organization_id", "user", "permission", "object_pk"]
        indexes = [
            models.Index(fields=["organization_id", "user", "content_type"], name="user_permission_lookup")
        ]


class TenantGroupPermission(TenantOwned, GroupObjectPermissionAbstract):
    """Guardian's permission of one group on one object, owned by the organization."""

    objects: ClassVar[ScopedGroupPermissions] = ScopedGroupPermissions()

    class Meta(GroupObjectPermissionAbstract.Meta):
        abstract = False
        unique_together = ["organization_id", "group", "permission", "object_pk"]
        indexes = [
            models.Index(fields=["organization_id", "group", "content_type"], name="group_permission_lookup")
        ]
