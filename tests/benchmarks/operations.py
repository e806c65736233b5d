"""The operations that are measured: five shapes of what clients ask for, each asked by a creator with a token.

Every list is a connection, and asks where its page ends. What a page may hold bounds the wide operation: elsewhere
such a list is measured with 500 rows, here it has the 100 that a page of ours may have.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import db
from loaders.pages import LARGEST_PAGE
from schema.ids import global_id
from tests.conftest import execute
from tests.serving import CAST

VIEWER = CAST["maya"]
ADMIN = CAST["grace"]
OPERATIONS = ("Point", "Nested", "Wide", "Deep", "Paged")

PAGE_INFO = "pageInfo { hasNextPage endCursor }"

POINT = """
query Point($id: ID!) {
  clone(id: $id) { id name systemPrompt creator { fullName } domain { name } }
}"""

NESTED = f"""
query Nested($first: Int!) {{
  clones(first: $first) {{
    nodes {{
      id
      name
      creator {{ fullName }}
      domain {{
        name
        experts(first: 5) {{
          nodes {{ name assistants(first: 3) {{ nodes {{ assistantId memoryType isLegacy }} {PAGE_INFO} }} }}
          {PAGE_INFO}
        }}
        documents(first: 10) {{ nodes {{ name documentLink openaiFileId }} {PAGE_INFO} }}
        vectorStores(first: 5) {{ nodes {{ vectorId ownerKind fileIds }} {PAGE_INFO} }}
      }}
    }}
    {PAGE_INFO}
  }}
}}"""

WIDE = f"""
query Wide($first: Int!) {{
  clones(first: $first) {{
    nodes {{
      id name bio category basePrice temperature maxTokens isPublished totalSessions averageRating createdAt
      memoryType systemPrompt
    }}
    {PAGE_INFO}
  }}
}}"""

DEEP = f"""
query Deep($people: [ID!]!) {{
  users(first: 10, where: {{ id: {{ in: $people }} }}) {{
    nodes {{
      id
      fullName
      sessions(first: 10) {{
        nodes {{
          id
          status
          startTime
          messages(first: 10) {{ nodes {{ id senderType content tokensUsed createdAt }} {PAGE_INFO} }}
          clone {{ name domain {{ name }} }}
        }}
        {PAGE_INFO}
      }}
    }}
    {PAGE_INFO}
  }}
}}"""

PAGED = f"""
query Paged($first: Int!, $after: String) {{
  clones(first: $first, after: $after, orderBy: [{{ field: AVERAGE_RATING }}]) {{
    nodes {{ id name averageRating creator {{ fullName }} }}
    {PAGE_INFO}
  }}
}}"""
"""Many clones have no rating, and come last."""


@dataclass(frozen=True)
class Operation:
    """An operation, and the variables that clients send with it in turn.

    paged: whether these are those of a first page, and clients send the cursors of all pages in turn.
    """

    name: str
    text: str
    variables: tuple[dict[str, Any], ...]
    paged: bool = False

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the requests."""
        return [{"query": self.text, "operationName": self.name, "variables": each} for each in self.variables]


NOTHING = Operation("Nothing", "query Nothing { __typename }", ({},))
"""What it costs to be asked at all."""


def nested(first: int) -> Operation:
    return Operation("Nested", NESTED, ({"first": first},))


async def operations(url: str) -> list[Operation]:
    """The five, over the rows of this database."""
    clones = [global_id(db.Clone, key) for key in await _keys(url, SOME_CLONES)]
    people = [global_id(db.User, key) for key in await _keys(url, FAITHFUL_PEOPLE)]
    return [
        Operation("Point", POINT, tuple({"id": id_} for id_ in clones)),
        nested(20),
        Operation("Wide", WIDE, ({"first": LARGEST_PAGE},)),
        Operation("Deep", DEEP, ({"people": people},)),
        Operation("Paged", PAGED, ({"first": 50},), paged=True),
    ]


SOME_CLONES = """
    (SELECT id FROM clones WHERE is_published AND is_active AND creator_id <> $1 ORDER BY md5(id::text) LIMIT 60)
    UNION ALL (SELECT id FROM clones WHERE creator_id = $1 ORDER BY id LIMIT 4)"""
"""Clones that the viewer may see, the last ones with their private fields."""

FAITHFUL_PEOPLE = """
    SELECT user_id FROM sessions WHERE clone_id IN (SELECT id FROM clones WHERE creator_id = $1)
    GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT 10"""
"""Those who talk most to the viewer's clones: of anybody else a creator sees a session or none, and no tree."""


async def _keys(url: str, statement: str) -> list[UUID]:
    return [row[0] for row in await execute(url, statement, VIEWER.id)]
