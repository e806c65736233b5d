"""On what terms people talk, and what creators get of it."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

SMALLEST: Final = Decimal("0.0001")
"""What the amounts that we compute are multiples of. Amounts that were there keep their value."""

MINUTE: Final = 60
THOUSAND: Final = 1000


def rounded(amount: Decimal) -> Decimal:
    """An amount as we compute it: half to even, to four places."""
    return amount.quantize(SMALLEST, ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator has decided.

    input_token_price, output_token_price: credits for a thousand tokens.
    platform_share: the part of what people pay that creators do not get, from 0 to 1.
    metering_interval: how often the time of a session is charged in which nothing happens.
    session_grace: for how long it is charged then, after the last thing that happened.
    abandoned_after, pause_limit: how long it takes until it is ended, and until one that is paused is.
    demo_sessions, demo_length: how many free demonstrations a person has, and how long one is.
    """

    input_token_price: Decimal = Decimal(0)
    output_token_price: Decimal = Decimal(0)
    platform_share: Decimal = Decimal(0)
    metering_interval: timedelta = timedelta(seconds=60)
    session_grace: timedelta = timedelta(minutes=5)
    abandoned_after: timedelta = timedelta(minutes=30)
    pause_limit: timedelta = timedelta(days=1)
    demo_sessions: int = 3
    demo_length: timedelta = timedelta(minutes=5)

    @property
    def lowest_price_of_answer(self) -> Decimal:
        """What an answer costs at the least, in credits."""
        return SMALLEST if self.input_token_price or self.output_token_price else Decimal(0)

    def price_of_message(self, input_tokens: int, output_tokens: int) -> Decimal:
        """What a message costs, in credits."""
        return rounded((input_tokens * self.input_token_price + output_tokens * self.output_token_price) / THOUSAND)

    def earning(self, cost: Decimal) -> Decimal:
        """What the creator gets of a cost: never more than all of it."""
        return min(rounded(cost * (1 - self.platform_share)), cost)


def price_of_time(seconds: Decimal, rate_per_minute: Decimal) -> Decimal:
    """What so many seconds cost, in credits."""
    return rounded(seconds * rate_per_minute / MINUTE)
