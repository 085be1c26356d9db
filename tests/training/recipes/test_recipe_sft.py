"""Training learns, resumes exactly, averages rightly, and fails in words."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import safetensors.torch
import torch
import transformers

from training.recipes import artifact, lora, sft
from training.recipes.batches import IGNORED, collate
from training.recipes.chat import EncodedRow
from training.recipes.events import EventStream
from training.recipes.faults import Refused
from training.recipes.lifeline import StopRequest
from training.recipes.run_file import Run

Order = Callable[..., Run]
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
TIMED = ("tokens_per_second", "elapsed_seconds")


class StopAfter(EventStream):
    """Asks the run to stop once the metrics of a step are out, as SIGTERM would."""

    def __init__(self, stream: io.StringIO, stop: StopRequest, step: int | None) -> None:
        super().__init__(stream)
        self.stop, self.step = stop, step

    def emit(self, event: str, **fields: Any) -> None:
        super().emit(event, **fields)
        if self.step == (0 if event == "started" else fields.get("step")):
            self.stop._arrived = True


def train(run: Run, *, stop_after: int | None = None) -> tuple[int, list[dict[str, Any]]]:
    stream, stop = io.StringIO(), StopRequest()
    code = sft.train(run, StopAfter(stream, stop, stop_after), stop)
    return code, [json.loads(line) for line in stream.getvalue().splitlines()]


def learned(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    metrics = [event for event in events if event["event"] == "metrics"]
    return [{key: value for key, value in event.items() if key not in TIMED} for event in metrics]


def weights(folder: str | Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(Path(folder) / "adapter_model.safetensors")


def test_a_run_learns_and_publishes_an_adapter_that_peft_loads(order_run: Order, tiny_base: Path) -> None:
    run = order_run(validate=True, n_epochs=12, learning_rate=0.03)
    code, events = train(run)
    metrics = learned(events)
    finished = events[-1]
    assert code == sft.DONE
    assert [event["step"] for event in metrics] == list(range(1, 37))
    assert metrics[-1]["valid_loss"] < metrics[2]["valid_loss"]
    assert metrics[-1]["train_loss"] < metrics[0]["train_loss"] - 0.2
    assert sorted(path.name for path in Path(finished["adapter_dir"]).iterdir()) == list(
        artifact.ADAPTER_FILES
    )
    assert finished["digest"] == artifact.digest(Path(finished["adapter_dir"]))
    base = transformers.AutoModelForCausalLM.from_pretrained(tiny_base)
    model = peft.PeftModel.from_pretrained(base, finished["adapter_dir"])
    assert model.peft_config["default"].base_model_name_or_path == "tiny"


def test_the_first_event_counts_what_will_be_learned(order_run: Order) -> None:
    _, events = train(order_run(n_epochs=1))
    metrics = learned(events)
    assert events[0] == {
        "event": "started",
        "total_steps": 3,
        "rows": 11,
        "epochs": 1,
        "resumed_step": 0,
        "trained_tokens_per_epoch": metrics[-1]["trained_tokens"],
    }


@pytest.mark.parametrize("step", [0, 2, 3, 5])
def test_a_stopped_and_resumed_run_equals_one_that_never_stopped(order_run: Order, step: int) -> None:
    whole = train(order_run("whole", validate=True))[1]
    code, first = train(order_run("first", validate=True), stop_after=step)
    assert (code, first[-1]["event"], first[-1]["step"]) == (sft.STOPPED, "checkpoint", step)
    torch.rand(17)  # whatever else happened to the random generator must not matter
    _, second = train(order_run("second", validate=True, resume_from=first[-1]["path"]))
    assert second[0]["resumed_step"] == step
    assert learned(first) + learned(second) == learned(whole)
    assert second[-1]["digest"] == whole[-1]["digest"]


def test_every_checkpoint_of_a_run_leads_to_the_same_adapter(order_run: Order) -> None:
    whole = train(order_run("whole"))[1]
    paths = [event["path"] for event in whole if event["event"] == "checkpoint"]
    assert [Path(path).name for path in paths] == ["step-000002", "step-000003", "step-000004", "step-000006"]
    for number, path in enumerate(paths):
        resumed = train(order_run(f"again{number}", resume_from=path))[1]
        assert resumed[-1]["digest"] == whole[-1]["digest"]


def test_another_seed_gives_another_adapter(order_run: Order) -> None:
    digests = {train(order_run(f"s{seed}", n_epochs=1, seed=seed))[1][-1]["digest"] for seed in (1, 2)}
    assert len(digests) == 2


def test_a_checkpoint_holds_no_pickle_and_describes_itself(order_run: Order) -> None:
    _, events = train(order_run(n_epochs=1))
    folder = Path(next(event["path"] for event in events if event["event"] == "checkpoint"))
    assert sorted(artifact.verify(folder)["files"]) == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "optimizer.safetensors",
        "random.safetensors",
        "trainer.json",
    ]


@pytest.mark.parametrize(
    "name", ["optimizer.safetensors", "adapter/adapter_model.safetensors", "trainer.json"]
)
def test_a_damaged_checkpoint_is_refused(order_run: Order, name: str) -> None:
    _, events = train(order_run("first"), stop_after=1)
    path = Path(events[-1]["path"]) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Refused) as caught:
        train(order_run("second", resume_from=events[-1]["path"]))
    assert caught.value.code == "checkpoint_corrupt"


def test_a_checkpoint_that_is_not_there_is_corrupt(order_run: Order, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        train(order_run(resume_from=str(tmp_path / "none")))
    assert caught.value.code == "checkpoint_corrupt"


def test_a_checkpoint_of_another_run_is_refused(order_run: Order) -> None:
    _, events = train(order_run("first"), stop_after=1)
    with pytest.raises(Refused) as caught:
        train(order_run("second", resume_from=events[-1]["path"], learning_rate=0.05))
    assert caught.value.code == "checkpoint_mismatch"


def test_splitting_a_batch_changes_neither_loss_nor_gradient(tiny_base: Path, order_run: Order) -> None:
    rows = [
        EncodedRow(n, tuple(range(10, 20 + 7 * n)), tuple(i > 4 for i in range(10 + 7 * n))) for n in range(5)
    ]
    results = []
    for micro_tokens in (10_000, 50):
        machine = sft.Machine(torch.device("cpu"), torch.float32, micro_tokens)
        torch.manual_seed(1)
        base = lora.load_base(tiny_base, device=machine.device, dtype=machine.dtype)
        settings = order_run(lora_dropout=0.0).hyperparameters
        model = lora.attach(base, settings, base_name="tiny")
        score = sft.accumulate_gradients(model, rows, machine)
        gradients = [p.grad for p in lora.trainable(model).values() if p.grad is not None]
        results.append((score, torch.cat([gradient.flatten() for gradient in gradients])))
    (whole, whole_gradient), (split, split_gradient) = results
    assert split.loss == pytest.approx(whole.loss, rel=1e-6)
    torch.testing.assert_close(split_gradient, whole_gradient, rtol=1e-4, atol=1e-7)


def test_the_loss_is_the_models_own_averaged_over_learned_tokens(tiny_base: Path, order_run: Order) -> None:
    rows = [
        EncodedRow(1, tuple(range(10, 30)), tuple(i > 4 for i in range(20))),
        EncodedRow(2, (9, 8, 7), (False, True, True)),
    ]
    machine = sft.Machine(torch.device("cpu"), torch.float32, 1_000)
    base = lora.load_base(tiny_base, device=machine.device, dtype=machine.dtype)
    model = lora.attach(base, order_run().hyperparameters, base_name="tiny").eval()
    score = sft.evaluate(model, rows, machine, StopRequest())
    batch = collate(rows)
    with torch.no_grad():
        logits = model(input_ids=batch.token_ids, attention_mask=batch.attention).logits
    reference = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORED
    )
    assert score is not None
    assert score.loss == pytest.approx(float(reference), rel=1e-5)


def test_only_the_adapter_is_trainable_and_in_float32(tiny_base: Path, order_run: Order) -> None:
    base = lora.load_base(tiny_base, device=torch.device("cpu"), dtype=torch.bfloat16)
    model = lora.attach(base, order_run().hyperparameters, base_name="tiny")
    named = lora.trainable(model)
    assert len(named) == 2 * 2 * 7  # A and B, two layers, seven linear maps each
    assert all("lora_" in name and parameter.dtype == torch.float32 for name, parameter in named.items())


def test_the_rate_warms_up_and_falls_to_nearly_nothing(order_run: Order) -> None:
    settings = order_run(learning_rate=0.01, warmup_ratio=0.1).hyperparameters
    rates = [sft.learning_rate(step, total_steps=100, settings=settings) for step in range(1, 101)]
    assert rates[0] == pytest.approx(0.001)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.0001


def test_an_infinite_loss_stops_the_run(order_run: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sft, "take_step", lambda *_args, **_rest: (sft.Score(float("nan"), 0.0), 1.0))
    with pytest.raises(Refused, match="step 1") as caught:
        train(order_run())
    assert caught.value.code == "loss_not_finite"


def test_rows_beyond_the_models_context_are_refused(order_run: Order) -> None:
    message = [{"role": "user", "content": "x" * 300}, {"role": "assistant", "content": "y"}]
    with pytest.raises(Refused, match="context of 256") as caught:
        train(order_run(rows=[{"messages": message}], max_tokens=1000))
    assert (caught.value.code, caught.value.rows) == ("row_too_long", (1,))


def test_foreign_exceptions_are_told_without_their_words() -> None:
    failure = sft._failure(ValueError("the row says SECRET"))
    assert failure.code == "internal"
    assert "SECRET" not in failure.message
