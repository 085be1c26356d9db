"""The signed word that an erasure was done: ids, counts and times, to be verified by anybody offline."""

from datetime import datetime
from typing import Any

import orjson
from django.conf import settings

from kernel.crypto import signing
from kernel.crypto.signing import Signature
from kernel.ids import head_of, parse, render
from kernel.ports.erasure import Fate
from tenants.compliance.models import Certificate, ErasureRequest
from tenants.datasets.models import File

# What is signed begins with what it is, so that no other document of the platform can pass for one.
HEADING = "Loomworks erasure certificate 1\n"


def certify(request: ErasureRequest, *, completed_at: datetime) -> Certificate:
    """Sign what was done, in the caller's transaction; the same request's again is the first."""
    known: Certificate | None = Certificate.objects.filter(request=request).first()
    if known is not None:
        return known
    certificate = Certificate(request=request)
    certificate.document = HEADING + _written(_contents(certificate, request, completed_at))
    signature = signing.sign(certificate.document.encode())
    certificate.key_id, certificate.signature = signature.key_id, signature.value
    certificate.save(force_insert=True)
    certificate.refresh_from_db()
    return certificate


def verify(document: str, key_id: str, signature: bytes, public_keys: dict[str, str]) -> dict[str, Any]:
    """What a certificate says, once its signature is checked. Raises `SignatureRefused`, `ValueError`."""
    signing.verify(document.encode(), Signature(key_id, signature), public_keys)
    if not document.startswith(HEADING):
        raise ValueError("It is signed and is no erasure certificate.")
    said: dict[str, Any] = orjson.loads(document.removeprefix(HEADING))
    return said


def _contents(certificate: Certificate, request: ErasureRequest, completed_at: datetime) -> dict[str, Any]:
    traces = [*request.plan["earlier"], *request.plan["traces"]]
    replacements = _replacements(traces)
    return {
        "certificate": certificate.public_id,
        "organization": render("org", request.organization_id),
        "request": request.public_id,
        "reference": request.reference,
        "person": render("user", request.person) if request.person else None,
        "requested_at": _moment(request.created_at),
        "planned_at": _moment(request.planned_at),
        "approved_at": _moment(request.approved_at),
        "approved_by": render("user", request.approved_by_id) if request.approved_by_id else None,
        "completed_at": _moment(completed_at),
        "erased": [
            {**_shown(trace), **replacements.get(trace["place"], {})}
            for trace in traces
            if trace["fate"] not in (Fate.KEPT, Fate.RETRAIN)
        ],
        "models_to_retrain": [trace["place"] for trace in traces if trace["fate"] == Fate.RETRAIN],
        "kept": [_shown(trace) for trace in traces if trace["fate"] == Fate.KEPT],
        "key_of_the_person_destroyed": request.person is not None,
        "found_when_looked_for_again": 0,
        "software": settings.VERSION,
    }


def _shown(trace: dict[str, Any]) -> dict[str, Any]:
    return {name: trace[name] for name in ("kind", "place", "count", "fate", "because")}


def _replacements(traces: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """What took the place of the files that were rewritten; of one that lost all rows, nothing."""
    files = [parse("file", trace["place"]) for trace in traces if trace["place"].startswith(head_of("file"))]
    rows = File.objects.filter(pk__in=files).exclude(replaced_by=None)
    return {file.public_id: {"replaced_by": render("file", file.replaced_by_id)} for file in rows}


def _written(contents: dict[str, Any]) -> str:
    return orjson.dumps(contents, option=orjson.OPT_SORT_KEYS).decode()


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
