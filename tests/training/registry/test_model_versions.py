"""Model versions never change, whoever asks, and belong to one organization."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import ProgrammingError, connection

from kernel import ids
from kernel.tenancy.scope import acting_for
from tenants.organizations.services.founding import found_organization
from training.registry.models import BaseModel, ModelVersion
from training.registry.services import NewModelVersion, register_model_version


@pytest.fixture
def base(stores: Any) -> Iterator[BaseModel]:
    model = BaseModel.objects.create(
        name=f"base-{ids.uuid7().hex}",
        architecture="LlamaForCausalLM",
        parameters=1,
        context_tokens=8,
        digest="0" * 64,
        folder="nowhere",
        chat_template="",
        eos_token="",
    )
    yield model
    connection.close()


def new(project_id: UUID, base: BaseModel, job_id: UUID) -> NewModelVersion:
    return NewModelVersion(
        id=ids.uuid7(),
        name=f"ft:base:org::{ids.uuid7().hex[-8:]}",
        project_id=project_id,
        created_by_id=None,
        base_model=base,
        job_id=job_id,
        digest="d" * 64,
        bytes=1,
        object_key="nowhere",
    )


def test_a_job_makes_one_model_version_however_often_it_says_so(base: BaseModel) -> None:
    organization, project = found_organization("Acme Inc.")
    job_id = ids.uuid7()
    with acting_for(organization.pk):
        first = register_model_version(new(project.pk, base, job_id))
        assert register_model_version(new(project.pk, base, job_id)) == first
        # The same content from another job has a name of its own.
        assert register_model_version(new(project.pk, base, ids.uuid7())) != first


def test_the_database_refuses_to_change_a_model_version(base: BaseModel) -> None:
    organization, project = found_organization("Acme Inc.")
    with acting_for(organization.pk):
        version = register_model_version(new(project.pk, base, ids.uuid7()))
    with pytest.raises(ProgrammingError, match="permission denied"), acting_for(organization.pk):
        ModelVersion.objects.filter(pk=version.pk).update(digest="e" * 64)


def test_a_stranger_cannot_see_a_model_version(base: BaseModel) -> None:
    organization, project = found_organization("Acme Inc.")
    stranger, _ = found_organization("Other & Sons")
    with acting_for(organization.pk):
        version = register_model_version(new(project.pk, base, ids.uuid7()))
    with acting_for(stranger.pk):
        assert not ModelVersion.objects.filter(pk=version.pk).exists()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM registry_modelversion")
            assert cursor.fetchone() == (0,)
