"""The pod under test: started once for a module, with adapters of visible effect."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.inference.engine.lora_maker import make_adapter, tar_of
from tests.inference.engine.pods import RunningPod, make_model_dir, running_pod


@dataclass(frozen=True)
class MadeAdapter:
    """An adapter on disk and the body that uploads it."""

    adapter_id: str
    folder: Path
    tar: bytes


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model_dir(tmp_path_factory.mktemp("models") / "smollm2")


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> list[MadeAdapter]:
    made = []
    for seed in (1, 2):
        folder = tmp_path_factory.mktemp("adapters") / "adapter"
        adapter_id = make_adapter(folder, seed)
        made.append(MadeAdapter(adapter_id, folder, tar_of(folder)))
    return made


@pytest.fixture(scope="module")
def pod(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPod]:
    with running_pod(model_dir, tmp_path_factory.mktemp("state")) as pod:
        yield pod
