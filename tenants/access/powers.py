"""What an API key may do at this moment: what it was given, and never more than its maker may do now.

The one place that says it. Django asks for each request; the gateways read what is published of it.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from kernel.errors import DomainError
from kernel.tenancy.scope import current_organization_id
from tenants.access.models import ApiKey, KeyProject, Member, ServiceAccount
from tenants.access.permissions import ADMIN_KEY_PERMISSIONS, KEY_PERMISSIONS, Permission
from tenants.access.principal import granted
from tenants.access.standing import Standing, opened_to, standings_of
from tenants.organizations.models import Organization, Project
from tenants.organizations.refusals import refusal_of

# What a service account may do by its role in the project; one with none waits for a role.
SERVICE_ROLES: Mapping[str, frozenset[Permission]] = {
    "owner": KEY_PERMISSIONS,
    "member": KEY_PERMISSIONS,
    "none": frozenset(),
}
NOTHING: frozenset[Permission] = frozenset()


class KeyOwnerInactive(DomainError):
    """Whoever made the key has left the organization or is deactivated in it."""

    code, status = "key_owner_inactive", 403
    message = "The member who made this API key is no longer active in the organization; use another key."


@dataclass(frozen=True)
class Powers:
    """What one key may do now. `in_projects` has all of its projects, its own first.

    `out_of_service` says that the organization or the key's own project is, `maker_gone` that its maker is
    no active member, `refusals` why nothing is done in one of its projects.
    """

    out_of_service: DomainError | None
    maker_gone: DomainError | None
    in_projects: Mapping[UUID, frozenset[Permission]]
    refusals: Mapping[UUID, DomainError]
    everywhere: frozenset[Permission]

    @property
    def refusal(self) -> DomainError | None:
        """Why the key may do nothing at all."""
        return self.out_of_service or self.maker_gone


@dataclass(frozen=True)
class Maker:
    """The member who made a key: their standing now, and the projects opened to them."""

    standing: Standing
    opened: Collection[UUID]

    def permissions_in(self, project_id: UUID | None) -> frozenset[Permission]:
        """What they may do in a project; in one that they do not reach, nothing."""
        if project_id is None:
            return self.standing.everywhere
        if not self.reaches(project_id):
            return NOTHING
        return self.standing.permissions_in(project_id)

    def reaches(self, project_id: UUID) -> bool:
        """Whether they may work in the project."""
        standing = self.standing
        return (
            standing.reaches_every_project or project_id in self.opened or project_id in standing.in_projects
        )


def powers_of(keys: Collection[ApiKey]) -> dict[UUID, Powers]:
    """The powers of keys of the current organization by key id; the queries do not grow with their number."""
    further: dict[UUID, list[UUID]] = defaultdict(list)
    for key_id, project_id in KeyProject.objects.filter(key__in=[key.pk for key in keys]).values_list(
        "key_id", "project_id"
    ):
        further[key_id].append(project_id)
    wanted = {project_id for one in further.values() for project_id in one}
    facts = _Facts(
        organization=Organization.objects.get(pk=current_organization_id()),
        projects=Project.objects.in_bulk(list(wanted | {key.project_id for key in keys if key.project_id})),
        accounts=dict(
            ServiceAccount.objects.filter(
                pk__in={key.service_account_id for key in keys if key.service_account_id}
            ).values_list("pk", "role")
        ),
        makers=makers({pk for key in keys if (pk := maker_id_of(key)) is not None}),
    )
    return {key.pk: facts.powers(key, further[key.pk]) for key in keys}


def makers(user_ids: Collection[UUID]) -> dict[UUID, Maker]:
    """Those among these people who are active in the current organization, by user id."""
    if not user_ids:
        return {}
    members = list(Member.objects.filter(user__in=user_ids, user__is_active=True, deactivated_at=None))
    standings = standings_of(members)
    opened = opened_to(user_ids)
    return {m.user_id: Maker(standings[m.pk], opened.get(m.user_id, ())) for m in members}


def maker_id_of(key: ApiKey) -> UUID | None:
    """The person who bounds the key; a service account's and the system's are bounded by nobody."""
    return key.created_by_id if key.service_account_id is None else None


@dataclass(frozen=True)
class _Facts:
    """What the powers of some keys follow from."""

    organization: Organization
    projects: Mapping[UUID, Project]
    accounts: Mapping[UUID, str]
    makers: Mapping[UUID, Maker]

    def powers(self, key: ApiKey, further: Collection[UUID]) -> Powers:
        """Of one key."""
        ids = [] if key.project_id is None else [key.project_id, *further]
        refusals = {pk: refusal for pk in ids if (refusal := self._refusal_in(pk)) is not None}
        maker_id = maker_id_of(key)
        gone = maker_id is not None and maker_id not in self.makers
        return Powers(
            out_of_service=refusals.get(key.project_id) if key.project_id else refusal_of(self.organization),
            maker_gone=KeyOwnerInactive() if gone else None,
            in_projects={pk: self._held(key, pk) for pk in ids},
            refusals=refusals,
            everywhere=self._held(key, None) if key.project_id is None else NOTHING,
        )

    def _refusal_in(self, project_id: UUID) -> DomainError | None:
        return refusal_of(self.organization, self.projects[project_id])

    def _held(self, key: ApiKey, project_id: UUID | None) -> frozenset[Permission]:
        kind = KEY_PERMISSIONS if key.project_id else ADMIN_KEY_PERMISSIONS
        held = granted(key.permissions) & kind
        if key.service_account_id is not None:
            return held & SERVICE_ROLES.get(self.accounts.get(key.service_account_id, "none"), NOTHING)
        if key.created_by_id is None:
            return held
        maker = self.makers.get(key.created_by_id)
        return held & maker.permissions_in(project_id) if maker else NOTHING
