"""The evidence report: every control with the facts that answer it, computed now, and signed."""

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.utils import timezone

from kernel.crypto import signing
from kernel.crypto.signing import Signature
from kernel.ids import render
from kernel.ports.evidence import Fact, tellers
from kernel.tenancy.scope import acting_for
from tenants.compliance.evidence.controls import CONTROLS, Control
from tenants.organizations.models import Organization

HEADING = "Loomworks evidence report 1\n"
MET, NOT_MET, NOT_APPLICABLE = "met", "not_met", "not_applicable"


@dataclass(frozen=True)
class Report:
    """What was found. `document` is what is signed, to the letter."""

    contents: dict[str, Any]
    document: str
    signature: Signature


def of_organization(organization_id: UUID) -> Report:
    """The report of one organization: what it may see."""
    with acting_for(organization_id):
        facts = {name: tell() for name, tell in tellers().items()}
        organization = Organization.objects.get(pk=organization_id)
    about = {"organization": organization.public_id, "name": organization.name}
    return _report(facts, about)


def of_deployment(organization_ids: list[UUID]) -> Report:
    """The report of the whole deployment: what holds for all, and how each organization stands."""
    facts: dict[str, Fact] = {}
    standing = {}
    for organization_id in organization_ids:
        with acting_for(organization_id):
            theirs = {name: tell() for name, tell in tellers().items()}
        facts.update({name: fact for name, fact in theirs.items() if fact.of_deployment})
        states = [_status([theirs[name] for name in control.facts if name in theirs]) for control in CONTROLS]
        standing[render("org", organization_id)] = {
            state: states.count(state) for state in (MET, NOT_MET, NOT_APPLICABLE)
        }
    return _report(facts, {"organization": None, "organizations": standing})


def _report(facts: dict[str, Fact], about: dict[str, Any]) -> Report:
    contents = {
        **about,
        "made_at": timezone.now().isoformat(timespec="seconds"),
        "software": settings.VERSION,
        "controls": [_shown(control, facts) for control in CONTROLS],
    }
    document = HEADING + orjson.dumps(contents, option=orjson.OPT_SORT_KEYS).decode()
    return Report(contents, document, signing.sign(document.encode()))


def _shown(control: Control, facts: dict[str, Fact]) -> dict[str, Any]:
    found = {name: facts[name] for name in control.facts if name in facts}
    return {
        "framework": control.framework,
        "number": control.number,
        "title": control.title,
        "status": _status(list(found.values())),
        "facts": [{"name": name, **asdict(fact)} for name, fact in found.items()],
    }


def _status(facts: list[Fact]) -> str:
    """Met where every fact that can be judged is as it should be; without any there is nothing to say."""
    judged = [fact.met for fact in facts if fact.met is not None]
    if not judged:
        return NOT_APPLICABLE
    return MET if all(judged) else NOT_MET
