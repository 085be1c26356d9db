"""What a worker does for an erasure: find, and once the plan is approved erase, look again, and certify.

Each step bears being done again, so that an erasure that is killed midway is brought to its end by the next
run, and one that is run twice is done once.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models.functions import Now
from django.utils import timezone

from kernel.audit.log import record
from kernel.crypto import keys
from kernel.events.outbox import Happening, emit
from kernel.ids import render
from kernel.ports.erasure import Fate, Keeper, Subject, Trace, keepers
from kernel.tenancy.scope import acting_for
from tenants.compliance import subjects, work
from tenants.compliance.erasure import ROWS
from tenants.compliance.execution import certificates
from tenants.compliance.models import ErasureRequest, ErasureState
from tenants.compliance.work import Grip
from tenants.organizations.services.holds import UnderLegalHold

PLANNED = "tenants.erasure.planned.v1"
COMPLETED = "tenants.erasure.completed.v1"
# With these nothing is left to erase.
SETTLED = frozenset({Fate.KEPT, Fate.RETRAIN})


def advance(organization_id: UUID, request_id: UUID) -> None:
    """Bring a request to its next halt, a plan or the end, or as far as it goes; safe to repeat."""
    grip = work.take(ErasureRequest, organization_id, request_id)
    if grip is None:
        return
    with work.guarded(grip):
        with acting_for(organization_id):
            request: ErasureRequest = ErasureRequest.objects.get(pk=request_id)
            subject = subjects.subject_of(request)
        if request.state == ErasureState.FINDING:
            _plan(grip, request, find(subject, grip))
        else:
            _erase(grip, request, subject)


def find(subject: Subject, grip: Grip) -> list[tuple[str, Trace]]:
    """Everything that holds the subject, with the name of what keeps it."""
    found: list[tuple[str, Trace]] = []
    for keeper in (*keepers(), ROWS):
        for trace in keeper.find(subject, [trace for _, trace in found], grip.beat):
            found.append((keeper.name, trace))
            grip.advance(1)
    return found


def _plan(grip: Grip, request: ErasureRequest, found: Sequence[tuple[str, Trace]]) -> None:
    # Of a request whose first plan was done and did not take everything, that stays known.
    earlier = [*request.plan["earlier"], *request.plan["traces"]] if request.plan else []
    plan = {
        "earlier": earlier,
        "traces": [{"keeper": keeper, **trace.as_json()} for keeper, trace in found],
        "summary": summary_of([trace for _, trace in found]),
    }
    with acting_for(grip.organization_id):
        grip.settle(state=ErasureState.PLANNED, plan=plan, planned_at=Now(), approved_at=None, fault="")
        record("erasure.plan", request.public_id, traces=len(found))
        _tell(PLANNED, request, {"traces": len(found)})


def _erase(grip: Grip, request: ErasureRequest, subject: Subject) -> None:
    try:
        with acting_for(grip.organization_id):
            subjects.require_free(request)
        plan = read_plan(request)
        for keeper in (*keepers(), ROWS):
            traces = [trace for name, trace in plan if name == keeper.name]
            _erase_by(keeper, subject, traces, grip)
    except UnderLegalHold as hold:
        with acting_for(grip.organization_id):
            # As before its approval: whoever lifts the hold has it approved anew.
            grip.settle(state=ErasureState.PLANNED, fault=hold.message[:500], approved_at=None)
        return
    if subject.person is not None:
        keys.destroy_person_key(grip.organization_id, subject.person)
    left = [(name, trace) for name, trace in find(subject, grip) if trace.fate not in SETTLED]
    if left:
        # It came after the plan was made: nobody has approved that yet.
        _plan(grip, request, left)
    else:
        _complete(grip, request)


def _erase_by(keeper: Keeper, subject: Subject, traces: Sequence[Trace], grip: Grip) -> None:
    if any(trace.fate is not Fate.KEPT for trace in traces):
        keeper.erase(subject, traces, grip.beat)
    grip.advance(len(traces))


def _complete(grip: Grip, request: ErasureRequest) -> None:
    with acting_for(grip.organization_id):
        request.refresh_from_db()
        certificate = certificates.certify(request, completed_at=timezone.now())
        grip.settle(state=ErasureState.COMPLETED, finished_at=Now(), sealed_subject=b"", fault="")
        record("erasure.complete", request.public_id, certificate=certificate.public_id)
        _tell(COMPLETED, request, {"model_versions": models_to_retrain(request)})


def read_plan(request: ErasureRequest) -> list[tuple[str, Trace]]:
    """The traces of a plan, each with the name of its keeper."""
    found = []
    for kept in request.plan["traces"]:
        named = dict(kept)
        found.append((named.pop("keeper"), Trace.of_json(named)))
    return found


def models_to_retrain(request: ErasureRequest) -> list[str]:
    """The model versions that learned from what is erased."""
    traces = [*request.plan["earlier"], *request.plan["traces"]]
    return [trace["place"] for trace in traces if trace["fate"] == Fate.RETRAIN]


def summary_of(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """How many of each kind, and what becomes of them."""
    counts: Counter[tuple[str, str]] = Counter()
    for trace in traces:
        counts[(trace.kind, trace.fate.value)] += trace.count
    return [{"kind": kind, "fate": fate, "count": count} for (kind, fate), count in sorted(counts.items())]


def _tell(name: str, request: ErasureRequest, payload: dict[str, Any]) -> None:
    emit(
        Happening(
            name,
            aggregate_id=request.pk,
            resource="compliance.erasure",
            resource_id=request.public_id,
            payload={"erasure_id": render("erasure", request.pk), **payload},
        )
    )
