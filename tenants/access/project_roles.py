"""OpenAI's two roles in a project, in our words."""

from enum import StrEnum

from tenants.access.permissions import Role


class ProjectRole(StrEnum):
    """A member's role in a project, as OpenAI's API knows it."""

    OWNER = "owner"
    MEMBER = "member"


PROJECT_ROLES = [role.value for role in ProjectRole]
# An owner administers the project; a member works in it with data, models and deployments, and talks to them.
BUILT_IN: dict[ProjectRole, frozenset[Role]] = {
    ProjectRole.OWNER: frozenset({Role.ADMIN}),
    ProjectRole.MEMBER: frozenset({Role.DATA_ENGINEER, Role.MODEL_TRAINER, Role.DEPLOYER, Role.END_USER}),
}


def project_role_of(held: frozenset[Role]) -> ProjectRole:
    """How OpenAI's API names what somebody holds in a project."""
    return ProjectRole.OWNER if Role.ADMIN in held else ProjectRole.MEMBER
