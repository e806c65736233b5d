"""When things happen in the demo. Nothing depends on the day it is loaded on."""

from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""The moment that the demo shows."""

OPENED = datetime(2025, 11, 3, 9, tzinfo=UTC)
"""The first creators sign up, and the library is built."""

LEDGER_OPENED = datetime(2026, 3, 1, tzinfo=UTC)
"""Credits are kept in a ledger from here on; whoever was there before begins with an opening balance."""

VISITS_BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
"""The marketplace opens its doors: the day of the first sessions."""

CLOSED = datetime(2026, 9, 15, tzinfo=UTC)
"""Clones that are inactive today took their last sessions before."""

LATELY = datetime(2026, 10, 20, 8, tzinfo=UTC)
"""Clones published since have not been found by anybody yet."""

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
