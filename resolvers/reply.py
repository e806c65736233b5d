"""What is asked of a clone: a question is kept, charged like any message, and to be answered, all in one go."""

from uuid import UUID, uuid4

from db import SenderType
from db.transaction import Transaction
from resolvers.context import Context
from resolvers.idempotency import Request
from resolvers.message import Record, once_in_session, take
from resolvers.metering import NOTHING, Meter
from resolvers.problems import InsufficientCredits, Problems, ReplyInProgress
from resolvers.texts import faults

LONGEST_QUESTION = 32_000

WRITTEN = "SELECT id FROM replies WHERE session_id = $1 AND status IN ('pending', 'answering')"
ASK = "INSERT INTO replies (id, session_id, question_id) VALUES ($1, $2, $3)"


async def send(context: Context, request: Request, session_id: UUID, content: str) -> UUID:
    """Ask the clone of a session. The answer comes later, and is charged when it is there."""
    Problems.check(list(faults(content, "content", most=LONGEST_QUESTION)))
    question = Record(session_id=session_id, sender_type=SenderType.USER, content=content)
    question_id = uuid4()

    async def act(tx: Transaction) -> None:
        meter = await take(tx, context, request, question, question_id)
        _require_that_it_goes_on(meter)
        if written := await tx.row(WRITTEN, session_id):
            raise ReplyInProgress(written["id"])
        await tx.fetch(ASK, uuid4(), session_id, question_id)

    asked = await once_in_session(context, request, session_id, question_id, act)
    context.services.wake()
    return asked


def _require_that_it_goes_on(meter: Meter) -> None:
    """Raise InsufficientCredits where nothing is left for an answer, or for the minute that has begun."""
    least = NOTHING if meter.demo_mode else meter.terms.lowest_price_of_answer
    if meter.balance < least:
        raise InsufficientCredits(least, meter.balance)
    if not meter.is_open:
        raise InsufficientCredits(meter.minute_to_go, meter.balance)
