"""Adapters on a real pod: each request is served by what it asked for, and by nothing else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.inference.engine.conftest import MadeAdapter
from tests.inference.engine.lora_maker import make_adapter, tar_of
from tests.inference.engine.pods import RunningPod, running_pod
from training.recipes import artifact

pytestmark = pytest.mark.slow

PROMPTS = ["The capital of France is", "Once upon a time", "The best way to cook rice is to"]


@pytest.fixture(autouse=True)
def uploaded(pod: RunningPod, adapters: list[MadeAdapter]) -> None:
    for adapter in adapters:
        answer = pod.client.put(f"/adapters/{adapter.adapter_id}", content=adapter.tar)
        assert answer.status_code in (200, 201), answer.text


def served(pod: RunningPod, prompt: str, adapter_id: str | None) -> tuple[str, str]:
    parameters = {"max_new_tokens": 24, "adapter_id": adapter_id}
    answer = pod.client.post("/generate", json={"inputs": prompt, "parameters": parameters})
    return answer.headers["x-adapter-id"], answer.json()["generated_text"]


def test_interleaved_requests_answer_as_each_alone(pod: RunningPod, adapters: list[MadeAdapter]) -> None:
    wishes = [(p, a) for p in PROMPTS for a in (None, *(adapter.adapter_id for adapter in adapters))]
    alone = [served(pod, *wish) for wish in wishes]
    with ThreadPoolExecutor(9) as threads:
        together = list(threads.map(lambda wish: served(pod, *wish), wishes * 2))
    assert together == alone * 2
    assert len({text for _, text in alone[:3]}) == 3
    base = pod.client.get("/adapters").json()["base"]
    assert [identity for identity, _ in alone[:3]] == [base, *(a.adapter_id for a in adapters)]


def test_putting_an_adapter_again_changes_nothing(pod: RunningPod, adapters: list[MadeAdapter]) -> None:
    again = pod.client.put(f"/adapters/{adapters[0].adapter_id}", content=adapters[0].tar)
    assert again.status_code == 200
    assert len(pod.client.get("/adapters").json()["adapters"]) == len(adapters)


def test_an_adapter_under_anothers_name_is_refused(pod: RunningPod, adapters: list[MadeAdapter]) -> None:
    for name in (adapters[0].adapter_id, "adapter-" + "0" * 64, "adapter-../../x", "latest"):
        answer = pod.client.put(f"/adapters/{name}", content=adapters[1].tar)
        assert answer.status_code in (404, 422)
        assert answer.json()["error_type"] in ("validation", "not_found")


def test_an_unknown_adapter_is_an_error_never_the_base(pod: RunningPod) -> None:
    unknown = "adapter-" + "f" * 64
    status, message = pod.refused("a", adapter_id=unknown)
    assert (status, unknown in message) == (422, True)
    (event,) = pod.stream("a", adapter_id=unknown)
    assert event["error_type"] == "validation"
    body = {"model": unknown, "messages": [{"role": "user", "content": "a"}]}
    assert pod.client.post("/v1/chat/completions", json=body).status_code == 422


def test_a_deleted_adapter_is_gone(pod: RunningPod, tmp_path: Path) -> None:
    adapter_id = make_adapter(tmp_path / "third", 3)
    pod.client.put(f"/adapters/{adapter_id}", content=tar_of(tmp_path / "third"))
    assert served(pod, "a", adapter_id)[0] == adapter_id
    assert pod.client.delete(f"/adapters/{adapter_id}").status_code == 204
    assert pod.refused("a", adapter_id=adapter_id)[0] == 422
    assert pod.client.delete(f"/adapters/{adapter_id}").status_code == 404
    assert not (pod.state_dir / "adapters" / adapter_id).exists()


def test_an_adapter_without_effect_is_called_identical_to_the_base(pod: RunningPod, tmp_path: Path) -> None:
    adapter_id = make_adapter(tmp_path / "zero", 4, strength=0.0)
    pod.client.put(f"/adapters/{adapter_id}", content=tar_of(tmp_path / "zero"))
    served(pod, "a", adapter_id)
    effects = {row["adapter_id"]: row["effect"] for row in pod.client.get("/adapters").json()["adapters"]}
    pod.client.delete(f"/adapters/{adapter_id}")
    assert effects[adapter_id] == "identical to base"
    assert set(effects.values()) <= {"identical to base", "differs from base", None}


def test_an_adapter_with_values_that_are_not_finite_is_refused(pod: RunningPod, tmp_path: Path) -> None:
    make_adapter(tmp_path / "nan", 5)
    path = tmp_path / "nan" / "adapter_model.safetensors"
    tensors = load_file(path)
    tensors[next(iter(tensors))][0, 0] = np.nan
    save_file(tensors, path)
    adapter_id = f"adapter-{artifact.digest(tmp_path / 'nan')}"
    answer = pod.client.put(f"/adapters/{adapter_id}", content=tar_of(tmp_path / "nan"))
    assert (answer.status_code, "not finite" in answer.json()["error"]) == (422, True)


def test_more_adapters_than_instances_take_turns(model_dir: Path, tmp_path: Path) -> None:
    with running_pod(model_dir, tmp_path / "state", "--max-instances", "1") as pod:
        made = [make_adapter(tmp_path / f"a{seed}", seed) for seed in (6, 7)]
        for seed, adapter_id in zip((6, 7), made, strict=True):
            pod.client.put(f"/adapters/{adapter_id}", content=tar_of(tmp_path / f"a{seed}"))
        wishes = [(PROMPTS[0], adapter_id) for adapter_id in (*made, None)] * 2
        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda wish: served(pod, *wish), wishes))
        assert answers[:3] == answers[3:]
        assert [identity for identity, _ in answers[:2]] == made
        assert len(pod.children()) == 1


def test_a_restarted_pod_still_has_its_adapters(
    model_dir: Path, tmp_path: Path, adapters: list[MadeAdapter]
) -> None:
    adapter = adapters[0]
    with running_pod(model_dir, tmp_path / "state") as pod:
        pod.client.put(f"/adapters/{adapter.adapter_id}", content=adapter.tar)
        before = served(pod, PROMPTS[0], adapter.adapter_id)
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    (tmp_path / "state/adapters/.incoming-left").mkdir()
    with running_pod(model_dir, tmp_path / "state") as pod:
        assert served(pod, PROMPTS[0], adapter.adapter_id) == before
        assert not (tmp_path / "state/adapters/.incoming-left").exists()
