"""Signing up: a person founds an organization, or joins the one that invited them."""

from typing import Any

from kernel.audit.log import Actor, acting_as
from kernel.errors import Conflict, InvalidRequest, NotFound
from kernel.tenancy.scope import acting_for
from tenants.access.models import User
from tenants.access.permissions import Role
from tenants.access.services import invitations, people
from tenants.access.services.invitations import Invited
from tenants.limits.models import SignUpMode
from tenants.limits.services import platform
from tenants.limits.services.operation import require_a_trial
from tenants.organizations.services.founding import found_organization

# In the session: the invitation's token, from opening its link until it is accepted.
INVITATION_KEY = "invitation"
MAX_NAME_CHARACTERS = 100


def is_open(session: Any) -> bool:
    """Whether somebody may sign up: whom an organization invited always, others as the operator says."""
    return invitation_in(session) is not None or platform.sign_up_mode() is SignUpMode.OPEN


def invitation_in(session: Any) -> Invited | None:
    """The invitation that this browser came with, while it can be accepted."""
    token = session.get(INVITATION_KEY)
    if not token:
        return None
    try:
        return invitations.look_up(token)
    except (NotFound, Conflict):
        return None


def found_organization_for(user: User, name: str, *, by: Actor) -> None:
    """A new organization that the person owns. Raises `InvalidRequest` for a bad name, `TrialsUsedUp`.

    Call it in the transaction that makes the person: there is none without the other.
    """
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or "\0" in name:
        raise InvalidRequest(f"The name must have 1 to {MAX_NAME_CHARACTERS} characters.", param="name")
    require_a_trial()
    with acting_as(by):
        organization, project = found_organization(name, plan=platform.policy().trial_plan.pk)
        with acting_for(organization.pk):
            people.add_member(user, Role.OWNER)
            people.open_project_to(user, project)


def join(session: Any, user: User, *, by: Actor) -> None:
    """Accept the invitation in the session for the person. Raises what `invitations.accept` raises."""
    with acting_as(by):
        invitations.accept(session.get(INVITATION_KEY, ""), user)
    session.pop(INVITATION_KEY, None)
