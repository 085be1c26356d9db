"""A socket lives no longer than what it stands on: the session, and what its person may do."""

import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session

from inference.chat.sockets import NO_SESSION
from kernel.events import dispatcher
from tenants.access.models import Member
from tenants.access.permissions import Role
from tenants.access.services import roles
from tests.cast import PASSWORD, Person
from tests.inference.chat.scripted import BrowserSocket, ask

CLOSES_WITHIN_SECONDS = 2.0


@pytest.fixture
async def dispatching(stores: Any) -> AsyncIterator[None]:
    """The outbox's dispatcher, as it runs in its own process."""
    await sync_to_async(dispatcher.deliver_waiting)()
    stopping = threading.Event()
    running = threading.Thread(target=dispatcher.run, args=(stopping,))
    running.start()
    yield
    stopping.set()
    await sync_to_async(running.join)()


async def listening(chat: Any, browser: Any) -> BrowserSocket:
    """An open window of the browser's."""
    socket = BrowserSocket(chat.application, "/ws/events", browser.cookies["lw_session"].value)
    chat.sockets.append(socket)
    await socket.open()
    assert await socket.hear() == {"type": "hello"}
    return socket


async def browser_of(person: Person) -> Any:
    return await sync_to_async(lambda: person.browser)()


async def closes_when(window: BrowserSocket, act: Callable[[], Any]) -> None:
    """The window is closed in time after the act."""
    await sync_to_async(act)()
    begun = time.monotonic()
    assert await window.closed() == NO_SESSION
    assert time.monotonic() - begun < CLOSES_WITHIN_SECONDS


async def test_signing_out_closes_the_windows_of_that_session_only(
    owner: Person, chat: Any, dispatching: None
) -> None:
    here, elsewhere = await browser_of(owner), await browser_of(owner)
    window, other = await listening(chat, here), await listening(chat, elsewhere)
    await closes_when(window, lambda: here.post("/accounts/sign-out"))
    assert await other.is_silent()


async def test_ending_the_other_sessions_closes_their_windows(
    owner: Person, chat: Any, dispatching: None
) -> None:
    here, elsewhere = await browser_of(owner), await browser_of(owner)
    window, other = await listening(chat, here), await listening(chat, elsewhere)
    await closes_when(other, lambda: here.delete("/api/v1/account/sessions"))
    assert await window.is_silent()


async def test_a_changed_password_closes_the_windows_of_other_sessions(
    owner: Person, chat: Any, dispatching: None
) -> None:
    here, elsewhere = await browser_of(owner), await browser_of(owner)
    window = await listening(chat, elsewhere)
    new = "another battery horse"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    await closes_when(window, lambda: here.post("/accounts/password", form))


async def test_an_administrator_closes_a_members_windows(
    owner: Person, teammate: Person, stranger: Person, chat: Any, dispatching: None
) -> None:
    window = await listening(chat, await browser_of(teammate))
    own, foreign = (
        await listening(chat, await browser_of(owner)),
        await listening(chat, await browser_of(stranger)),
    )
    path = f"/api/v1/members/{teammate.user.public_id}/sessions"
    admin = await browser_of(owner)
    await closes_when(window, lambda: admin.delete(path))
    assert await own.is_silent()
    assert await foreign.is_silent()


async def test_whoever_is_shut_out_of_the_organization_loses_the_window(
    owner: Person, teammate: Person, chat: Any, dispatching: None
) -> None:
    window = await listening(chat, await browser_of(teammate))

    def shut_out() -> None:
        with owner.acting():
            Member.objects.filter(user=teammate.user).update(deactivated_at="2026-01-01T00:00:00Z")
            roles.tell_standing_changed()

    await closes_when(window, shut_out)


async def test_a_window_stays_when_its_person_may_do_less(
    owner: Person, teammate: Person, chat: Any, dispatching: None
) -> None:
    window = await listening(chat, await browser_of(teammate))

    def take_away() -> None:
        with owner.acting():
            member = Member.objects.get(user=teammate.user)
            roles.unassign(roles.BuiltIn(Role.DEPLOYER), of=member)

    await sync_to_async(take_away)()
    assert await window.is_silent(1.0)


async def test_whoever_is_shut_out_hears_no_more_of_an_answer_under_way(
    teammate: Person, owner: Person, deploy_in: Callable[[Any], str], chat: Any, dispatching: None
) -> None:
    chat.gateway.held = True
    window = await chat.talk(teammate, await chat.begin(teammate, await sync_to_async(deploy_in)(owner)))
    await ask(window)

    def shut_out() -> None:
        with owner.acting():
            Member.objects.filter(user=teammate.user).update(deactivated_at="2026-01-01T00:00:00Z")
            roles.tell_standing_changed()

    await closes_when(window, shut_out)


async def test_a_session_that_ends_unheard_of_is_noticed_while_an_answer_is_shown(
    owner: Person, deployed: str, chat: Any
) -> None:
    chat.gateway.held = True
    cookie = await chat.cookie(owner)
    conversation = await chat.begin(owner, deployed)
    window = await BrowserSocket(chat.application, f"/ws/chat/{conversation}", cookie).open()
    chat.sockets.append(window)
    await ask(window)
    # Nobody tells of it: no dispatcher runs.
    await sync_to_async(Session.objects.filter(pk=cookie).delete)()
    assert await window.closed() == NO_SESSION
