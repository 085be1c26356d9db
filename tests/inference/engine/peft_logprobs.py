"""Child program: next-token log-probabilities of the base with a PEFT adapter, by transformers.

Usage: peft_logprobs.py MODEL_DIR ADAPTER_DIR|- ; a prompt on stdin; a JSON list on stdout.
"""

import json
import sys
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, adapter = sys.argv[1:]
torch.set_num_threads(1)
model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
if adapter != "-":
    model = PeftModel.from_pretrained(model, adapter)
ids = AutoTokenizer.from_pretrained(folder)(sys.stdin.read(), return_tensors="pt").input_ids
with torch.no_grad():
    logits = model(ids).logits[0, -1]
json.dump(torch.log_softmax(logits, -1).tolist(), sys.stdout)
