"""Supervised fine-tuning of a LoRA adapter: one readable loop, from `run.json` to a published adapter."""

# ruff: noqa: I001, F401 - these two come before torch, see there
from training.recipes import lifeline, patience

import argparse
import contextlib
import errno
import logging
import math
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
import transformers

from training.recipes import artifact, checkpoint, lora
from training.recipes.batches import IGNORED, Tensors, collate, epoch_batches, micro_batches
from training.recipes.chat import ChatEncoder, EncodedRow, encode_rows
from training.recipes.checkpoint import Learner, Progress
from training.recipes.events import EventStream, take_over_stdout
from training.recipes.faults import Refused, rows_in_words
from training.recipes.hyperparameters import Hyperparameters
from training.recipes.rows import read_rows
from training.recipes.run_file import Run, read_run

log = logging.getLogger(__name__)
DONE, FAILED, STOPPED = 0, 1, 75


@dataclass(frozen=True)
class Machine:
    """Where the arithmetic happens: weights and products in `dtype`, `micro_tokens` at a time."""

    device: torch.device
    dtype: torch.dtype
    micro_tokens: int

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Compute matrix products in bfloat16 where that pays."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)


@dataclass(frozen=True)
class Score:
    """Loss and accuracy, averaged over the learned tokens."""

    loss: float
    accuracy: float


def train(run: Run, events: EventStream, stop: lifeline.StopRequest) -> int:
    """Run to the end, or to a checkpoint when `stop` turns true; return `DONE` or `STOPPED`.

    Emits `started`, `metrics`, `checkpoint` and `finished`. Raises `Refused`.
    """
    settings = run.hyperparameters
    machine = _this_machine(run.threads)
    rows, validation = _encoded(run)
    learner, fingerprint = _learner(run, machine, rows)
    progress = Progress()
    if run.resume_from:
        progress = checkpoint.restore(run.resume_from, learner, fingerprint=fingerprint)
    lengths = [len(row.token_ids) for row in rows]
    steps_per_epoch = math.ceil(len(rows) / settings.batch_size)
    total_steps = steps_per_epoch * settings.n_epochs
    checkpoints = run.work_dir / "checkpoints"
    artifact.remove_leftovers(checkpoints)
    events.emit(
        "started",
        total_steps=total_steps,
        rows=len(rows),
        epochs=settings.n_epochs,
        resumed_step=progress.step,
        trained_tokens_per_epoch=sum(row.trained_tokens for row in rows),
    )

    def write_checkpoint() -> None:
        folder = checkpoints / f"step-{progress.step:06d}"
        checkpoint.save(folder, learner, progress, fingerprint=fingerprint)
        events.emit("checkpoint", step=progress.step, path=str(folder))

    for step in range(progress.step + 1, total_steps + 1):
        if stop:
            write_checkpoint()
            return STOPPED
        lifeline.require_parent()
        began = time.monotonic()
        epoch, at = divmod(step - 1, steps_per_epoch)
        order = epoch_batches(lengths, batch_size=settings.batch_size, seed=settings.seed, epoch=epoch)
        batch = [rows[index] for index in order[at]]

        rate = learning_rate(step, total_steps=total_steps, settings=settings)
        score, gradient_norm = take_step(learner, batch, machine, rate=rate, settings=settings)
        _require_finite(score.loss, gradient_norm, step=step)

        tokens = sum(len(row.token_ids) for row in batch)
        seconds = time.monotonic() - began
        progress.step = step
        progress.tokens += tokens
        progress.trained_tokens += sum(row.trained_tokens for row in batch)
        due = step % settings.checkpoint_every_steps == 0 or step % steps_per_epoch == 0
        valid = evaluate(learner.model, validation, machine, stop) if due else None
        progress.elapsed_seconds += time.monotonic() - began
        events.emit(
            "metrics",
            step=step,
            total_steps=total_steps,
            epoch=epoch + 1,
            train_loss=score.loss,
            train_mean_token_accuracy=score.accuracy,
            **({"valid_loss": valid.loss, "valid_mean_token_accuracy": valid.accuracy} if valid else {}),
            learning_rate=rate,
            grad_norm=gradient_norm,
            tokens=progress.tokens,
            trained_tokens=progress.trained_tokens,
            tokens_per_second=tokens / seconds,
            elapsed_seconds=progress.elapsed_seconds,
        )
        if due:
            write_checkpoint()

    _publish_adapter(run, learner.model, progress, events)
    return DONE


def learning_rate(step: int, *, total_steps: int, settings: Hyperparameters) -> float:
    """Return the rate at a 1-based step: linear warm-up, then half a cosine towards zero."""
    warmup_steps = round(settings.warmup_ratio * total_steps)
    if step <= warmup_steps:
        return settings.learning_rate * step / warmup_steps
    done = (step - warmup_steps - 1) / max(1, total_steps - warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def take_step(
    learner: Learner, batch: Sequence[EncodedRow], machine: Machine, *, rate: float, settings: Hyperparameters
) -> tuple[Score, float]:
    """Learn from one batch; return its score before the step and the gradient's norm before clipping.

    Weights stay as they are when the gradient is not finite.
    """
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    score = accumulate_gradients(learner.model, batch, machine)
    parameters = lora.trainable(learner.model).values()
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm))
    if math.isfinite(norm):
        learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    return score, norm


def token_losses(model: Any, batch: Tensors) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the summed cross-entropy over the learned tokens and how many were predicted right.

    The vocabulary's logits, the largest tensor of all, are made for the learned places only.
    """
    base = model.get_base_model()
    hidden = base.base_model(input_ids=batch.token_ids, attention_mask=batch.attention).last_hidden_state
    learned = batch.targets != IGNORED
    logits = base.get_output_embeddings()(hidden[learned]).float()
    targets = batch.targets[learned]
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return loss, (logits.argmax(-1) == targets).sum()


@torch.no_grad()
def evaluate(
    model: Any, rows: Sequence[EncodedRow], machine: Machine, stop: lifeline.StopRequest
) -> Score | None:
    """Return the score on `rows` without learning from them; None without rows, or when asked to stop."""
    if not rows:
        return None
    model.eval()
    loss, correct, learned = 0.0, 0, 0
    for batch in _on_device(rows, machine):
        if stop:
            return None
        with machine.autocast():
            batch_loss, batch_correct = token_losses(model, batch)
        loss += float(batch_loss)
        correct += int(batch_correct)
        learned += int((batch.targets != IGNORED).sum())
    return Score(loss / learned, correct / learned)


def accumulate_gradients(model: Any, rows: Sequence[EncodedRow], machine: Machine) -> Score:
    """Add up the gradients of the mean loss per learned token of the whole batch, part by part.

    Dividing by the whole batch's count, not by each part's, makes the parts add up to the true mean.
    """
    model.train()
    parts = list(_on_device(rows, machine))
    learned = sum(int((part.targets != IGNORED).sum()) for part in parts)
    loss, correct = 0.0, 0
    for part in parts:
        with machine.autocast():
            part_loss, part_correct = token_losses(model, part)
        (part_loss / learned).backward()  # type: ignore[no-untyped-call]
        loss += float(part_loss.detach())
        correct += int(part_correct)
    return Score(loss / learned, correct / learned)


def _on_device(rows: Sequence[EncodedRow], machine: Machine) -> Iterator[Tensors]:
    for part in micro_batches(rows, most_tokens=machine.micro_tokens):
        tensors = collate(part)
        yield Tensors(
            tensors.token_ids.to(machine.device),
            tensors.attention.to(machine.device),
            tensors.targets.to(machine.device),
        )


def _this_machine(threads: int | None) -> Machine:
    if threads:
        torch.set_num_threads(threads)
    if torch.cuda.is_available():
        return Machine(torch.device("cuda"), torch.bfloat16, micro_tokens=32_768)
    # Without the instructions bfloat16 is emulated and slower than float32.
    fast = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return Machine(torch.device("cpu"), torch.bfloat16 if fast else torch.float32, micro_tokens=2_048)


def _verified_base(folder: Path) -> tuple[str, str]:
    try:
        manifest = artifact.verify(folder)
    except artifact.Incomplete as fault:
        raise Refused("base_model_corrupt", f"The base model cannot be used: {fault}") from fault
    return str(manifest["name"]), str(manifest["digest"])


def _encoded(run: Run) -> tuple[list[EncodedRow], list[EncodedRow]]:
    """Return the rows to learn and those to validate on."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.base_model_dir, local_files_only=True)
    encoder = ChatEncoder(tokenizer)
    most = run.hyperparameters.max_tokens
    rows = encode_rows(read_rows(run.train_file), encoder, max_tokens=most)
    if run.validation_file is None:
        return rows, []
    try:
        return rows, encode_rows(read_rows(run.validation_file), encoder, max_tokens=most)
    except Refused as fault:
        raise Refused(fault.code, f"In the validation file: {fault.message}", fault.rows) from fault


def _learner(run: Run, machine: Machine, rows: Sequence[EncodedRow]) -> tuple[Learner, str]:
    """Return the base model with a fresh adapter and its optimizer, and the run's fingerprint."""
    settings = run.hyperparameters
    base_name, base_digest = _verified_base(run.base_model_dir)
    torch.manual_seed(settings.seed)
    base = lora.load_base(run.base_model_dir, device=machine.device, dtype=machine.dtype)
    _require_context(base, rows)
    model = lora.attach(base, settings, base_name=base_name)
    if max(len(row.token_ids) for row in rows) > machine.micro_tokens:
        # Slower by a third, so only for rows whose activations would not fit otherwise.
        base.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW(
        lora.trainable(model).values(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    return Learner(model, optimizer), run.fingerprint(base_digest)


def _publish_adapter(run: Run, model: Any, progress: Progress, events: EventStream) -> None:
    adapter_dir = run.work_dir / "adapter"
    with artifact.publishing(adapter_dir) as partial:
        lora.save_adapter(model, partial)
    events.emit(
        "finished",
        step=progress.step,
        trained_tokens=progress.trained_tokens,
        adapter_dir=str(adapter_dir),
        digest=artifact.digest(adapter_dir),
    )


def _require_context(base: Any, rows: Sequence[EncodedRow]) -> None:
    context = int(base.config.max_position_embeddings)
    too_long = [row.number for row in rows if len(row.token_ids) > context]
    if too_long:
        message = f"{rows_in_words(too_long)} longer than the model's context of {context} tokens."
        raise Refused("row_too_long", message, too_long)


def _require_finite(loss: float, gradient_norm: float, *, step: int) -> None:
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        message = (
            f"The loss became infinite or undefined at step {step}; a lower learning_rate usually helps."
        )
        raise Refused("loss_not_finite", message)


def _failure(fault: Exception) -> Refused:
    """Say what went wrong without quoting anything: messages of foreign exceptions may hold rows."""
    if isinstance(fault, Refused):
        return fault
    if isinstance(fault, MemoryError | torch.OutOfMemoryError):
        return Refused("out_of_memory", "Memory ran out; lower batch_size or max_tokens.")
    if isinstance(fault, OSError) and fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused("disk_full", "The disk is full; the last complete checkpoint is unharmed.")
    if isinstance(fault, safetensors.SafetensorError):
        return Refused("disk_full", "Weights could not be written; the last complete checkpoint is unharmed.")
    log.error("".join(traceback.format_tb(fault.__traceback__)))
    return Refused("internal", f"The recipe failed ({type(fault).__name__}); its log shows where.")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="training.recipes.sft", description=__doc__)
    parser.add_argument("run_dir", type=Path, help="folder with run.json")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    stop = lifeline.StopRequest()
    stop.listen()
    events = take_over_stdout()
    try:
        lifeline.die_with_parent()
        return train(read_run(options.run_dir), events, stop)
    except lifeline.ParentGone:
        log.error("the process that started this run is gone")
        return FAILED
    except Exception as fault:
        failure = _failure(fault)
        rows = {"rows": failure.rows[:1000]} if failure.rows else {}
        events.emit("failed", code=failure.code, message=failure.message, **rows)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
