"""By which right a file's rows are here, and that models learn from none whose purpose excludes it."""

import openai
import pytest

from kernel.audit.models import AuditEntry
from tenants.access.permissions import Role
from tests.cast import Person, new_person
from tests.inference.deployments.house import base_model
from tests.tenants.administration.offices import call, refused
from tests.tenants.compliance.house import bring, row

ROWS = row("A question") * 12
CONSENT = {
    "legal_basis": "consent",
    "processing_purpose": "Answering support questions",
    "consent_reference": "Form 12, version 3",
    "training_allowed": True,
}


def address(file_id: str) -> str:
    return f"/api/v1/files/{file_id}/provenance"


def test_it_is_recorded_shown_and_on_the_log(owner: Person) -> None:
    file = bring(owner, ROWS)
    before = call(owner, "get", address(file.public_id)).json()
    assert before == {
        "legal_basis": "",
        "processing_purpose": "",
        "consent_reference": "",
        "training_allowed": True,
    }
    for _ in range(2):
        assert call(owner, "put", address(file.public_id), CONSENT).json() == CONSENT
    with owner.acting():
        entry = AuditEntry.objects.get(action="file.provenance")
    assert entry.details["after"]["legal_basis"] == "consent"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"legal_basis": "consent"}, "invalid_request"),
        ({"legal_basis": "because"}, "invalid_request"),
        ({"training_allowed": "yes"}, "invalid_type"),
        ({"purpose": "x"}, "unknown_parameter"),
    ],
)
def test_what_makes_no_sense_is_refused(owner: Person, body: dict[str, str], code: str) -> None:
    file = bring(owner, ROWS)
    answer = call(owner, "put", address(file.public_id), body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code


def test_who_only_reads_files_does_not_change_it(owner: Person) -> None:
    file = bring(owner, ROWS)
    viewer = new_person(Role.VIEWER, joining=owner)
    assert call(viewer, "get", address(file.public_id)).status_code == 200
    assert refused(call(viewer, "put", address(file.public_id), CONSENT), 403, "permission_denied")


def test_a_job_on_a_file_that_models_must_not_learn_from_is_refused(owner: Person) -> None:
    base = base_model()
    file = bring(owner, ROWS)
    call(owner, "put", address(file.public_id), {**CONSENT, "training_allowed": False})
    with pytest.raises(openai.BadRequestError) as refusal:
        owner.openai.fine_tuning.jobs.create(model=base.name, training_file=file.public_id)
    assert refusal.value.code == "training_not_allowed"
    assert refusal.value.param == "training_file"
    assert file.public_id in str(refusal.value)
