"""What a clone is asked with: how it is told to be, what was said, where it may look, and never what others said."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from db import MemoryType
from resolvers.chat import LONGEST_EARLIER_HISTORY, LONGEST_HISTORY, MOST_EARLIER_TURNS, MOST_TURNS
from resolvers.provisioning.provider import KeyRefused, Passage, Question
from tests.money import act, bank, grant, key_of, new_clone, sql, start
from tests.scripted import Script, Scripted
from tests.serving import CAST, Gateway
from tests.test_chat import asked, replied, say

CONFIGURE = """
    WITH expert AS (SELECT name FROM experts ORDER BY name LIMIT 1), assistant AS (
        INSERT INTO assistants (id, assistant_id, expert_name, memory_type)
        SELECT gen_random_uuid(), 'assistant_' || $1::uuid, name, 'expert' FROM expert RETURNING id, assistant_id
    ), config AS (
        INSERT INTO assistant_configs (id, assistant_id, version, model, instructions, vector_store_ids, temperature,
            max_output_tokens)
        SELECT gen_random_uuid(), id, 1, 'a-model', 'Be brief.', $2, $3, $4 FROM assistant RETURNING id, assistant_id
    )
    UPDATE clones SET rag_assistant_id = assistant.assistant_id FROM assistant WHERE clones.id = $1
    RETURNING assistant.id
"""
ADOPT = """
    UPDATE assistants SET config_id = assistant_configs.id FROM assistant_configs
    WHERE assistant_configs.assistant_id = assistants.id AND assistants.id = $1
"""
MEMORIES = [memory for memory in MemoryType if memory is not MemoryType.UNKNOWN]


@pytest.fixture(scope="module")
def provider() -> Scripted:
    return Scripted()


@pytest.fixture(scope="module")
def chatting(server_url: str, template: str, provider: Scripted) -> Iterator[Gateway]:
    with bank(server_url, template, ai=provider, worker=True) as gateway:
        for person in ("aiko", "samuel"):
            grant(gateway, person, 10_000)
        yield gateway


@pytest.fixture
def scripted(provider: Scripted) -> Scripted:
    provider.scripts.clear()
    provider.asked.clear()
    return provider


def question_of(gateway: Gateway, scripted: Scripted, session: str, person: str = "aiko") -> Question:
    """What the provider is asked when a person says something."""
    replied(gateway, say(gateway, session, as_=person, content="And now?"))
    return scripted.asked[-1]


def set_clone(gateway: Gateway, clone: str, **values: Any) -> None:
    for name, value in values.items():
        sql(gateway.database_url, f"UPDATE clones SET {name} = $2 WHERE id = $1", key_of(clone), value)


def configure(gateway: Gateway, clone: str, *store_ids: str, temperature: float | None, most: int | None) -> None:
    """Give a clone an assistant with a configuration."""
    (row,) = sql(gateway.database_url, CONFIGURE, key_of(clone), list(store_ids), temperature, most)
    sql(gateway.database_url, ADOPT, row["id"])


# How it is told to be


def test_a_clone_without_a_configuration_is_told_what_its_creator_wrote(chatting: Gateway, scripted: Scripted) -> None:
    clone = new_clone(chatting, "0")
    (first, second) = sql(chatting.database_url, "SELECT name, context FROM experts ORDER BY name LIMIT 2")
    for expert in (first, second):
        sql(chatting.database_url, "INSERT INTO clone_experts VALUES ($1, $2)", key_of(clone), expert["name"])
    sql(
        chatting.database_url,
        """
        UPDATE clones SET system_prompt = 'You are Maya.', temperature = 0.25, max_tokens = 321,
            personality_traits = '{"warmth": 0.9, "humour": "dry"}', communication_style = '{"tone": "plain"}',
            expert_context = 'You have taught for long.'
        WHERE id = $1
        """,
        key_of(clone),
    )

    question = question_of(chatting, scripted, start(chatting, clone=clone))

    assert question.instructions.split("\n\n") == [
        "You are Maya.",
        "Your character:\n- humour: dry\n- warmth: 0.9",
        "How you speak:\n- tone: plain",
        "You have taught for long.",
        first["context"],
        second["context"],
    ]
    assert (question.temperature, question.max_output_tokens, question.model) == (0.25, 321, None)
    assert question.tags
    assert str(CAST["aiko"].id) not in str(question)


def test_a_clone_of_which_nothing_is_written_is_told_who_it_is(chatting: Gateway, scripted: Scripted) -> None:
    question = question_of(chatting, scripted, start(chatting, clone=new_clone(chatting, "0")))

    assert question.instructions == "You are Somebody to talk to."


@pytest.mark.parametrize(("given", "meant"), [((0.0, 55), (0.0, 55)), ((None, None), (0.7, 1024))])
def test_the_configuration_in_force_comes_before_what_the_clone_says(
    chatting: Gateway, scripted: Scripted, given: tuple[float | None, int | None], meant: tuple[float, int]
) -> None:
    clone = new_clone(chatting, "0")
    set_clone(chatting, clone, system_prompt="You are Maya.")
    configure(chatting, clone, temperature=given[0], most=given[1])

    question = question_of(chatting, scripted, start(chatting, clone=clone))

    assert (question.instructions, question.model) == ("Be brief.", "a-model")
    assert (question.temperature, question.max_output_tokens) == meant


def test_an_assistant_of_the_retired_api_says_nothing(chatting: Gateway, scripted: Scripted) -> None:
    clone = new_clone(chatting, "0")
    (legacy,) = sql(
        chatting.database_url, "SELECT assistant_id FROM assistants WHERE assistant_id LIKE 'asst%' LIMIT 1"
    )
    set_clone(chatting, clone, system_prompt="You are Maya.", rag_assistant_id=legacy["assistant_id"])

    question = question_of(chatting, scripted, start(chatting, clone=clone))

    assert (question.instructions, question.model) == ("You are Maya.", None)


# What was said


def told(question: Question) -> list[str]:
    """What was said before, as it is told: questions with a question mark behind."""
    return [f"{turn.text}{'?' if turn.is_question else ''}" for turn in question.history]


def test_what_was_said_in_the_session_is_told_in_its_order(chatting: Gateway, scripted: Scripted) -> None:
    session = start(chatting, clone=new_clone(chatting, "0"))
    scripted.will("One.")
    replied(chatting, say(chatting, session, content="First"))
    scripted.will("Two.")
    replied(chatting, say(chatting, session, content="Second"))

    assert told(question_of(chatting, scripted, session)) == ["First?", "One.", "Second?", "Two."]


def test_a_question_that_was_not_answered_is_not_told(chatting: Gateway, scripted: Scripted) -> None:
    session = start(chatting, clone=new_clone(chatting, "0"))
    scripted.scripts.append(Script([KeyRefused("No.")]))
    replied(chatting, say(chatting, session, content="In vain"))

    assert told(question_of(chatting, scripted, session)) == []


def test_a_long_session_is_told_from_its_end(chatting: Gateway, scripted: Scripted) -> None:
    session = start(chatting, clone=new_clone(chatting, "0"))
    add_messages(chatting, session, [str(number) for number in range(MOST_TURNS + 5)])

    assert told(question_of(chatting, scripted, session)) == [f"{number}?" for number in range(5, MOST_TURNS + 5)]


def test_long_messages_are_told_as_far_as_there_is_room(chatting: Gateway, scripted: Scripted) -> None:
    session = start(chatting, clone=new_clone(chatting, "0"))
    add_messages(chatting, session, ["a" * LONGEST_HISTORY, "b" * LONGEST_HISTORY, "c" * 10])

    history = question_of(chatting, scripted, session).history

    assert [(turn.text[0], len(turn.text)) for turn in history] == [("b", LONGEST_HISTORY - 10), ("c", 10)]


def add_messages(gateway: Gateway, session: str, texts: list[str]) -> None:
    """Messages of the person, the first one first, of a while ago."""
    sql(
        gateway.database_url,
        """
        INSERT INTO messages (session_id, sender_type, content, created_at)
        SELECT $1, 'user', content, now() - interval '1 hour' + place * interval '1 second'
        FROM unnest($2::text[]) WITH ORDINALITY AS given (content, place)
        """,
        key_of(session),
        texts,
    )
    sql(
        gateway.database_url,
        "UPDATE sessions SET message_count = message_count + $2 WHERE id = $1",
        key_of(session),
        len(texts),
    )


@pytest.mark.parametrize("memory", MEMORIES)
def test_only_a_clone_that_remembers_its_clients_is_told_of_earlier_sessions_and_only_of_the_persons_own(
    chatting: Gateway, scripted: Scripted, memory: MemoryType
) -> None:
    clone, other_clone = new_clone(chatting, "0"), new_clone(chatting, "0")
    set_clone(chatting, clone, memory_type=str(memory))
    for person, chosen in (("aiko", clone), ("samuel", clone), ("aiko", other_clone)):
        earlier = start(chatting, person, chosen)
        scripted.will("I see.")
        replied(chatting, say(chatting, earlier, as_=person, content=f"{person} to {chosen}"))
        act(chatting, "endSession", person, id=earlier)
    session = start(chatting, clone=clone)

    history = told(question_of(chatting, scripted, session))

    assert history == ([f"aiko to {clone}?", "I see."] if memory is MemoryType.CLIENT else [])


def test_earlier_sessions_are_told_before_the_present_one_and_from_their_end(
    chatting: Gateway, scripted: Scripted
) -> None:
    clone = new_clone(chatting, "0")
    set_clone(chatting, clone, memory_type="client")
    earlier = start(chatting, clone=clone)
    add_messages(chatting, earlier, [str(number) for number in range(MOST_EARLIER_TURNS + 3)])
    act(chatting, "endSession", "aiko", id=earlier)
    session = start(chatting, clone=clone)
    replied(chatting, say(chatting, session, content="Hello"))

    history = told(question_of(chatting, scripted, session))
    add_messages(chatting, earlier, ["x" * (LONGEST_EARLIER_HISTORY + 1)])
    shorter = question_of(chatting, scripted, session).history

    assert history == [*(f"{each}?" for each in range(3, MOST_EARLIER_TURNS + 3)), "Hello?", "Because it is so."]
    assert len(shorter[0].text) + len(shorter[1].text) <= LONGEST_EARLIER_HISTORY + 1
    assert [turn.text for turn in shorter[-4:]] == ["Hello", "Because it is so.", "And now?", "Because it is so."]


# Where it may look


@dataclass(frozen=True)
class Shelf:
    """A clone of a domain with two experts, and every kind of store that there is beside it."""

    clone: str
    named: str

    @classmethod
    def make(cls, gateway: Gateway, memory: str) -> "Shelf":
        name, url = uuid4().hex[:8], gateway.database_url
        for domain in (name, f"other {name}"):
            sql(url, "INSERT INTO domains (id, domain_name) VALUES (gen_random_uuid(), $1)", domain)
        for person, domain in (("Ann", name), ("Ben", name), ("Cem", name), ("Dan", f"other {name}")):
            sql(
                url,
                "INSERT INTO experts (id, name, domain, context) VALUES (gen_random_uuid(), $1, $2, 'x')",
                f"{person} {name}",
                domain,
            )
        stores = [
            ("own", "client", name, None, "scripted"),
            ("configured", "client", name, None, "scripted"),
            ("configured elsewhere", "client", name, None, "openai"),
            ("domain", "domain", name, None, "scripted"),
            ("domain elsewhere", "domain", name, None, "openai"),
            ("domain of another program", "domain", name, None, None),
            ("other domain", "domain", f"other {name}", None, "scripted"),
            ("Ann", "expert", name, f"Ann {name}", "scripted"),
            ("Ben", "expert", name, f"Ben {name}", "scripted"),
            ("Ben elsewhere", "expert", name, f"Ben {name}", "openai"),
            ("Cem", "expert", name, f"Cem {name}", "scripted"),
            ("another client", "client", name, f"Ann {name}", "scripted"),
        ]
        for number, (store, owner, of, expert, provider) in enumerate(stores):
            sql(
                url,
                """
                INSERT INTO vector_stores (id, vector_id, owner, domain_name, expert_name, provider, created_at)
                VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, now() + $6::int * interval '1 second')
                """,
                *(f"{store} {name}", owner, of, expert, provider, number),
            )
        clone = new_clone(gateway, "0")
        for assigned in ("Ann", "Ben"):
            sql(url, "INSERT INTO clone_experts VALUES ($1, $2)", key_of(clone), f"{assigned} {name}")
        (domain_row,) = sql(url, "SELECT id FROM domains WHERE domain_name = $1", name)
        set_clone(gateway, clone, domain_id=domain_row["id"], vector_store_id=f"own {name}", memory_type=memory)
        return cls(clone, name)

    def stores(self, question: Question) -> list[str]:
        return [store.removesuffix(f" {self.named}") for store in question.store_ids]


@pytest.mark.parametrize(
    ("memory", "stores"),
    [
        ("expert", ["own", "Ann", "Ben"]),
        ("domain", ["own", "domain"]),
        ("client", ["own"]),
        (None, ["own", "Ann", "Ben"]),
        ("whatever", ["own"]),
    ],
)
def test_a_clone_looks_into_its_own_store_and_into_what_its_memory_says(
    chatting: Gateway, scripted: Scripted, memory: str, stores: list[str]
) -> None:
    shelf = Shelf.make(chatting, memory)

    question = question_of(chatting, scripted, start(chatting, clone=shelf.clone))

    assert shelf.stores(question) == stores


def test_a_clone_looks_also_into_what_its_configuration_names_if_it_is_there(
    chatting: Gateway, scripted: Scripted
) -> None:
    shelf = Shelf.make(chatting, "domain")
    named = [f"{store} {shelf.named}" for store in ("configured", "configured elsewhere", "nowhere")]
    configure(chatting, shelf.clone, *named, temperature=None, most=None)

    question = question_of(chatting, scripted, start(chatting, clone=shelf.clone))

    assert shelf.stores(question) == ["own", "configured", "domain"]


# What it is drawn from


@dataclass(frozen=True)
class Files:
    """A clone of Maya's with a store of two files, and a document of its domain that is nowhere else."""

    clone: str
    document: UUID
    named: UUID
    knowledge: UUID
    mark: str

    @classmethod
    def make(cls, gateway: Gateway) -> "Files":
        shelf = Shelf.make(gateway, "client")
        url, mark = gateway.database_url, shelf.named
        insert = """
            INSERT INTO documents (id, name, document_link, domain, owner_id)
            VALUES (gen_random_uuid(), $1, 'https://example.com', $2, $3) RETURNING id
        """
        document, named = (
            sql(url, insert, f"{title} {mark}", mark, CAST["maya"].id)[0]["id"] for title in ("Sleep", "Food")
        )
        (knowledge,) = sql(
            url,
            "INSERT INTO knowledge (clone_id, title) VALUES ($1, 'Notes') RETURNING id",
            key_of(shelf.clone),
        )
        add = """
            INSERT INTO store_files (vector_store_id, document_id, knowledge_id, clone_id, file_id, status)
            SELECT id, $2, $3, $4, $5, 'completed' FROM vector_stores WHERE vector_id = $1
        """
        store = f"own {mark}"
        sql(url, add, store, document, None, None, f"file-d-{mark}")
        sql(url, add, store, None, knowledge["id"], None, f"file-k-{mark}")
        sql(url, add, store, None, None, key_of(shelf.clone), f"file-q-{mark}")
        sql(
            url,
            """
            INSERT INTO remote_objects (provider, kind, op_key, name, remote_id, state)
            VALUES ('scripted', 'file', $1, $2, $3, 'live')
            """,
            *(f"document:{mark}", f"clonegraph.{mark}.sleep.txt", f"file-d-{mark}"),
        )
        sql(url, "UPDATE vector_stores SET file_ids = ARRAY['file-d-' || $2, 'file-k-' || $2, 'file-q-' || $2]"
            " WHERE vector_id = $1", store, mark)  # fmt: skip
        return cls(shelf.clone, document, named, knowledge["id"], mark)


def test_an_answer_leads_to_what_it_was_drawn_from(chatting: Gateway, scripted: Scripted) -> None:
    files = Files.make(chatting)
    scripted.will(
        "Sleep well.",
        passages=[
            Passage(f"file-d-{files.mark}", "whatever.txt", "Sleep more.", 0.9),
            Passage(f"file-k-{files.mark}", "whatever.txt", "Note this.", 0.8),
            Passage("an-id-of-its-own", f"clonegraph.{files.mark}.sleep.txt", "Sleep again.", 0.7),
            Passage("another-id", f"Food {files.mark}.pdf", "Eat less.", 0.6),
            Passage("yet-another-id", "Notes", "Note that.", 0.5),
            Passage(f"file-q-{files.mark}", "questions.txt", "What? That.", 0.4),
            Passage("nobody's", "nobody knows.txt", "Who knows.", 0.3),
        ],
    )
    session = start(chatting, clone=files.clone)

    made = replied(chatting, say(chatting, session))["answer"]["message"]

    document, named, knowledge = (
        f"document_{files.document.hex}",
        f"document_{files.named.hex}",
        f"knowledge_{files.knowledge.hex}",
    )
    drawn = [
        (each["passage"], each["score"], (each["document"] or each["knowledge"] or {"id": None})["id"])
        for each in made["sources"]["nodes"]
    ]
    assert drawn == [
        ("Sleep more.", 0.9, document),
        ("Note this.", 0.8, knowledge),
        ("Sleep again.", 0.7, document),
        ("Eat less.", 0.6, named),
        ("Note that.", 0.5, knowledge),
        ("What? That.", 0.4, None),
        ("Who knows.", 0.3, None),
    ]
    assert made["contextUsed"].split("\n\n") == [passage for passage, _, _ in drawn]
    assert made["sourceNotes"] == [
        {"title": f"Sleep {files.mark}"},
        {"title": "Notes"},
        {"title": f"Food {files.mark}"},
    ]


LINEAGE = """query($document: ID!, $knowledge: ID!) {
    document(id: $document) { answeredMessages { nodes { id content } } sources { nodes { passage } } }
    knowledge(id: $knowledge) { answeredMessages { nodes { id content } } sources { nodes { passage } } } }"""


def test_what_an_answer_was_drawn_from_leads_to_the_answer_for_those_who_see_it(
    chatting: Gateway, scripted: Scripted
) -> None:
    files = Files.make(chatting)
    scripted.will(
        "Sleep well.",
        passages=[
            Passage(f"file-d-{files.mark}", "", "Sleep more.", 0.9),
            Passage(f"file-k-{files.mark}", "", "Note this.", 0.8),
        ],
    )
    session = start(chatting, clone=files.clone)
    made = replied(chatting, say(chatting, session))["answer"]["message"]

    def seen(person: str) -> list[Any]:
        ids = {"document": f"document_{files.document.hex}", "knowledge": f"knowledge_{files.knowledge.hex}"}
        found = chatting.ask(LINEAGE, as_=person, **ids).data
        return [found[name] and found[name]["answeredMessages"]["nodes"] for name in ("document", "knowledge")]

    hidden, shown = ({"id": made["id"], "content": content} for content in (None, "Sleep well."))
    assert seen("maya") == [[hidden], [hidden]]
    assert seen("aiko") == [None, [shown]]
    assert seen("samuel") == [None, []]
    assert seen("grace") == [[shown], [shown]]
    sql(chatting.database_url, "UPDATE sessions SET transcript_shared_at = now() WHERE id = $1", key_of(session))
    assert seen("maya") == [[shown], [shown]]


def test_a_document_that_is_deleted_leaves_its_passage_behind(chatting: Gateway, scripted: Scripted) -> None:
    files = Files.make(chatting)
    scripted.will("Sleep well.", passages=[Passage(f"file-d-{files.mark}", "", "Sleep more.", 0.9)])
    session = start(chatting, clone=files.clone)
    question = say(chatting, session)
    replied(chatting, question)

    sql(chatting.database_url, "DELETE FROM documents WHERE id = $1", files.document)
    sql(chatting.database_url, "UPDATE vector_stores SET file_ids = ARRAY['file-k-' || $1, 'file-q-' || $1]"
        " WHERE vector_id = 'own ' || $1", files.mark)  # fmt: skip

    (source,) = asked(chatting, question)["answer"]["message"]["sources"]["nodes"]
    assert (source["passage"], source["document"]) == ("Sleep more.", None)
