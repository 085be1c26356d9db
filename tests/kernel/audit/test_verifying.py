"""Whatever is done to an export is found, and the first line at fault is named."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.audit.verify import Altered, Verified, verify_lines
from kernel.crypto import signing
from tests.kernel.audit.ledger import Ledger, linked_anew

# Long searches for an alteration that goes unnoticed.
pytestmark = pytest.mark.services

WHOLE = Ledger(9, checkpoints_after=(3, 6)).export()
PARTLY = Ledger(20, checkpoints_after=(6, 13), shown=(0, 5, 6, 12, 17)).export()
EXPORTS = st.sampled_from([WHOLE, PARTLY])


def verified(lines: list[bytes]) -> Verified:
    return verify_lines(iter(lines), signing.public_keys())


def fault(lines: list[bytes]) -> Altered:
    with pytest.raises(Altered) as found:
        verified(lines)
    return found.value


@pytest.mark.parametrize("lines", [WHOLE, PARTLY, Ledger(1).export()])
def test_what_was_written_is_verified(lines: list[bytes]) -> None:
    proved = verified(lines)
    shown = [json.loads(line) for line in lines if b'"type":"entry"' in line]
    assert (proved.entries_shown, proved.lines) == (len(shown), len(lines))


@given(lines=EXPORTS, data=st.data())
def test_an_altered_byte_is_found_and_its_line_named(lines: list[bytes], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(lines) - 1))
    at = data.draw(st.integers(0, len(lines[number]) - 1))
    by = data.draw(st.integers(1, 255))
    altered = bytearray(lines[number])
    altered[at] ^= by
    assert fault([*lines[:number], bytes(altered), *lines[number + 1 :]]).line == number + 1


@given(lines=EXPORTS, data=st.data())
def test_a_missing_line_is_found_and_its_place_named(lines: list[bytes], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(lines) - 1))
    assert fault([*lines[:number], *lines[number + 1 :]]).line == number + 1


@given(lines=EXPORTS, data=st.data())
def test_a_doubled_line_is_found_and_the_second_named(lines: list[bytes], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(number + 1, len(lines)))
    assert fault([*lines[:place], lines[number], *lines[place:]]).line == place + 1


@given(lines=EXPORTS, data=st.data())
def test_moved_lines_are_found_and_the_first_place_named(lines: list[bytes], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(lines) - 2))
    second = data.draw(st.integers(first + 1, len(lines) - 1))
    moved = [*lines]
    moved[first], moved[second] = lines[second], lines[first]
    assert fault(moved).line == first + 1


@given(lines=EXPORTS, data=st.data())
def test_a_tail_that_is_cut_off_is_found(lines: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(lines)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    left = cut.splitlines(keepends=True)
    expected = len(left) if left and not left[-1].endswith(b"\n") else len(left) + 1
    assert fault(left).line == expected


def test_what_is_missing_is_said() -> None:
    assert "missing here, or moved: entry 1; entry 2" in str(fault([*WHOLE[:2], *WHOLE[3:]]))
    assert "entry 2 stands here once more" in str(fault([*WHOLE[:4], WHOLE[3], *WHOLE[4:]]))
    assert "without entries 3 to 8" in str(fault(WHOLE[:4]))


def rewritten(lines: list[bytes], number: int, **changes: object) -> list[bytes]:
    """Lines as a forger with all the time in the world, and no key, would write them."""
    line = json.loads(lines[number])
    body = json.dumps(line | changes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    link = line.pop("link")
    return linked_anew(
        [*lines[:number], body.encode()[:-1] + f',"link":"{link}"}}\n'.encode(), *lines[number + 1 :]]
    )


def test_a_forger_who_fits_the_links_is_found_by_the_entrys_hash() -> None:
    assert "entry 4 was altered" in str(fault(rewritten(WHOLE, 6, actor="user-2")))


def test_a_forger_who_fits_hashes_and_chain_is_found_by_what_was_signed() -> None:
    other = Ledger(9, checkpoints_after=(3, 6), changes={4: {"actor": "user-2"}}).export()
    signed = [b'"type":"entry"' not in line for line in WHOLE]
    forged = [ours if kept else theirs for ours, theirs, kept in zip(WHOLE, other, signed, strict=True)]
    found = fault(linked_anew(forged))
    # Entry 4 stands in line 7; what was signed after line 4 and after line 8 brackets it.
    assert (found.line, found.what) == (
        6,
        "from here to line 8 the entries are not those that were signed",
    )


@given(lines=EXPORTS, data=st.data())
def test_a_forger_who_fits_the_links_is_found_whatever_they_leave_out(
    lines: list[bytes], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(lines) - 1))
    fault(linked_anew([*lines[:number], *lines[number + 1 :]]))


def test_an_address_cannot_be_replaced_nor_taken_out() -> None:
    told = json.loads(WHOLE[1])["address"]
    assert "the address of entry 0 was altered" in str(
        fault(rewritten(WHOLE, 1, address={**told, "text": "10.0.0.2"}))
    )
    hidden = {"commitment": told["commitment"], "erased": True}
    assert "was not signed as it stands" in str(fault(rewritten(WHOLE, 1, address=hidden)))


def test_another_platforms_key_verifies_nothing(tmp_path: Path) -> None:
    with pytest.raises(Altered, match="not among those given"):
        verify_lines(iter(WHOLE), {})


def test_verification_takes_lines_one_by_one() -> None:
    taken = []

    def one_by_one() -> object:
        for line in WHOLE:
            taken.append(line)
            yield line

    broken = pairwise(one_by_one())  # type: ignore[call-overload]
    with pytest.raises(Altered, match="line 1"):
        verify_lines((second for _, second in broken), signing.public_keys())
    assert len(taken) == 2


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """As an auditor would, with neither settings nor environment."""
    program = [sys.executable, "-m", "kernel.audit.verify", *arguments]
    return subprocess.run(program, check=False, capture_output=True, text=True, env={})


def test_an_auditor_needs_the_public_key_alone(tmp_path: Path) -> None:
    file, pem = tmp_path / "export.jsonl", tmp_path / "key.pem"
    file.write_bytes(b"".join(WHOLE))
    pem.write_text("".join(signing.public_keys().values()))
    good = run(str(file), "--public-key", str(pem))
    assert (good.returncode, good.stdout) == (
        0,
        "Verified: 9 of the 9 entries that the audit log of org-0190a1b2000070008000000000000001 had at "
        "2026-03-01T00:00:00+00:00.\n",
    )
    file.write_bytes(b"".join(WHOLE[:2] + WHOLE[3:]))
    bad = run(str(file), "--public-key", str(pem))
    assert (
        bad.returncode,
        bad.stdout.startswith("NOT verified: line 3: missing here, or moved: entry 1"),
    ) == (1, True)
    assert run(str(tmp_path / "nothing"), "--public-key", str(pem)).returncode == 2
    assert run(str(file), "--public-key", str(file)).returncode == 2


def test_the_verifier_needs_no_django() -> None:
    program = "import sys, kernel.audit.verify; print([n for n in ('django', 'psycopg') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
