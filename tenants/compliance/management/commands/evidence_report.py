"""`manage.py evidence_report`: the evidence report of the deployment, or of one organization."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation

from kernel import ids
from kernel.errors import NotFound
from tenants.compliance.api.evidence import show_report
from tenants.compliance.evidence import pages, report
from tenants.compliance.work import living_organizations


class Command(BaseCommand):
    """Prints the report as signed JSON, or with `--html` as a page."""

    help = "Print the signed evidence report of the whole deployment, or of one organization."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", help="an organization's id (org-…); all of them without it")
        parser.add_argument("--html", action="store_true", help="a page instead of JSON")
        parser.add_argument("--language", default="en", choices=["en", "de"], help="the page's language")

    def handle(self, *args: Any, **options: Any) -> None:
        living = living_organizations()
        if options["organization"]:
            try:
                wanted = ids.parse("org", options["organization"])
            except NotFound as fault:
                raise CommandError(fault.message) from None
            if wanted not in living:
                raise CommandError(f"There is no organization '{options['organization']}'.")
            made = report.of_organization(wanted)
        else:
            made = report.of_deployment(living)
        if options["html"]:
            with translation.override(options["language"]):
                self.stdout.write(pages.page_of(made))
        else:
            self.stdout.write(json.dumps(show_report(made), indent=2))
