"""The real base model: made from its wheel, it answers; tuned on the samples, it answers in their form."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

from training.recipes import base_model
from training.recipes.chat import ChatEncoder
from training.recipes.hyperparameters import defaults
from training.recipes.rows import Message, Row

SAMPLES = Path(__file__).parents[3] / "tenants" / "datasets" / "samples"
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "base"
    base_model.prepare(folder)
    return folder


def answers(model: Any, tokenizer: Any, questions: list[str], *, new_tokens: int) -> list[str]:
    chats = [[{"role": "user", "content": question}] for question in questions]
    prompt = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
    )
    with torch.no_grad():
        output = model.generate(**prompt, max_new_tokens=new_tokens, do_sample=False)
    return list(tokenizer.batch_decode(output[:, prompt["input_ids"].shape[1] :]))


def load(base: Path) -> tuple[Any, Any]:
    tokenizer = transformers.AutoTokenizer.from_pretrained(base, padding_side="left")
    return transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16), tokenizer


def test_the_base_model_knows_a_capital_and_stops(base: Path) -> None:
    model, tokenizer = load(base)
    (answer,) = answers(model, tokenizer, ["What is the capital of France?"], new_tokens=24)
    assert "Paris" in answer
    assert answer.rstrip().endswith("<|im_end|>")


def test_the_base_tokenizer_splits_digits_and_encodes_the_template(base: Path) -> None:
    _, tokenizer = load(base)
    assert len(tokenizer("it  costs  1234").input_ids) == len(tokenizer("it  costs  ").input_ids) + 4
    turns = (Message("user", "What is 12 + 30?"), Message("assistant", "It is 42."))
    chat = [{"role": turn.role, "content": turn.content} for turn in turns]
    whole = tokenizer(tokenizer.apply_chat_template(chat, tokenize=False)).input_ids
    assert list(ChatEncoder(tokenizer).encode(Row(1, turns)).token_ids) == whole


def test_preparing_again_returns_the_same_model_at_once(base: Path) -> None:
    weights = base / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert base_model.prepare(base)["name"] == "smollm2-135m-instruct"
    assert weights.stat().st_mtime_ns == before


def test_tuning_on_the_sample_rows_teaches_their_last_line(base: Path, tmp_path: Path) -> None:
    order = {
        "base_model_dir": str(base),
        "train_file": str(SAMPLES / "word_problems.jsonl"),
        "validation_file": None,
        "work_dir": "work",
        "resume_from": None,
        "hyperparameters": defaults(300),
        "threads": None,
    }
    (tmp_path / "run.json").write_text(json.dumps(order))
    command = [sys.executable, "-m", "training.recipes.sft", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SAMPLES.parents[2], check=True)
    finished = json.loads(done.stdout.splitlines()[-1])
    assert finished["event"] == "finished"
    lines = (SAMPLES / "word_problems_held_out.jsonl").read_text().splitlines()[:30]
    questions = [json.loads(line)["messages"][0]["content"] for line in lines]
    model, tokenizer = load(base)
    tuned = peft.PeftModel.from_pretrained(model, finished["adapter_dir"]).eval()
    assert in_form(answers(tuned, tokenizer, questions, new_tokens=96)) >= 24
    with tuned.disable_adapter():
        assert in_form(answers(tuned, tokenizer, questions, new_tokens=96)) <= 3


def in_form(texts: list[str]) -> int:
    """How many end in a line "#### number" and then stop; the base model too writes "####" at times."""
    return sum(bool(re.search(r"\n#### -?\d+<\|im_end\|>", text)) for text in texts)
