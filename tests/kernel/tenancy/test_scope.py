"""The locks between organizations, each tried with the other open."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction

from kernel.ids import uuid7
from kernel.tenancy.scope import ForeignRow, NoTenant, across_tenants, acting_for
from tenants.access.models import ApiKey, Member
from tenants.organizations.models import Organization, Project
from tests.cast import Person


def settings_in_database() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.organization_id', true), current_user")
        organization, role = cursor.fetchone()
    return organization or "", role


def names_by_sql(organization_id: UUID) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM organizations_project WHERE organization_id = %s", [organization_id])
        return [row[0] for row in cursor.fetchall()]


def test_rows_cannot_be_asked_for_without_an_organization(stores: Any) -> None:
    with pytest.raises(NoTenant):
        Project.objects.all()


def test_python_shows_the_organizations_own_rows_only(owner: Person, stranger: Person) -> None:
    with owner.acting():
        assert [p.organization_id for p in Project.objects.all()] == [owner.organization.pk]
        assert not Project.objects.filter(pk=stranger.project.pk).exists()


def test_the_database_hides_foreign_rows_from_plain_sql(owner: Person, stranger: Person) -> None:
    with owner.acting():
        assert names_by_sql(owner.organization.pk) == ["Default project"]
        assert names_by_sql(stranger.organization.pk) == []


def test_the_database_shows_nothing_without_an_organization(owner: Person) -> None:
    assert names_by_sql(owner.organization.pk) == []
    assert not Organization.objects.filter(pk=owner.organization.pk).exists()


def test_the_unscoped_manager_is_stopped_by_the_database(owner: Person, stranger: Person) -> None:
    with owner.acting():
        assert not Project._base_manager.filter(pk=stranger.project.pk).exists()


def test_a_row_of_another_organization_cannot_be_written(owner: Person, stranger: Person) -> None:
    with owner.acting(), pytest.raises(ForeignRow):
        Project.objects.create(organization_id=stranger.organization.pk, name="smuggled")


def test_the_database_refuses_a_foreign_row_too(owner: Person, stranger: Person) -> None:
    statement = "INSERT INTO organizations_project (id, organization_id, name) VALUES (%s, %s, 'smuggled')"
    refusal = pytest.raises(ProgrammingError, match="row-level security")
    with refusal, owner.acting(), connection.cursor() as cursor:
        cursor.execute(statement, [uuid7(), stranger.organization.pk])


def test_bulk_creation_is_stamped_with_the_organization(owner: Person) -> None:
    with owner.acting():
        made = Project.objects.bulk_create([Project(name="one"), Project(name="two")])
        assert {project.organization_id for project in made} == {owner.organization.pk}


def test_a_key_to_a_foreign_project_is_refused_by_the_database(owner: Person, stranger: Person) -> None:
    with pytest.raises(IntegrityError), owner.acting():
        ApiKey.objects.create(
            project_id=stranger.project.pk, name="x", prefix="x", secret_hash=uuid7().hex, permissions=[]
        )


def test_crossing_tenants_reaches_only_the_named_tables(owner: Person, stranger: Person) -> None:
    with across_tenants():
        assert settings_in_database() == ("", "lw_system")
        found = Member.objects.filter(user__in=[owner.user.pk, stranger.user.pk])
        assert {member.organization_id for member in found} == {
            owner.organization.pk,
            stranger.organization.pk,
        }
    with pytest.raises(ProgrammingError, match="permission denied"), across_tenants():
        Project.objects.update(name="everybody's")


def test_a_scope_restores_the_one_before_it(owner: Person, stranger: Person) -> None:
    with owner.acting():
        with stranger.acting():
            assert settings_in_database()[0] == str(stranger.organization.pk)
        assert settings_in_database()[0] == str(owner.organization.pk)
        with across_tenants():
            assert settings_in_database()[1] == "lw_system"
            with stranger.acting():
                assert settings_in_database() == (str(stranger.organization.pk), "loomworks_app")
        assert settings_in_database() == (str(owner.organization.pk), "loomworks_app")
    assert settings_in_database() == ("", "loomworks_app")


def test_a_scope_that_fails_half_way_leaves_no_organization_behind(owner: Person) -> None:
    with pytest.raises(IntegrityError), owner.acting():
        Project.objects.create(name="Default project")
    assert settings_in_database() == ("", "loomworks_app")
    with transaction.atomic():
        with pytest.raises(RuntimeError), acting_for(owner.organization.pk):
            raise RuntimeError
        assert settings_in_database() == ("", "loomworks_app")


def test_the_application_is_neither_owner_nor_superuser(stores: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == (False, False, False)
        cursor.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchall() == [("loomworks_owner",)]


def test_the_application_cannot_lift_the_locks(owner: Person) -> None:
    statement = "ALTER TABLE organizations_project DISABLE ROW LEVEL SECURITY"
    with pytest.raises(ProgrammingError) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert isinstance(refused.value.__cause__, psycopg.errors.InsufficientPrivilege)
