"""Node: everything in the graph that has an id."""

from typing import Any

import strawberry


@strawberry.interface(description="Something with an id, by which it can be fetched again.")
class Node:
    """A row of the database, as the graph shows it. Behind it is a record of the selected columns."""

    id: strawberry.ID = strawberry.field(description="The id, by which `node` finds this again.")

    @classmethod
    def resolve_type(cls, value: Any, info: Any, type_: Any) -> str:
        """The type of a record that was fetched as a node."""
        typename: str = value["typename"]
        return typename

    @classmethod
    def is_type_of(cls, value: Any, info: Any) -> bool:
        """Records carry no Python type; each field gives rows of its own type only."""
        return True
