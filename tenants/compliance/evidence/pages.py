"""The evidence report as one page that needs nothing else: in the reader's language, light or dark."""

from itertools import groupby
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string

from tenants.compliance.evidence.report import MET, NOT_APPLICABLE, NOT_MET, Report


def page_of(report: Report, request: HttpRequest | None = None) -> str:
    """The page; its style has the request's nonce, so that the content security policy lets it be."""
    controls = report.contents["controls"]
    frameworks = [
        {"name": name, "controls": list(those)} for name, those in groupby(controls, lambda c: c["framework"])
    ]
    counts = {state: sum(c["status"] == state for c in controls) for state in (MET, NOT_MET, NOT_APPLICABLE)}
    shown: dict[str, Any] = {
        "report": report.contents,
        "frameworks": frameworks,
        "counts": counts,
        "key_id": report.signature.key_id,
        "signature": report.signature.value.hex(),
        "document": report.document,
    }
    return render_to_string("compliance/evidence.html", shown, request=request)
