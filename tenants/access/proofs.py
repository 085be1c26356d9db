"""How the person behind a session showed who they are, and which organizations take that for enough.

Somebody who came by an organization's identity provider was vouched for by that organization alone: the
session opens that one and no other, or its administrators could walk into all of the person's others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tenants.access.models import User

# In the session: the organizations whose identity providers vouched, and that nothing else did.
VOUCHED_KEY = "sso_organizations"
VOUCHED_ONLY_KEY = "sso_only"


@dataclass(frozen=True)
class Proof:
    """What a session rests on: the word of organizations' providers, and the person's own factors."""

    vouched_by: frozenset[UUID] = frozenset()
    own: bool = True


OWN = Proof()
"""A password or a passkey."""

Rule = Callable[[User, UUID], bool]
"""Whether the person must come to the organization by its identity provider."""

_rules: list[Rule] = []


def proof_of(session: Mapping[str, Any] | Any) -> Proof:
    """What the session rests on."""
    return Proof(
        frozenset(UUID(text) for text in session.get(VOUCHED_KEY, ())),
        own=not session.get(VOUCHED_ONLY_KEY, False),
    )


def vouch(session: Any, organization_id: UUID, *, besides_own: bool) -> None:
    """Note that the organization's provider vouched for the session's person.

    `besides_own` says that the person had shown a factor of their own in this session before.
    """
    session[VOUCHED_KEY] = sorted({*session.get(VOUCHED_KEY, ()), str(organization_id)})
    session[VOUCHED_ONLY_KEY] = not besides_own


def rule_by(rule: Rule) -> None:
    """Name who decides, in organizations that require single sign-on; called once, at start."""
    _rules[:] = [rule]


def opens(proof: Proof, user: User, organization_id: UUID, *, requires_sso: bool) -> bool:
    """Whether the proof is enough for the organization."""
    if organization_id in proof.vouched_by:
        return True
    if not proof.own:
        return False
    # Where nobody decides, nobody is excepted.
    return not requires_sso or (bool(_rules) and not any(rule(user, organization_id) for rule in _rules))
