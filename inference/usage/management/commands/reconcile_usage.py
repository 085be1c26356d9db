"""`manage.py reconcile_usage`: compare usage records, totals and charges, and mend the totals."""

import re
import sys
from argparse import ArgumentTypeError
from datetime import date
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from inference.usage import reconciliation
from tenants.compliance.work import living_organizations


class Command(BaseCommand):
    """Exit code 1 where anything differed, repaired or not."""

    help = (
        "Compare records, totals and charges of a month; totals are made anew from records where they differ."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--month", type=_month, help="such as 2026-11; this month unless told")
        parser.add_argument("--organization", type=UUID, help="its UUID; everybody's unless told")
        parser.add_argument("--only-look", action="store_true", help="change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        month = options["month"] or timezone.now().date().replace(day=1)
        only = options["organization"]
        count = 0
        for organization_id in [only] if only else living_organizations():
            for difference in reconciliation.reconcile(
                organization_id, month, repair=not options["only_look"]
            ):
                self.stdout.write(f"{organization_id}: {difference}")
                count += 1
        self.stdout.write(f"{count} differences in {month:%Y-%m}.")
        if count:
            sys.exit(1)


def _month(text: str) -> date:
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", text):
        raise ArgumentTypeError(f"'{text}' is no month such as 2026-11.")
    return date.fromisoformat(f"{text}-01")
