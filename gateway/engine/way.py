"""The ways in which an operation can be executed."""

from enum import StrEnum


class Way(StrEnum):
    """How an operation was executed."""

    PLAN = "plan"
    ANOMALY = "anomaly"
    """By its plan, and then, as something was wrong, by graphql-core."""
    GRAPHQL_CORE = "graphql_core"
    """By graphql-core alone."""
