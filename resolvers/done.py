"""What an action came to, where the key of a row does not say it all."""

from typing import NamedTuple
from uuid import UUID


class Done(NamedTuple):
    """What was done.

    key: the row that it was done to, even if it is gone now. operation_id: what goes on at the AI provider because of
    it, if something does.
    """

    key: UUID
    operation_id: UUID | None = None
