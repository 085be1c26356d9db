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
from kernel.ports.holdings import Erasure, Holding, Keeping, of_nobody
from kernel.tenancy.models import TenantManager, TenantOwned
from tenants.access.permissions import Role
from tenants.organizations.models import Project, ProjectOwned


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
    # Runs the platform itself: plans, prices, suspension. It opens no organization.
    is_operator = models.BooleanField(default=False)
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
    """A person's membership of one organization. What they may do is said by role assignments.

    `deactivated_at` ends their access without forgetting who they were (provisioning does so).
    """

    holding: ClassVar[Holding] = Holding(kind="members", erased=Erasure.DELETED, person="user_id")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    deactivated_at = models.DateTimeField(null=True)
    external_id = models.CharField(max_length=255, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization_id", "user"], name="member_once")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """A member is named as the person is, since an organization has each person once."""
        return ids.render("user", self.user_id)


class Group(TenantOwned):
    """People who get the same roles and object permissions together.

    `auth_group` is the row of Django's by which guardian knows the group; its name is this row's id.
    """

    holding: ClassVar[Holding] = of_nobody("groups")

    name = models.CharField(max_length=255)
    auth_group = models.OneToOneField("auth.Group", on_delete=models.PROTECT, related_name="+")
    scim_managed = models.BooleanField(default=False)
    external_id = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "name"], name="group_name_once"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("group", self.id)


class GroupMember(TenantOwned):
    """One member of one group."""

    holding: ClassVar[Holding] = Holding(
        kind="group members", erased=Erasure.DELETED, person="member__user_id"
    )

    group = models.ForeignKey(Group, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    member = models.ForeignKey(Member, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "group", "member"], name="group_member_once"),
        ]

    def __str__(self) -> str:
        return f"{self.member_id} in {self.group_id}"


class CustomRole(TenantOwned):
    """A role that an organization made: a set of permissions. With a project, it is for that one only."""

    holding: ClassVar[Holding] = Holding(
        kind="roles", erased=Erasure.CLEARED, person="created_by_id", cleared=("created_by",)
    )

    name = models.CharField(max_length=100)
    description = models.CharField(max_length=500, blank=True)
    permissions: "ArrayField[Any, Any]" = ArrayField(models.CharField(max_length=50))
    project = models.ForeignKey(
        Project, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "project", "name"], name="role_name_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("role", self.id)


class RoleAssignment(TenantOwned):
    """One role of one member or one group, in the whole organization or in one project."""

    holding: ClassVar[Holding] = Holding(
        kind="role assignments", erased=Erasure.DELETED, person="member__user_id"
    )

    member = models.ForeignKey(
        Member, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    group = models.ForeignKey(
        Group, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    builtin = models.CharField(max_length=20, blank=True, choices=[(role.value, role.value) for role in Role])
    custom_role = models.ForeignKey(
        CustomRole, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    project = models.ForeignKey(
        Project, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(member=None) ^ models.Q(group=None), name="role_of_a_member_or_a_group"
            ),
            models.CheckConstraint(
                condition=models.Q(builtin="") ^ models.Q(custom_role=None), name="role_builtin_or_custom"
            ),
            models.UniqueConstraint(
                fields=["organization_id", "member", "group", "builtin", "custom_role", "project"],
                name="role_assigned_once",
                nulls_distinct=False,
            ),
        ]
        indexes = [
            models.Index(fields=["organization_id", "member"], name="roles_of_a_member"),
            models.Index(fields=["organization_id", "group"], name="roles_of_a_group"),
        ]

    def __str__(self) -> str:
        return f"{self.builtin or self.custom_role_id} of {self.member_id or self.group_id}"


class Invitation(TenantOwned):
    """An e-mail that lets its receiver join, once and until it expires.

    The link holds a token made from this row's id and `nonce` under the platform's key, so that no secret
    is stored or travels in a message. Without `builtin` it gives no role in the whole organization.
    `projects` is a list of `{"id": uuid, "role": "member" | "owner"}`.
    """

    holding: ClassVar[Holding] = Holding(
        kind="invitations",
        erased=Erasure.DELETED,
        person="accepted_by_id",
        address="email",
        withheld=frozenset({"nonce"}),
        kept=Keeping(since="expires_at", days=90, at_most=365),
    )

    email = models.EmailField(max_length=254)
    builtin = models.CharField(max_length=20, blank=True, choices=[(role.value, role.value) for role in Role])
    projects: "models.JSONField[Any, Any]" = models.JSONField(default=list)
    nonce = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "email"],
                condition=models.Q(accepted_at=None),
                name="one_open_invitation_per_address",
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("invite", self.id)


class ServiceAccount(ProjectOwned):
    """A program that works in a project on nobody's behalf; it has keys of its own."""

    holding: ClassVar[Holding] = Holding(
        kind="service accounts", erased=Erasure.CLEARED, person="created_by_id", cleared=("created_by",)
    )

    name = models.CharField(max_length=100)
    role = models.CharField(max_length=10, default="member")

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("svc_acct", self.id)


class ApiKey(TenantOwned):
    """A program's key to a project or, without one, to the organization's administration.

    Only keyed hashes are stored. Empty lists of models and networks restrict nothing. After a rotation
    `previous_hash` still opens until `previous_until`.
    """

    holding: ClassVar[Holding] = Holding(
        kind="API keys",
        erased=Erasure.CLEARED,
        person="created_by_id",
        # Its maker stays: a key without one is the system's, which nobody bounds.
        cleared=("name",),
        withheld=frozenset({"secret_hash", "previous_hash"}),
    )

    project = models.ForeignKey(
        Project, null=True, on_delete=models.PROTECT, db_constraint=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())
    # A key without a maker is the system's, which nobody bounds: revoke a person's keys before the person.
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    service_account = models.ForeignKey(
        ServiceAccount, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=20)
    suffix = models.CharField(max_length=4, default="", blank=True)
    secret_hash = models.CharField(max_length=64, unique=True)
    previous_hash = models.CharField(max_length=64, default="", blank=True)
    previous_until = models.DateTimeField(null=True)
    permissions: "ArrayField[Any, Any]" = ArrayField(models.CharField(max_length=50))
    allowed_models: "ArrayField[Any, Any]" = ArrayField(models.CharField(max_length=200), default=list)
    allowed_networks: "ArrayField[Any, Any]" = ArrayField(models.CharField(max_length=50), default=list)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["previous_hash"], condition=~models.Q(previous_hash=""), name="previous_hash_once"
            ),
        ]
        indexes = [
            models.Index(fields=["organization_id", "project", "-id"], name="keys_of_a_project"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        return ids.render("key", self.id)

    @property
    def redacted(self) -> str:
        """The secret as it may be shown: its beginning and its end."""
        return f"{self.prefix}…{self.suffix}"


class KeyProject(TenantOwned):
    """A further project in which a key works, chosen by the header `OpenAI-Project`."""

    holding: ClassVar[Holding] = of_nobody("projects of API keys")

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, db_constraint=False, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_constraint=False, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "key", "project"], name="key_project_once"),
        ]

    def __str__(self) -> str:
        return f"{self.key_id} in {self.project_id}"


class ScopedUserPermissions(TenantManager[Any], UserObjectPermissionManager):
    """Guardian's manager, seeing the current organization's rows only."""


class ScopedGroupPermissions(TenantManager[Any], GroupObjectPermissionManager):
    """Guardian's manager, seeing the current organization's rows only."""


class TenantUserPermission(TenantOwned, UserObjectPermissionAbstract):
    """Guardian's permission of one person on one object, owned by the organization."""

    holding: ClassVar[Holding] = Holding(kind="grants", erased=Erasure.DELETED, person="user_id")

    objects: ClassVar[ScopedUserPermissions] = ScopedUserPermissions()

    class Meta(UserObjectPermissionAbstract.Meta):
        abstract = False
        unique_together = ["organization_id", "user", "permission", "object_pk"]
        indexes = [
            models.Index(fields=["organization_id", "user", "content_type"], name="user_permission_lookup")
        ]


class TenantGroupPermission(TenantOwned, GroupObjectPermissionAbstract):
    """Guardian's permission of one group on one object, owned by the organization."""

    holding: ClassVar[Holding] = of_nobody("grants to groups")

    objects: ClassVar[ScopedGroupPermissions] = ScopedGroupPermissions()

    class Meta(GroupObjectPermissionAbstract.Meta):
        abstract = False
        unique_together = ["organization_id", "group", "permission", "object_pk"]
        indexes = [
            models.Index(fields=["organization_id", "group", "content_type"], name="group_permission_lookup")
        ]
