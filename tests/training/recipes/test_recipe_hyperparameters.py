"""Hyperparameters say what is wrong with them, all of it."""

from typing import Any

import pytest

from training.recipes.faults import Refused
from training.recipes.hyperparameters import RANGES, Hyperparameters, defaults


@pytest.mark.parametrize("rows", [0, 1, 10, 300, 599, 5_000, 1_000_000])
def test_defaults_are_valid_for_any_number_of_rows(rows: int) -> None:
    assert Hyperparameters.from_mapping(defaults(rows)).n_epochs >= 1


def test_few_rows_are_passed_over_more_often() -> None:
    assert defaults(20)["n_epochs"] > defaults(5_000)["n_epochs"]


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", [-1, 10**12, "8", None, True, float("nan")])
def test_a_bad_value_is_named_with_the_range_it_must_keep(name: str, value: Any) -> None:
    with pytest.raises(Refused) as caught:
        Hyperparameters.from_mapping({**defaults(10), name: value})
    assert caught.value.message == f"{name} is {value!r}, it must be {RANGES[name]}."


def test_all_bad_values_are_told_at_once() -> None:
    with pytest.raises(Refused, match=r"n_epochs is 0.*batch_size is 1\.5") as caught:
        Hyperparameters.from_mapping({**defaults(10), "n_epochs": 0, "batch_size": 1.5})
    assert caught.value.code == "hyperparameter_invalid"


def test_missing_and_unknown_names_are_told() -> None:
    raw = defaults(10)
    del raw["seed"]
    with pytest.raises(Refused, match=r"seed is missing\. speed is unknown\."):
        Hyperparameters.from_mapping({**raw, "speed": 1})
