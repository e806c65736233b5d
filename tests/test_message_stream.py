"""The message stream: every reader has every word, at once, in order, whichever node writes and whoever begins anew."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from resolvers.provisioning.provider import KeyRefused, ProviderAway
from tests.conftest import fresh_database
from tests.money import bank, findings, grant, key_of, new_clone, sql, start
from tests.scripted import Hold, Script, Scripted
from tests.serving import Gateway, serving
from tests.sockets import Socket, open_socket, open_stream
from tests.test_chat import asked, replied, say

STREAM = """subscription($session: ID!, $after: String) { messageStream(sessionId: $session, after: $after) {
    cursor offset delta
    reply { id status content errorCode message { content sources { nodes { passage } } } } } }"""

BOTH = """
    WITH first AS (
        UPDATE replies SET status = 'failed', content = '', edition = edition + 1, due_at = NULL WHERE id = $2
    ), counted AS (
        UPDATE sessions SET message_count = message_count + 1 WHERE id = $1
    ), question AS (
        INSERT INTO messages (session_id, sender_type, content) VALUES ($1, 'user', 'And?') RETURNING id
    )
    INSERT INTO replies (session_id, question_id, status, content, due_at, created_at)
    SELECT $1, id, 'cancelled', 'Meanwhile', NULL, clock_timestamp() FROM question
"""
"""One answer fails and another one is there, at the same moment."""


@pytest.fixture(scope="module")
def provider() -> Scripted:
    return Scripted()


@pytest.fixture(scope="module")
def chatting(server_url: str, template: str, provider: Scripted) -> Iterator[Gateway]:
    with bank(server_url, template, ai=provider, worker=True) as gateway:
        grant(gateway, "aiko", 10_000)
        yield gateway


@pytest.fixture
def scripted(provider: Scripted) -> Scripted:
    provider.scripts.clear()
    provider.asked.clear()
    provider.recalls.clear()
    return provider


@pytest.fixture
def session(chatting: Gateway) -> str:
    return start(chatting, clone=new_clone(chatting, "0"))


@dataclass
class Reader:
    """Somebody who reads along. text: of the reply that was told last."""

    socket: Socket
    id_: str = "1"
    text: str = ""
    cursor: str | None = None
    offsets: tuple[int, ...] = ()

    def follow(self, session: str, after: str | None = None) -> "Reader":
        self.socket.subscribe(self.id_, STREAM, session=session, after=after)
        return self

    def next(self) -> Any:
        """The next event."""
        event = self.socket.data(self.id_)["messageStream"]
        assert event["offset"] in (0, len(self.text)), "something was missed"
        self.text = self.text[: event["offset"]] + event["delta"] if event["reply"] else ""
        self.offsets += (event["offset"],)
        self.cursor = event["cursor"]
        return event

    def until(self, text: str) -> Any:
        """The event with which the text is this."""
        event = self.next()
        while self.text != text:
            event = self.next()
        return event

    def until_status(self, status: str) -> Any:
        event = self.next()
        while event["reply"] is None or event["reply"]["status"] != status:
            event = self.next()
        return event


@pytest.fixture
def reader(chatting: Gateway) -> Iterator[Reader]:
    with open_socket(chatting, "aiko") as socket:
        yield Reader(socket)


def test_the_words_come_as_they_are_written_and_the_message_at_the_end(
    chatting: Gateway, scripted: Scripted, session: str, reader: Reader
) -> None:
    first, second = Hold(), Hold()
    scripted.will("Once ", first, "upon ", second, "a time.")
    begun = reader.follow(session).next()

    question = say(chatting, session)
    reader.until("Once ")
    first.release()
    event = reader.until("Once upon ")
    second.release()
    last = reader.until_status("DONE")

    assert (begun["reply"], begun["offset"], begun["delta"]) == (None, 0, None)
    assert (event["reply"]["status"], event["reply"]["message"]) == ("ANSWERING", None)
    assert reader.text == last["reply"]["message"]["content"] == "Once upon a time."
    assert last["reply"]["id"] == replied(chatting, question)["answer"]["id"]


def test_who_comes_later_or_again_gets_all_that_is_written_so_far(
    chatting: Gateway, scripted: Scripted, session: str, reader: Reader
) -> None:
    hold = Hold()
    scripted.will("Once ", hold, "upon a time.")
    say(chatting, session)
    reader.follow(session).until("Once ")

    with open_socket(chatting, "aiko") as socket:
        late = Reader(socket).follow(session)
        late.until("Once ")
        hold.release()
        assert late.until_status("DONE")
        assert late.text == "Once upon a time."
    with open_socket(chatting, "aiko") as socket:
        again = Reader(socket).follow(session, after=reader.cursor)
        again.until_status("DONE")
        assert again.text == "Once upon a time."
        assert again.offsets == (0,)


def test_who_comes_back_after_an_answer_is_told_of_the_next_one_from_its_beginning(
    chatting: Gateway, scripted: Scripted, session: str, reader: Reader
) -> None:
    say(chatting, session)
    reader.follow(session).until_status("DONE")
    scripted.will("Something else.")

    with open_socket(chatting, "aiko") as socket:
        again = Reader(socket).follow(session, after=reader.cursor)
        reply = asked(chatting, say(chatting, session))["answer"]["id"]
        event = again.next()
        while event["reply"]["id"] != reply or event["reply"]["status"] != "DONE":  # the one before may be told twice
            event = again.next()

    assert again.text == event["reply"]["content"] == "Something else."


def test_each_answer_begins_at_0(chatting: Gateway, scripted: Scripted, session: str, reader: Reader) -> None:
    reader.follow(session)
    for text in ("One.", "Two.", "Three."):
        scripted.will(text)
        reply = replied(chatting, say(chatting, session))["answer"]

        event = reader.next()
        while event["reply"] is None or event["reply"]["id"] != reply["id"] or event["reply"]["status"] != "DONE":
            event = reader.next()

        assert (reader.text, event["reply"]["message"]["content"]) == (text, text)


def test_the_end_of_an_answer_is_not_missed_by_who_is_told_of_the_next_one_at_the_same_time(
    chatting: Gateway, scripted: Scripted, session: str, reader: Reader
) -> None:
    hold = Hold()
    scripted.will("Once ", hold)
    reader.follow(session)
    reply = asked(chatting, say(chatting, session))["answer"]
    before = reader.until("Once ")

    sql(chatting.database_url, BOTH, key_of(session), key_of(reply["id"]))
    first = reader.next()
    while first["reply"]["status"] == "ANSWERING":  # that the answer is still being written can be told once more
        before, first = first, reader.next()
    second = reader.next()

    assert (first["reply"]["id"], first["reply"]["status"]) == (reply["id"], "FAILED")
    assert (second["reply"]["status"], second["delta"]) == ("CANCELLED", "Meanwhile")
    assert before["cursor"] == first["cursor"] != second["cursor"]
    hold.release()


def test_an_answer_that_is_begun_anew_begins_at_0(
    chatting: Gateway, scripted: Scripted, session: str, reader: Reader
) -> None:
    hold = Hold()
    scripted.will("It is ", hold, ProviderAway("The line is cut", 0))
    scripted.will("Once upon a time.")
    reader.follow(session)
    say(chatting, session)
    reader.until("It is ")

    hold.release()
    reader.until_status("DONE")

    assert reader.text == "Once upon a time."
    assert reader.offsets.count(0) > 2


def test_a_text_that_ends_up_differently_is_told_anew(
    chatting: Gateway, scripted: Scripted, session: str, reader: Reader
) -> None:
    hold = Hold()
    scripted.will("Becuase", hold, text="Because.")
    reader.follow(session)
    say(chatting, session)
    reader.until("Becuase")

    hold.release()
    event = reader.until_status("DONE")

    assert (reader.text, event["offset"]) == ("Because.", 0)


def test_words_beyond_the_first_plane_are_counted_as_one(
    chatting: Gateway, scripted: Scripted, session: str, reader: Reader
) -> None:
    hold = Hold()
    scripted.will("🙂é", hold, "漢🙃.")
    reader.follow(session)
    say(chatting, session)
    reader.until("🙂é")

    hold.release()
    event = reader.until_status("DONE")

    assert reader.text == "🙂é漢🙃."
    assert event["offset"] in (2, 5)


def test_a_failure_takes_the_words_back(chatting: Gateway, scripted: Scripted, session: str, reader: Reader) -> None:
    hold = Hold()
    scripted.will("It is ", hold, KeyRefused("No."))
    reader.follow(session)
    say(chatting, session)
    reader.until("It is ")

    hold.release()
    event = reader.until_status("FAILED")

    assert (reader.text, event["offset"]) == ("", 0)
    assert event["reply"]["errorCode"] == "PROVIDER_KEY_REFUSED"


def test_a_slow_reader_gets_all_words_in_fewer_events(
    chatting: Gateway, scripted: Scripted, session: str, reader: Reader
) -> None:
    words = [f"{number} " for number in range(200)]
    scripted.will(*words)
    reader.follow(session)
    replied(chatting, say(chatting, session))

    reader.until_status("DONE")

    assert reader.text == "".join(words)
    assert len(reader.offsets) < 20


def test_an_event_stream_tells_the_same_and_goes_on_where_it_broke_off(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    hold = Hold()
    scripted.will("Once ", hold, "upon a time.")
    say(chatting, session)
    hold.wait()

    with open_stream(chatting, STREAM, "aiko", session=session) as stream:
        text, id_ = "", None
        while text != "Once ":
            event = stream.next()
            told, id_ = event.data["data"]["messageStream"], event.id
            text = text[: told["offset"]] + told["delta"]
        assert (told["reply"]["status"], told["cursor"]) == ("ANSWERING", id_)
    hold.release()
    with open_stream(chatting, STREAM, "aiko", session=session, headers={"last-event-id": str(id_)}) as stream:
        told = stream.data()["messageStream"]
        assert told["offset"] == 0
        while told["reply"]["status"] != "DONE":
            told = stream.data()["messageStream"]

    assert told["reply"]["message"]["content"] == "Once upon a time."


def test_an_answer_comes_to_its_end_though_nobody_reads_any_more(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    hold = Hold()
    scripted.will("Once ", hold, "upon a time.")
    with open_socket(chatting, "aiko") as socket, open_stream(chatting, STREAM, "aiko", session=session) as stream:
        stream.data()
        question = say(chatting, session)
        Reader(socket).follow(session).until("Once ")
    hold.release()

    message = replied(chatting, question)

    assert message["answer"]["message"]["content"] == "Once upon a time."
    assert message["session"]["messageCount"] == 2


# Who may read along


def test_only_who_may_read_the_session_reads_along(chatting: Gateway, scripted: Scripted, session: str) -> None:
    for person in ("samuel", "maya", "jonas", None):
        with open_socket(chatting, person) as socket:
            socket.subscribe("1", STREAM, session=session)
            assert socket.codes() == ["BAD_USER_INPUT"]
    with open_socket(chatting, "grace") as socket:
        socket.subscribe("1", STREAM, session=session)
        assert socket.data()["messageStream"]["reply"] is None


def test_a_creator_reads_along_while_the_session_is_shared_and_no_longer(
    chatting: Gateway, scripted: Scripted, session: str
) -> None:
    share = "UPDATE sessions SET transcript_shared_at = CASE WHEN $2 THEN now() END WHERE id = $1"
    hold = Hold()
    scripted.will("Once ", hold, "upon a time.")
    say(chatting, session)
    hold.wait()
    sql(chatting.database_url, share, key_of(session), True)

    with open_socket(chatting, "maya") as socket:
        Reader(socket).follow(session).until("Once ")
        sql(chatting.database_url, share, key_of(session), False)
        hold.release()
        event = socket.data()["messageStream"]
        while event["reply"]["status"] != "DONE":
            event = socket.data()["messageStream"]

    assert (event["delta"], event["reply"]["content"], event["reply"]["message"]["content"]) == (None, None, None)


# Several nodes, and what it takes


def test_every_node_tells_what_one_of_them_writes(server_url: str, template: str) -> None:
    scripted, hold = Scripted(), Hold()
    scripted.will("Once ", hold, "upon a time.")
    with fresh_database(server_url, template) as url, ExitStack() as life:
        writer = life.enter_context(serving(url, {"worker": True}, provider=scripted))
        nodes = [life.enter_context(serving(url)) for _ in range(2)]
        session = start(nodes[0], "petra", new_clone(writer, "0"))
        readers = [Reader(life.enter_context(open_socket(node, "petra"))).follow(session) for node in nodes]

        say(nodes[1], session, as_="petra")
        for reader in readers:
            reader.until("Once ")
        hold.release()
        for reader in readers:
            reader.until_status("DONE")

        assert [reader.text for reader in readers] == ["Once upon a time."] * 2
        assert findings(url) == []


def test_a_long_answer_takes_few_points(server_url: str, template: str) -> None:
    scripted, holds = Scripted(), [Hold() for _ in range(40)]
    scripted.will(*(step for number, hold in enumerate(holds) for step in (f"{number} ", hold)))
    settings = {"worker": True, "points_capacity": 400, "points_per_second": 0.001}
    with fresh_database(server_url, template) as url, serving(url, settings, provider=scripted) as gateway:
        session = start(gateway, "petra", new_clone(gateway, "0"))
        with open_socket(gateway, "petra") as socket:
            reader = Reader(socket).follow(session)
            say(gateway, session, as_="petra")
            for number, hold in enumerate(holds):
                reader.until("".join(f"{each} " for each in range(number + 1)))
                hold.release()
            reader.until_status("DONE")
        events = len(reader.offsets)
        cost = gateway.ask("{ viewer { id } }", as_="petra")

    assert events > len(holds)
    assert cost.response.status_code == 200


def test_who_has_no_points_left_hears_no_more_and_reads_the_answer_later(server_url: str, template: str) -> None:
    scripted, hold = Scripted(), Hold()
    scripted.will("Once ", hold, "upon a time.")
    settings = {"worker": True, "points_capacity": 400, "points_per_second": 0.001}
    with fresh_database(server_url, template) as url, serving(url, settings, provider=scripted) as gateway:
        session = start(gateway, "petra", new_clone(gateway, "0"))
        question = say(gateway, session, as_="petra")
        with open_socket(gateway, "petra") as socket:
            Reader(socket).follow(session).until("Once ")
            for query in ("{ clones(first: 50) { nodes { id } } }", "{ viewer { id } }"):
                while gateway.ask(query, as_="petra").response.status_code == 200:
                    pass
            hold.release()
            message = socket.receive()
            while message["type"] == "next":  # what was told before there were none left
                message = socket.receive()

        assert [each["extensions"]["code"] for each in message["payload"]] == ["RATE_LIMITED"]
        assert replied(gateway, question)["answer"]["status"] == "DONE"


def test_an_answer_is_given_up_by_a_process_that_ends_and_taken_up_by_another(
    server_url: str, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers.answering.FAREWELL", 0.1)
    monkeypatch.setattr("resolvers.draft.LEASE", 3_600.0)
    hold, first, second = Hold(), Scripted(), Scripted()
    first.will("Once ", hold)
    second.recalls.append(Script(["Once upon a time."]))
    with fresh_database(server_url, template) as url:
        with ExitStack() as clients:
            with serving(url, {"worker": True}, provider=first) as gateway:
                session = start(gateway, "petra", new_clone(gateway, "0"))
                question = say(gateway, session, as_="petra")
                hold.wait()
                reader = Reader(clients.enter_context(open_socket(gateway, "petra"))).follow(session)
                reader.until("Once ")
            assert reader.socket.closing()[0] == 1012
        with serving(url, {"worker": True}, provider=second) as gateway, open_socket(gateway, "petra") as socket:
            again = Reader(socket).follow(session, after=reader.cursor)
            again.until_status("DONE")
            message = replied(gateway, question)

        assert again.text == message["answer"]["message"]["content"] == "Once upon a time."
        assert (second.asked, len(second.recalled)) == ([], 1)
        assert findings(url) == []
