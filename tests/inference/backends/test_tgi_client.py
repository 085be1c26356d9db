"""The client of TGI's protocol, against a scripted server."""

import asyncio

import pytest
import uvloop

from inference.backends.events import EventDecoder
from inference.backends.faults import Broken, Unreachable
from inference.backends.http11 import Pool
from inference.backends.interface import BackendAddress, End, GenerationCall, Piece, Timeouts
from inference.backends.tgi import TgiBackend, parameters_of
from tests.inference.gateway.fake_tgi import FakeTgi, Script

CALL = GenerationCall(prompt="Hi", adapter_id=None, max_new_tokens=8)


async def generated(tgi: FakeTgi, times: int = 1) -> str:
    backend = TgiBackend(BackendAddress("tgi", tgi.url), key="k", timeouts=Timeouts())
    text = ""
    for _ in range(times):
        stream = await backend.open(CALL)
        while isinstance(event := await stream.next(), Piece):
            text += "" if event.special else event.text
        assert event == End("eos_token", 7, 5)
        stream.close()
    await backend.aclose()
    return text


async def test_connections_are_used_again() -> None:
    async with FakeTgi() as tgi:
        assert await generated(tgi, times=3) == "Hello world!" * 3
        assert tgi.connections == 1


def test_it_works_on_uvloop_as_on_asyncio() -> None:
    async def run() -> str:
        async with FakeTgi() as tgi:
            return await generated(tgi, times=2)

    assert uvloop.run(run()) == "Hello world!" * 2


async def test_information_and_health_come_from_the_hubs_client() -> None:
    async with FakeTgi() as tgi:
        backend = TgiBackend(BackendAddress("tgi", tgi.url), key="k", timeouts=Timeouts())
        assert await backend.healthy()
        assert (await backend.describe())["model_id"] == "fake"
        assert await backend.count_tokens(CALL) == 7
        await backend.aclose()
    gone = TgiBackend(BackendAddress("tgi", "http://127.0.0.1:9"), key="k", timeouts=Timeouts(connect=0.5))
    assert not await gone.healthy()
    await gone.aclose()


@pytest.mark.parametrize("at_once", [False, True])
async def test_closing_a_client_lets_what_runs_go_on_or_ends_it(at_once: bool) -> None:
    async with FakeTgi() as tgi:
        tgi.script = Script(tokens=["x"] * 20, delay=0.02)
        backend = TgiBackend(BackendAddress("tgi", tgi.url), key="k", timeouts=Timeouts())
        stream = await backend.open(CALL)
        await stream.next()
        await backend.aclose(at_once=at_once)
        async with asyncio.timeout(2):
            await tgi.seen[0].ended.wait()
        assert tgi.seen[0].aborted is at_once


async def test_closing_midway_counts_what_had_arrived_unread() -> None:
    async with FakeTgi() as tgi:
        tgi.script = Script(tokens=["x"] * 5, stall_after=5)
        backend = TgiBackend(BackendAddress("tgi", tgi.url), key="k", timeouts=Timeouts())
        stream = await backend.open(CALL)
        await stream.next()
        await asyncio.sleep(0.1)
        assert stream.close() == 4
        async with asyncio.timeout(1):
            await tgi.seen[0].ended.wait()
        await backend.aclose()


def test_events_are_decoded_wherever_the_bytes_are_cut() -> None:
    wire = ': hello\r\ndata:{"a":"é"}\r\n\r\nevent: x\ndata: one\ndata: two\n\n\n'.encode()
    for cut in range(len(wire)):
        decoder = EventDecoder()
        payloads = decoder.feed(wire[:cut]) + decoder.feed(wire[cut:])
        assert payloads == ['{"a":"é"}'.encode(), b" one\n two"]


def test_an_event_without_end_is_refused() -> None:
    with pytest.raises(Broken):
        EventDecoder().feed(b"data:" + b"x" * 2_000_000)


def test_neutral_parameters_are_not_sent() -> None:
    assert parameters_of(CALL) == {
        "max_new_tokens": 8,
        "do_sample": True,
        "details": True,
        "return_full_text": False,
        "temperature": 1.0,
    }
    for seed in (0, -1, -(2**63), 2**63 - 1):
        call = GenerationCall(prompt="", adapter_id=None, max_new_tokens=1, seed=seed)
        assert 0 < int(str(parameters_of(call)["seed"])) < 2**63


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(Unreachable):
        Pool("ftp://somewhere", bearer="k", connect_seconds=1)
