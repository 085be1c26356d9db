"""Migration operations that put PostgreSQL's own locks on tenant-owned tables.

`CreateModel` makes the table; these follow it in the same migration. Each states the table's rule once,
in the database, where no forgotten filter can pass it by.
"""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

CURRENT = "NULLIF(current_setting('app.organization_id', true), '')::uuid"


class TableRule(Operation):
    """An operation on one model's table that changes the database and not Django's state."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Django's picture of the models does not change."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        for statement in self.forwards(model):
            schema_editor.execute(statement)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        for statement in self.backwards(model):
            schema_editor.execute(statement)

    def forwards(self, model: Any) -> list[str]:
        """The SQL statements that apply the rule."""
        raise NotImplementedError

    def backwards(self, model: Any) -> list[str]:
        """The SQL statements that lift it."""
        raise NotImplementedError

    def describe(self) -> str:
        return f"{type(self).__name__} on {self.model_name}"


class TenantTable(TableRule):
    """Row-level security by organization, forced on the owner too, and the target of composite keys.

    `column` is the one that holds the organization (`id` on the organization's own table);
    `organization_table` adds a foreign key to it. A table that nothing refers to, and to which every write of
    a log adds, is spared the target's index by `referred_to=False`.
    """

    def __init__(
        self,
        model_name: str,
        *,
        column: str = "organization_id",
        organization_table: str | None = None,
        referred_to: bool = True,
    ) -> None:
        super().__init__(model_name)
        self.column = column
        self.organization_table = organization_table
        self.referred_to = referred_to

    def forwards(self, model: Any) -> list[str]:
        table = model._meta.db_table
        rule = f"{self.column} = {CURRENT}"
        statements = [
            f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY',
            f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY',
            f'CREATE POLICY tenant ON "{table}" USING ({rule}) WITH CHECK ({rule})',
        ]
        if self.column != "id" and self.referred_to:
            statements.append(
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_tenant_key" UNIQUE ({self.column}, id)'
            )
        if self.organization_table:
            statements.append(
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_organization_fk" '
                f'FOREIGN KEY ({self.column}) REFERENCES "{self.organization_table}" (id)'
            )
        return statements

    def backwards(self, model: Any) -> list[str]:
        table = model._meta.db_table
        return [
            f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS "{table}_organization_fk"',
            f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS "{table}_tenant_key"',
            f'DROP POLICY tenant ON "{table}"',
            f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY',
        ]


class TenantForeignKey(TableRule):
    """A foreign key that includes the organization, so that no row can point at another tenant's.

    The model's field is declared with `db_constraint=False`; this is the constraint.
    """

    def __init__(self, model_name: str, field_name: str, *, on_delete: str = "NO ACTION") -> None:
        super().__init__(model_name)
        self.field_name = field_name
        self.on_delete = on_delete

    def forwards(self, model: Any) -> list[str]:
        field = model._meta.get_field(self.field_name)
        target = field.related_model._meta.db_table
        return [
            f'ALTER TABLE "{model._meta.db_table}" ADD CONSTRAINT "{self._name(model)}" '
            f'FOREIGN KEY (organization_id, "{field.column}") REFERENCES "{target}" (organization_id, id) '
            f"ON DELETE {self.on_delete} DEFERRABLE INITIALLY DEFERRED"
        ]

    def backwards(self, model: Any) -> list[str]:
        return [f'ALTER TABLE "{model._meta.db_table}" DROP CONSTRAINT "{self._name(model)}"']

    def _name(self, model: Any) -> str:
        return f"{model._meta.db_table}_{self.field_name}_tenant_fk"


class SystemAccess(TableRule):
    """What the tenant-crossing role may do with a table; with row-level security, a policy for it too."""

    def __init__(self, model_name: str, privileges: str = "SELECT", *, shared: bool = False) -> None:
        super().__init__(model_name)
        self.privileges = privileges
        self.shared = shared

    def forwards(self, model: Any) -> list[str]:
        table = model._meta.db_table
        statements = [f'GRANT {self.privileges} ON "{table}" TO lw_system']
        if not self.shared:
            statements.append(
                f'CREATE POLICY system ON "{table}" TO lw_system USING (true) WITH CHECK (true)'
            )
        return statements

    def backwards(self, model: Any) -> list[str]:
        table = model._meta.db_table
        statements = [f'REVOKE ALL ON "{table}" FROM lw_system']
        if not self.shared:
            statements.append(f'DROP POLICY system ON "{table}"')
        return statements


class AppendOnly(TableRule):
    """Refuse UPDATE, DELETE and TRUNCATE, whoever asks."""

    def forwards(self, model: Any) -> list[str]:
        table = model._meta.db_table
        return [
            f'CREATE FUNCTION "{table}_refuse"() RETURNS trigger LANGUAGE plpgsql AS '
            f"$$ BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = '42501'; END $$",
            f'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON "{table}" '
            f'FOR EACH ROW EXECUTE FUNCTION "{table}_refuse"()',
            f'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON "{table}" '
            f'FOR EACH STATEMENT EXECUTE FUNCTION "{table}_refuse"()',
        ]

    def backwards(self, model: Any) -> list[str]:
        table = model._meta.db_table
        return [
            f'DROP TRIGGER append_only ON "{table}"',
            f'DROP TRIGGER append_only_truncate ON "{table}"',
            f'DROP FUNCTION "{table}_refuse"()',
        ]


class ErasedWithItsOrganization(TableRule):
    """Let an append-only table's rows go once their organization is closed, and not before.

    Follows `AppendOnly`: an organization that leaves takes its log with it. The table may be of another
    app than the migration's, which then depends on that app's.
    """

    def __init__(self, app_label: str, model_name: str, *, organization_table: str) -> None:
        super().__init__(model_name)
        self.app_label = app_label
        self.organization_table = organization_table

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        super().database_forwards(self.app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        super().database_backwards(self.app_label, schema_editor, from_state, to_state)

    def forwards(self, model: Any) -> list[str]:
        table = model._meta.db_table
        closed = f'SELECT FROM "{self.organization_table}" WHERE id = OLD.organization_id'
        return [
            f'CREATE OR REPLACE FUNCTION "{table}_refuse"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN '
            f"IF TG_OP = 'DELETE' AND EXISTS ({closed} AND state = 'closed' AND erase_at <= now()) "
            f"THEN RETURN OLD; END IF; "
            f"RAISE EXCEPTION '{table} is append-only' USING ERRCODE = '42501'; END $$"
        ]

    def backwards(self, model: Any) -> list[str]:
        table = model._meta.db_table
        return [
            f'CREATE OR REPLACE FUNCTION "{table}_refuse"() RETURNS trigger LANGUAGE plpgsql AS '
            f"$$ BEGIN RAISE EXCEPTION '{table} is append-only' USING ERRCODE = '42501'; END $$"
        ]
