"""What is said in a session: conversations of the clone's subject, put together and told in time."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from db import SenderType
from db.demo.chance import Dice
from db.demo.content import Citation, Turn, names
from db.demo.ledger import rounded
from db.demo.market import Clone

CREDITS_PER_TOKEN = Decimal("0.0002")
TOKENS_PER_WORD = 4 / 3
TOKENS_PER_PASSAGE = 180
"""What it takes to read a passage before answering from it, with everything around it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message, by its time since the beginning of the session."""

    after: timedelta
    sender: SenderType
    words: str
    tokens: int
    cost: Decimal
    cites: tuple[Citation, ...] = ()


def talk(clone: Clone, chance: Dice, *, is_free: bool, pace: float) -> list[Message]:
    """The messages of a session, each question followed by its answer. Mostly the person says thanks at the end."""
    messages: list[Message] = []
    seconds = 0.0
    for turn in _turns(clone, chance):
        seconds += pace * chance.randint(10, 40)
        messages.append(_question(turn.ask, seconds))
        seconds += chance.randint(3, 9)
        messages.append(_answer(turn, seconds, clone, is_free=is_free))
        seconds += pace * chance.randint(15, 110)
    if chance.maybe(0.35):
        messages.append(_question(chance.choice(names().thanks), seconds))
    return messages


def _turns(clone: Clone, chance: Dice) -> list[Turn]:
    """One conversation, which may break off early, or two."""
    first, second = chance.sample(clone.subject.conversations, 2)
    if chance.maybe(0.3):
        return [*first, *second]
    return list(first if chance.maybe(0.8) else first[:-1])


def _question(words: str, seconds: float) -> Message:
    tokens = round(len(words.split()) * TOKENS_PER_WORD)
    return Message(timedelta(seconds=round(seconds)), SenderType.USER, words, tokens, Decimal(0))


def _answer(turn: Turn, seconds: float, clone: Clone, *, is_free: bool) -> Message:
    """An answer. A clone without a domain has no documents to cite."""
    cites = turn.cites if clone.domain else ()
    tokens = round(len(turn.answer.split()) * TOKENS_PER_WORD) + TOKENS_PER_PASSAGE * (1 + len(cites))
    cost = Decimal(0) if is_free else rounded(tokens * CREDITS_PER_TOKEN)
    return Message(timedelta(seconds=round(seconds)), SenderType.AI, turn.answer, tokens, cost, cites)
