"""A recipe without a model: it speaks the protocol, counts its steps, and can be told to misbehave."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from training.recipes import artifact

STOPPED = 75


def say(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--step-seconds", type=float, default=0.01)
    parser.add_argument("--checkpoint-every", type=int, default=5)
    parser.add_argument("--fail-code")
    parser.add_argument("--fail-at", type=int, default=-1)
    parser.add_argument("--die-at", type=int, default=-1)
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--refuse-checkpoints", action="store_true")
    parser.add_argument("--tell-surroundings", type=Path)
    parser.add_argument("run_dir", type=Path)
    return parser.parse_args()


def save_checkpoint(work: Path, step: int) -> None:
    folder = work / "checkpoints" / f"step-{step:06d}"
    with artifact.publishing(folder) as partial:
        (partial / "state.json").write_text(json.dumps({"step": step}))
        artifact.write_manifest(partial, {"step": step})
    say("checkpoint", step=step, path=str(folder))


def tell_surroundings(target: Path, run_dir: Path, train_file: str) -> None:
    facts = {
        "environment": dict(os.environ),
        "mode": oct(run_dir.stat().st_mode & 0o777),
        "rows": len((run_dir / train_file).read_text().splitlines()),
        "folder": str(run_dir),
    }
    target.write_text(json.dumps(facts))


def measure(step: int, options: argparse.Namespace) -> None:
    say(
        "metrics",
        step=step,
        total_steps=options.steps,
        epoch=1,
        train_loss=2.0 / step,
        train_mean_token_accuracy=0.5,
        learning_rate=1e-3,
        grad_norm=1.0,
        tokens=step * 10,
        trained_tokens=step * 5,
        tokens_per_second=1000.0,
        elapsed_seconds=step * max(options.step_seconds, 0.001),
    )


def finish(work: Path, options: argparse.Namespace) -> None:
    adapter = work / "adapter"
    with artifact.publishing(adapter) as partial:
        (partial / "adapter_config.json").write_text(json.dumps({"steps": options.steps}))
        (partial / "adapter_model.safetensors").write_bytes(b"weights" * 100)
    say(
        "finished",
        step=options.steps,
        trained_tokens=options.steps * 5,
        adapter_dir=str(adapter),
        digest=artifact.digest(adapter),
    )


def main() -> int:  # noqa: C901 - one script, read from top to bottom
    options = read_options()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: None if options.deaf else stopped.append(number))

    order = json.loads((options.run_dir / "run.json").read_text())
    if options.tell_surroundings:
        tell_surroundings(options.tell_surroundings, options.run_dir, order["train_file"])
    work = options.run_dir / order["work_dir"]
    done = 0
    if order["resume_from"]:
        if options.refuse_checkpoints:
            say("failed", code="checkpoint_corrupt", message="The checkpoint cannot be used.")
            return 1
        artifact.verify(options.run_dir / order["resume_from"])
        done = json.loads((options.run_dir / order["resume_from"] / "state.json").read_text())["step"]
    say(
        "started",
        total_steps=options.steps,
        rows=12,
        epochs=1,
        resumed_step=done,
        trained_tokens_per_epoch=100,
    )
    for step in range(done + 1, options.steps + 1):
        if stopped:
            save_checkpoint(work, step - 1)
            return STOPPED
        time.sleep(options.step_seconds)
        if step == options.fail_at:
            say("failed", code=options.fail_code, message="Told to fail.", rows=[3])
            return 1
        if step == options.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        measure(step, options)
        if step % options.checkpoint_every == 0:
            save_checkpoint(work, step)
    finish(work, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
