"""Every table with rows of organizations says how it is exported, erased and kept."""

from collections import Counter
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import models

from kernel.crypto.columns import Opened, SealedColumn
from kernel.ports.holdings import Erasure, Holding, Keeping
from kernel.tenancy.models import TenantOwned

OWNED = [m for m in apps.get_models() if issubclass(m, TenantOwned) and not m._meta.proxy]
named = pytest.mark.parametrize("model", OWNED, ids=lambda model: model._meta.label)


@named
def test_it_declares_what_it_holds(model: type[TenantOwned]) -> None:
    assert isinstance(vars(model).get("holding"), Holding), "declare `holding` on the model itself"


@named
def test_the_columns_it_names_are_there(model: type[TenantOwned]) -> None:
    holding = model.holding
    columns = {f.name for f in model._meta.concrete_fields} | {f.attname for f in model._meta.concrete_fields}
    assert set(holding.withheld) | set(holding.objects) | set(holding.cleared) <= columns
    if holding.kept is not None:
        assert {holding.kept.since, *filter(None, [holding.kept.gone])} <= columns
    if holding.person:
        # Raises `FieldError` for a lookup that leads nowhere.
        str(models.QuerySet(model).filter(**{f"{holding.person}__isnull": True}).query)


@named
def test_keys_of_objects_and_sealed_columns_are_found(model: type[TenantOwned]) -> None:
    holding = model.holding
    keys = {f.name for f in model._meta.concrete_fields if f.name.endswith("_key") and "object" in f.name}
    assert keys <= set(holding.objects), "name the columns that hold keys of objects"
    sealed = {f.name for f in model._meta.concrete_fields if isinstance(f, SealedColumn)}
    attributes = [value for kind in model.__mro__ for value in vars(kind).values()]
    shown = {value.column for value in attributes if isinstance(value, Opened)}
    assert sealed <= shown | set(holding.withheld), "a sealed column is read in clear, or withheld"


@named
def test_columns_that_name_people_are_declared(model: type[TenantOwned]) -> None:
    pointing = [name for name in _columns_of_people(model) if name not in ("approved_by", "lifted_by")]
    if pointing:
        assert model.holding.erased is not Erasure.NOBODY, pointing


def _columns_of_people(model: type[TenantOwned]) -> Iterator[str]:
    for field in model._meta.concrete_fields:
        target = field.related_model
        if (isinstance(target, type) and target._meta.label == "access.User") or field.name == "user_id":
            yield field.name


def test_a_kind_that_is_kept_by_days_is_one_table() -> None:
    counts = Counter(model.holding.kind for model in OWNED)
    kept = {model.holding.kind for model in OWNED if model.holding.kept is not None}
    assert [kind for kind in kept if counts[kind] > 1] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"erased": Erasure.DELETED},
        {"erased": Erasure.NOBODY, "person": "user_id"},
        {"erased": Erasure.KEPT, "person": "user_id"},
        {"erased": Erasure.CLEARED, "person": "user_id"},
        {"erased": Erasure.DELETED, "person": "user_id", "cleared": ("name",)},
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="things"):
        Holding(kind="things", **wrong)  # type: ignore[arg-type]


def test_the_platforms_bounds_hold_for_what_an_organization_chooses() -> None:
    bounded = Keeping(since="created_at", at_least=7, at_most=30)
    assert [bounded.allows(days) for days in (6, 7, 30, 31, None)] == [False, True, True, False, False]
    assert Keeping(since="created_at").allows(None)
