"""What people do with prompt templates (docs/policy.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Max, ProtectedError, QuerySet

from inference.gateway.policy.prompting import read_template, variables_in
from inference.prompts.errors import NameTaken, PromptInUse, PromptUnknown
from inference.prompts.models import PromptTemplate, PromptVersion
from kernel import ids
from kernel.audit.log import record
from kernel.errors import NotFound


@dataclass(frozen=True)
class VersionText:
    """What a version says. `messages` are objects with `role` and `content`."""

    messages: list[Mapping[str, Any]]
    variables: list[str]


def templates_of(project_id: UUID) -> "QuerySet[PromptTemplate]":
    """A project's templates, each with the number of its newest version as `latest`."""
    rows: QuerySet[PromptTemplate] = PromptTemplate.objects.filter(project_id=project_id)
    return rows.annotate(latest=Max("versions__number"))


def find_template(project_id: UUID, public_id: str, *, param: str = "prompt_id") -> PromptTemplate:
    """A project's template. Raises `PromptUnknown`."""
    unknown = PromptUnknown(f"There is no prompt '{public_id[:80]}' in this project.", param=param)
    try:
        found = templates_of(project_id).filter(pk=ids.parse(PromptTemplate.prefix, public_id)).first()
    except NotFound:
        raise unknown from None
    if found is None:
        raise unknown
    return found


def find_version(template: PromptTemplate, number: str, *, param: str = "version") -> PromptVersion:
    """The version of this number. Raises `PromptUnknown`."""
    wanted = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
    found: PromptVersion | None = template.versions.filter(number=wanted).first()
    if found is None:
        raise PromptUnknown(f"The prompt '{template.public_id}' has no version '{number[:20]}'.", param=param)
    return found


def text_of(version: PromptVersion) -> VersionText:
    """What a version says. Raises `CiphertextAltered`, `KeyDestroyed`, `KeyUnavailable`."""
    messages = orjson.loads(version.messages)
    names = frozenset[str]().union(*(variables_in(one["content"], "messages") for one in messages))
    return VersionText(messages, sorted(names))


def create_template(project_id: UUID, *, name: str, messages: object, by: UUID | None) -> PromptTemplate:
    """A template and its first version. `by` is the user, None for a program.

    Raises `NameTaken`, and an `InvalidRequest` that names the place of `messages` at fault.
    """
    read_template(messages, "messages")
    template = PromptTemplate(project_id=project_id, name=name, created_by_id=by)
    template.stamp()
    PromptTemplate.objects.bulk_create([template], ignore_conflicts=True)
    if not PromptTemplate.objects.filter(pk=template.pk).exists():
        raise NameTaken(f"The project has a prompt named '{name}' already.", param="name")
    record("prompt.create", template.public_id, name=name)
    _add(template, 1, messages)
    return template


def add_version(template: PromptTemplate, messages: object) -> PromptVersion:
    """The next version of a template. Raises an `InvalidRequest` that names the place at fault."""
    read_template(messages, "messages")
    # One after the other, so that each has its own number.
    PromptTemplate.objects.select_for_update().get(pk=template.pk)
    latest = template.versions.aggregate(latest=Max("number"))["latest"] or 0
    version = _add(template, latest + 1, messages)
    record("prompt.version.create", template.public_id, version=version.number)
    return version


def delete_template(template: PromptTemplate) -> None:
    """Remove a template and its versions. Raises `PromptInUse` while a deployment pins one of them."""
    public_id = template.public_id
    try:
        template.delete()
    except ProtectedError:
        raise PromptInUse(
            f"A deployment answers with the prompt '{public_id}': change its policy first."
        ) from None
    record("prompt.delete", public_id, name=template.name)


def _add(template: PromptTemplate, number: int, messages: object) -> PromptVersion:
    version = PromptVersion(template=template, number=number)
    version.stamp()
    version.messages = orjson.dumps(messages).decode()
    version.save(force_insert=True)
    return version
