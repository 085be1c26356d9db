"""The evidence report: computed now, signed, for an organization and the operator, as JSON and a page."""

import base64
import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from kernel.crypto import signing
from kernel.crypto.signing import Signature, SignatureRefused
from kernel.ports.evidence import tellers
from tenants.access.permissions import Role
from tenants.compliance.evidence import controls, report
from tenants.compliance.execution import retaining
from tenants.organizations.models import Organization
from tests.cast import Person, new_person
from tests.tenants.administration.offices import call, refused
from tests.tenants.compliance.house import HOLDS, erase

EVIDENCE = "/api/v1/compliance/evidence"


def fact(person: Person, name: str) -> dict[str, Any]:
    shown = call(person, "get", EVIDENCE).json()
    found: dict[str, Any] = next(
        fact for control in shown["controls"] for fact in control["facts"] if fact["name"] == name
    )
    return found


def test_every_control_names_facts_that_are_told() -> None:
    known = set(tellers())
    for control in controls.CONTROLS:
        assert control.facts, control
        assert set(control.facts) <= known, control


def test_every_framework_that_is_asked_for_is_there() -> None:
    numbers = {(control.framework, control.number) for control in controls.CONTROLS}
    asked = [("GDPR", f"Art. {number}") for number in (5, 15, 17, 30, 32, 33)]
    assert {*asked, ("EU AI Act", "Art. 12")} <= numbers
    assert {"CC6", "CC7", "CC8"} <= {number[:3] for _, number in numbers}


def test_the_report_is_signed_to_the_letter(owner: Person) -> None:
    shown = call(owner, "get", EVIDENCE).json()
    signature = Signature(shown["key_id"], base64.b64decode(shown["signature"]))
    public = {shown["key_id"]: shown["public_key"]}
    signing.verify(shown["document"].encode(), signature, public)
    said = json.loads(shown["document"].removeprefix(report.HEADING))
    assert said["controls"] == shown["controls"]
    with pytest.raises(SignatureRefused):
        signing.verify(shown["document"].replace("met", "MET").encode(), signature, public)


def test_facts_follow_what_is_the_case(owner: Person) -> None:
    assert fact(owner, "row_level_security")["met"]
    assert fact(owner, "application_role")["met"]
    assert fact(owner, "audit_append_only")["met"]
    assert fact(owner, "schema")["value"] == 0
    assert fact(owner, "second_factor")["met"] is False
    assert fact(owner, "retention")["value"] == "never"
    assert fact(owner, "certificates")["met"] is None
    retaining.enforce(owner.organization.pk)
    assert fact(owner, "retention")["met"]
    erase(owner, words=["nobody@people.example"])
    assert fact(owner, "certificates")["met"]
    assert fact(owner, "certificates")["value"] == "1 of 1"
    call(owner, "post", HOLDS, {"subject": "organization", "name": "A case", "reason": "A court asked."})
    assert fact(owner, "legal_holds")["value"] == 1


def test_a_control_is_met_only_where_all_that_can_be_judged_is(owner: Person) -> None:
    for control in call(owner, "get", EVIDENCE).json()["controls"]:
        judged = [fact["met"] for fact in control["facts"] if fact["met"] is not None]
        expected = "not_applicable" if not judged else "met" if all(judged) else "not_met"
        assert control["status"] == expected


def test_an_auditor_reads_it_and_a_member_does_not(owner: Person) -> None:
    auditor, member = new_person(Role.AUDITOR, joining=owner), new_person(Role.VIEWER, joining=owner)
    assert call(auditor, "get", EVIDENCE).status_code == 200
    assert refused(call(member, "get", EVIDENCE), 403, "permission_denied")


def test_the_page_stands_alone_and_escapes_what_it_shows(owner: Person) -> None:
    with owner.acting():
        Organization.objects.update(name="<script>alert(1)</script>")
    answer = owner.browser.get(f"{EVIDENCE}/page")
    page = answer.content.decode()
    assert answer["Content-Type"].startswith("text/html")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for outside in ("src=", "href=", "url(", "@import"):
        assert outside not in page
    assert "light-dark(" in page
    assert 'name="viewport"' in page


def test_the_page_is_dressed_under_its_content_security_policy(owner: Person) -> None:
    answer = owner.browser.get(f"{EVIDENCE}/page")
    nonce = re.search(r'<style nonce="([^"]+)">', answer.content.decode())
    assert nonce
    assert f"'nonce-{nonce[1]}'" in answer.headers["content-security-policy"]


def test_the_page_speaks_german_too(owner: Person) -> None:
    with translation.override("de"):
        made = report.of_organization(owner.organization.pk)
    out = StringIO()
    call_command(
        "evidence_report", organization=owner.organization.public_id, html=True, language="de", stdout=out
    )
    assert 'lang="de"' in out.getvalue()
    assert "nicht erfüllt" in out.getvalue()
    with translation.override("de"):
        for control in made.contents["controls"]:
            for told in control["facts"]:
                assert translation.gettext(told["title"]) != told["title"]
                assert translation.gettext(told["how"]) != told["how"]
    assert made.contents["organization"] == owner.organization.public_id


def test_the_operator_sees_the_deployment_and_no_organizations_facts(owner: Person, stranger: Person) -> None:
    out = StringIO()
    call_command("evidence_report", stdout=out)
    shown = json.loads(out.getvalue())
    said = json.loads(shown["document"].removeprefix(report.HEADING))
    assert {owner.organization.public_id, stranger.organization.public_id} <= set(said["organizations"])
    assert all(fact["of_deployment"] for control in said["controls"] for fact in control["facts"])
    with pytest.raises(CommandError, match="no organization"):
        call_command("evidence_report", organization=f"org-{'0' * 32}")
