"""Answering: clones are asked what people want to know, whichever process has time, and whatever crashes meanwhile.

Nothing is charged before an answer is whole. Where a worker was killed in the middle, the next one gets the answer from
the provider by its id, or has it begun once more.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from typing import Any, Final

import asyncpg
import structlog

from db.errors import DatabaseError
from resolvers import chat
from resolvers.draft import Draft, Lost, Over, claim
from resolvers.duty import Duty
from resolvers.provisioning.provider import Answer, Began, Delta, Event, ProviderAway, ProviderError, RateLimited
from resolvers.services import Services

MOST_AT_A_TIME = 32
MOST_ATTEMPTS = 2
"""How often an answer is begun, if it breaks off without a trace."""

ASKED_FOR, RECALLED_FOR = 60.0, 300.0
"""For how long a provider is asked that is away, and for how long an answer is looked for that was begun, in seconds.
Both since the question."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""How long it takes until a provider is asked again that does not say how long, in seconds."""

LONGEST_ANSWER = 300.0
"""How long an answer may take, in seconds."""

FAREWELL = 5.0
"""For how long answers may go on when the process is to end, in seconds."""

BROKEN_OFF = "ANSWER_BROKEN_OFF"
AGAIN = "Nothing was charged for it. Send your question again in a minute."
OTHERWISE = "Nothing was charged for it. Whoever runs this place has to see to it."
WORDS: Final[Mapping[str, str]] = {
    "PROVIDER_UNAVAILABLE": f"The clone could not be reached. {AGAIN}",
    "PROVIDER_RATE_LIMITED": f"The clone is asked too much at the moment. {AGAIN}",
    "PROVIDER_QUOTA_EXCEEDED": f"The clone cannot answer for now. {OTHERWISE}",
    "PROVIDER_KEY_REFUSED": f"The clone cannot answer for now. {OTHERWISE}",
    "PROVIDER_REFUSED": "The clone could not answer this. Nothing was charged for it. Put it another way.",
    "PROVIDER_OBJECT_GONE": f"Something is missing that the clone answers from. {OTHERWISE}",
    BROKEN_OFF: f"The answer broke off. {AGAIN}",
    "ANSWER_EMPTY": "The clone had nothing to say. Nothing was charged for it. Put it another way.",
}
"""What a person is told, by the code of what went wrong. The provider's own words are for whoever reads the logs."""

log = structlog.get_logger()


class Broken(Exception):
    """There will be no answer. code: why."""

    def __init__(self, code: str) -> None:
        super().__init__(WORDS[code])
        self.code = code


class Answering(Duty):
    """Answers what is asked of clones, several questions at a time."""

    pause = 0.5

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.services = services
        self._answering: dict[asyncio.Task[None], Draft] = {}

    async def work(self) -> None:
        """Take up what is due."""
        free = MOST_AT_A_TIME - len(self._answering)
        for draft in await claim(self.services, free) if free else ():
            task = asyncio.create_task(self._answer(draft))
            self._answering[task] = draft
            task.add_done_callback(self._leave)

    async def close(self) -> None:
        """Take up no more. Answers that take longer than a moment are left to others."""
        await super().close()
        if self._answering:
            await asyncio.wait(self._answering, timeout=FAREWELL)
        left = dict(self._answering)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.gather(*(draft.postpone(0) for draft in left.values()), return_exceptions=True)

    def _leave(self, task: "asyncio.Task[None]") -> None:
        del self._answering[task]
        self.wake()

    async def _answer(self, draft: Draft) -> None:
        """Answer, and see to it if that cannot be done."""
        try:
            await self._settle(draft)
        except DatabaseError as error:  # it is taken up again when its time is over
            log.warning("reply_interrupted", reply=str(draft.id), reason=str(error))

    async def _settle(self, draft: Draft) -> None:
        """Bring a reply to its end, or further. Raises DatabaseError."""
        try:
            await self._make_message(draft)
        except DatabaseError:
            raise
        except Lost:
            log.info("reply_lost", reply=str(draft.id))
        except Over:
            await draft.cancel()
        except ProviderError as error:
            await self._postpone_or_fail(draft, error)
        except Exception as error:
            code = error.code if isinstance(error, Broken) else BROKEN_OFF
            log.warning("reply_failed", reply=str(draft.id), code=code, exc_info=not isinstance(error, Broken))
            await draft.fail(code, WORDS[code], is_retryable=True)

    async def _make_message(self, draft: Draft) -> None:
        """Get the answer, and make it a message."""
        wanted = await chat.asked(self.services.database, draft.id)
        if wanted is None:
            raise Lost
        if wanted["is_over"]:
            raise Over
        answer = await _while_shown(draft, self._answer_to(draft, wanted))
        if not answer.text.strip():
            raise Broken("ANSWER_EMPTY")
        await draft.finish(wanted["clone_id"], answer)

    async def _answer_to(self, draft: Draft, wanted: asyncpg.Record) -> Answer:
        """The answer that was begun before, or else one that is written now."""
        services = self.services
        if draft.response_id is not None and draft.provider == services.provider.name:
            answer = await services.provider.recall(draft.response_id)
            if answer is not None:
                return answer
        if draft.attempts >= MOST_ATTEMPTS or (draft.fence > 1 and draft.seconds > RECALLED_FOR):
            raise Broken(BROKEN_OFF)
        tags = {"instance": services.instance, "reply": str(draft.id)}
        question = await chat.question(services.database, wanted, services.provider.name, tags)
        try:
            async with asyncio.timeout(LONGEST_ANSWER):
                return await _written(draft, services.provider.answer(question))
        except TimeoutError as error:
            raise ProviderAway("The answer takes too long.") from error

    async def _postpone_or_fail(self, draft: Draft, error: ProviderError) -> None:
        """Ask again in a while, if that may help; if not, or if it was tried for long enough, give it up."""
        if isinstance(error, ProviderAway | RateLimited):
            pause = error.retry_after
            if pause is None:
                pause = min(FIRST_PAUSE * 2 ** min(draft.fence - 1, 10), LONGEST_PAUSE)
            if draft.seconds + pause <= (RECALLED_FOR if draft.response_id else ASKED_FOR):
                log.info("reply_postponed", reply=str(draft.id), code=error.code, reason=str(error), seconds=pause)
                await draft.postpone(pause)
                return
        log.warning("reply_failed", reply=str(draft.id), code=error.code, reason=str(error))
        await draft.fail(error.code, WORDS[error.code], is_retryable=error.is_retryable)


async def _written(draft: Draft, events: AsyncIterator[Event]) -> Answer:
    """The answer that is written as it comes. Raises ProviderAway where it breaks off."""
    try:
        async for event in events:
            match event:
                case Began(response_id):
                    await draft.begin(response_id)
                case Delta(text):
                    draft.add(text)
                case Answer():
                    return event
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
    raise ProviderAway("The answer broke off.")


async def _while_shown(draft: Draft, work: Coroutine[Any, Any, Answer]) -> Answer:
    """What comes of the work. Meanwhile what is written is shown; when that is no use any more, it is broken off."""
    working, showing = asyncio.create_task(work), asyncio.create_task(draft.show())
    try:
        await asyncio.wait((working, showing), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await showing
        return await working
    finally:
        working.cancel()
        draft.end()  # rather than to break off a statement
        await asyncio.gather(working, showing, return_exceptions=True)
