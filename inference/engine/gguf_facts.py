"""Child program: what the pod must know of a base GGUF, as JSON on stdout.

A process of its own, so that numpy and the whole vocabulary never live in the pod's front process.
"""

import json
import sys
from typing import Any

from gguf import GGUFReader

_CONTROL = 3
_UNUSED = ("tokenizer.ggml.merges", "tokenizer.ggml.scores")
_END_TEXTS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "</s>", "<end_of_turn>")


def describe(path: str) -> dict[str, Any]:
    """Return architecture, context, special tokens, byte fragments and tensor shapes of a GGUF file."""
    reader = GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items() if name not in _UNUSED}
    architecture = fields["general.architecture"]
    tokens = [bytes_of(token) for token in fields["tokenizer.ggml.tokens"]]
    kinds = fields["tokenizer.ggml.token_type"]
    special = {i: tokens[i].decode("utf-8", "replace") for i, kind in enumerate(kinds) if kind == _CONTROL}
    eos = int(fields["tokenizer.ggml.eos_token_id"])
    return {
        "architecture": architecture,
        "context_tokens": int(fields[f"{architecture}.context_length"]),
        "blocks": int(fields[f"{architecture}.block_count"]),
        "heads": int(fields[f"{architecture}.attention.head_count"]),
        "kv_heads": int(fields[f"{architecture}.attention.head_count_kv"]),
        "chat_template": fields.get("tokenizer.chat_template"),
        "eos_token": special.get(eos, ""),
        "bos_token": special.get(int(fields.get("tokenizer.ggml.bos_token_id", -1)), ""),
        "special": special,
        "end_ids": sorted({eos} | {i for i, text in special.items() if text in _END_TEXTS}),
        "fragments": fragments(tokens, kinds),
        "tensors": {t.name: [int(n) for n in reversed(t.shape)] for t in reader.tensors},
    }


def fragments(tokens: list[bytes], kinds: list[int]) -> dict[int, str]:
    """Return the tokens that are not whole UTF-8 text, as `{id: hex bytes}`: what emoji are made of."""
    found = {}
    for i, token in enumerate(tokens):
        if kinds[i] == _CONTROL:
            continue
        try:
            token.decode("utf-8")
        except UnicodeDecodeError:
            found[i] = token.hex()
    return found


def bytes_of(token: str) -> bytes:
    """Undo the printable stand-ins of byte-level BPE (GPT-2's table); other text is returned as UTF-8."""
    try:
        return bytes(_BYTE_OF[character] for character in token)
    except KeyError:
        return token.encode()


def _byte_table() -> dict[str, int]:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in printable]
    return table | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTE_OF = _byte_table()

if __name__ == "__main__":
    json.dump(describe(sys.argv[1]), sys.stdout)
