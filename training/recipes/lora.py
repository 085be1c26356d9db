"""LoRA adapters (Hu et al. 2021, arXiv:2106.09685) on every linear layer, through peft."""

import json
from pathlib import Path
from typing import Any

import peft
import safetensors.torch
import torch
import transformers

from training.recipes import artifact
from training.recipes.hyperparameters import Hyperparameters


def load_base(folder: Path, *, device: torch.device, dtype: torch.dtype) -> Any:
    """Load a causal language model from a Hugging Face folder, its weights frozen by the adapter later."""
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, attn_implementation="sdpa"
    )
    model.config.use_cache = False
    return model.to(device)


def attach(base: Any, settings: Hyperparameters, *, base_name: str) -> peft.PeftModel:
    """Put a fresh float32 adapter on all linear layers but the output layer; all else is frozen.

    Draws from torch's global random generator.
    """
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        target_modules="all-linear",
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,  # type: ignore[arg-type]
        lora_dropout=settings.lora_dropout,
        bias="none",
    )
    model = peft.get_peft_model(base, config)
    # The folder it was loaded from is this machine's affair and must not enter the adapter's digest.
    model.peft_config["default"].base_model_name_or_path = base_name
    module: Any
    for module in model.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            # peft would cast inputs to float32 and autocast back to bfloat16: twice the traffic for nothing.
            module.cast_input_dtype_enabled = False
    return model


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that are learned, by name, in a fixed order."""
    named = model.named_parameters()
    return {name: parameter for name, parameter in sorted(named) if parameter.requires_grad}


def save_adapter(model: peft.PeftModel, folder: Path) -> None:
    """Write exactly the two files of an adapter into `folder`, the same bytes for the same weights."""
    weights = {
        name: weight.detach().to("cpu", copy=True).contiguous()
        for name, weight in sorted(_adapter_state(model).items())
    }
    config_name, weights_name = artifact.ADAPTER_FILES
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(weights, folder / weights_name, metadata={"format": "pt"})
    (folder / weights_name).chmod(0o644)
    config = {**model.peft_config["default"].to_dict(), "inference_mode": True}
    text = json.dumps(config, indent=2, sort_keys=True, default=_plain) + "\n"
    (folder / config_name).write_text(text, encoding="utf-8")


def load_adapter(model: peft.PeftModel, folder: Path) -> None:
    """Put the weights that `save_adapter` wrote into `model`; raise `ValueError` if they do not fit."""
    weights = safetensors.torch.load_file(folder / artifact.ADAPTER_FILES[1])
    if weights.keys() != _adapter_state(model).keys():
        raise ValueError("the adapter has other layers than the model")
    peft.set_peft_model_state_dict(model, weights)


def _adapter_state(model: peft.PeftModel) -> dict[str, torch.Tensor]:
    # Left to decide about embeddings by itself, peft asks the model hub about the base model's name.
    return dict(peft.get_peft_model_state_dict(model, save_embedding_layers=False))


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set | frozenset) else str(value)
