"""The operations in the words of the peers, and their answers in ours.

Where a peer has other names, it is asked with aliases. Ids, words and times are compared whatever their format, cursors
not at all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from tests.benchmarks.operations import PAGE_INFO, Operation


@dataclass(frozen=True)
class Dialect:
    """How a server wants to be asked. texts: the operations that it has other words for, by their names.

    uuids: whether its ids are UUIDs, without the prefix of ours. pages: whether its lists are connections.
    loses_nulls: whether paging by a column ends where its values do, as if there were no rows without one.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    uuids: bool = False
    pages: bool = True
    loses_nulls: bool = False

    def translate(self, operation: Operation) -> Operation:
        """The same operation in this dialect."""
        variables = tuple(map(_uuids, operation.variables)) if self.uuids else operation.variables
        return replace(operation, text=self.texts.get(operation.name, operation.text), variables=variables)

    def page(self, answer: Any, before: int, size: int) -> tuple[Sequence[Any], Any]:
        """The rows of one page, and after what the next one begins, or None. before: how many rows came before it."""
        (listed,) = answer["data"].values()
        if self.pages:
            return listed["nodes"], listed["pageInfo"]["endCursor"] if listed["pageInfo"]["hasNextPage"] else None
        return listed, before + size if len(listed) == size else None


def _uuids(variables: dict[str, Any]) -> dict[str, Any]:
    """Variables with UUIDs where ids are. Of others, nothing stands before an underscore."""

    def bare(value: Any) -> Any:
        return value.rpartition("_")[2] if isinstance(value, str) else value

    return {
        name: [bare(each) for each in value] if isinstance(value, list) else bare(value)
        for name, value in variables.items()
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


COMPARED: Final[Mapping[str, Callable[[str], Any]]] = {
    "id": lambda id_: id_.rpartition("_")[2].replace("-", ""),
    "createdAt": _moment,
    "startTime": _moment,
    "memoryType": str.upper,
    "ownerKind": str.upper,
    "senderType": str.upper,
    "status": str.upper,
    "basePrice": Decimal,
    "averageRating": Decimal,
}
"""By a field's name: what counts of its values."""


def comparable(answer: Any, *, pages: bool) -> Any:
    """An answer whatever its dialect. pages: whether to compare what is known of pages; else connections are lists."""
    if isinstance(answer, list):
        return [comparable(each, pages=pages) for each in answer]
    if not isinstance(answer, dict):
        return answer
    if "nodes" in answer and not pages:
        return comparable(answer["nodes"], pages=False)
    return {
        name: COMPARED[name](value) if name in COMPARED and value is not None else comparable(value, pages=pages)
        for name, value in answer.items()
        if name != "endCursor"
    }


OURS: Final = Dialect()
UUIDS: Final = Dialect(uuids=True)
"""Ours, but for the ids."""

POSTGRAPHILE: Final = Dialect(
    uuids=True,
    loses_nulls=True,
    texts={
        "Point": """
            query Point($id: UUID!) {
              clone: cloneByRowId(rowId: $id) {
                id: rowId
                name
                systemPrompt
                creator: userProfileByCreatorId { fullName }
                domain: domainByDomainId { name: domainName }
              }
            }""",
        "Nested": f"""
            query Nested($first: Int!) {{
              clones: allClones(first: $first, orderBy: [CREATED_AT_ASC, PRIMARY_KEY_ASC]) {{
                nodes {{
                  id: rowId
                  name
                  creator: userProfileByCreatorId {{ fullName }}
                  domain: domainByDomainId {{
                    name: domainName
                    experts: expertsByDomain(first: 5, orderBy: [NAME_ASC]) {{
                      nodes {{
                        name
                        assistants: assistantsByExpertName(first: 3, orderBy: [CREATED_AT_ASC, PRIMARY_KEY_ASC]) {{
                          nodes {{ assistantId memoryType isLegacy }}
                          {PAGE_INFO}
                        }}
                      }}
                      {PAGE_INFO}
                    }}
                    documents: documentsByDomain(first: 10, orderBy: [NAME_ASC]) {{
                      nodes {{ name documentLink openaiFileId }}
                      {PAGE_INFO}
                    }}
                    vectorStores: vectorStoresByDomainName(first: 5, orderBy: [CREATED_AT_ASC, PRIMARY_KEY_ASC]) {{
                      nodes {{ vectorId ownerKind: owner fileIds }}
                      {PAGE_INFO}
                    }}
                  }}
                }}
                {PAGE_INFO}
              }}
            }}""",
        "Wide": f"""
            query Wide($first: Int!) {{
              clones: allClones(first: $first, orderBy: [CREATED_AT_ASC, PRIMARY_KEY_ASC]) {{
                nodes {{
                  id: rowId
                  name bio category basePrice temperature maxTokens isPublished totalSessions averageRating createdAt
                  memoryType systemPrompt
                }}
                {PAGE_INFO}
              }}
            }}""",
        "Deep": f"""
            query Deep($people: [UUID!]!) {{
              users: allUserProfiles(
                first: 10, filter: {{ rowId: {{ in: $people }} }}, orderBy: [CREATED_AT_ASC, PRIMARY_KEY_ASC]
              ) {{
                nodes {{
                  id: rowId
                  fullName
                  sessions: sessionsByUserId(first: 10, orderBy: [START_TIME_DESC, PRIMARY_KEY_DESC]) {{
                    nodes {{
                      id: rowId
                      status
                      startTime
                      messages: messagesBySessionId(first: 10, orderBy: [CREATED_AT_ASC, PRIMARY_KEY_ASC]) {{
                        nodes {{ id: rowId senderType content tokensUsed createdAt }}
                        {PAGE_INFO}
                      }}
                      clone: cloneByCloneId {{ name domain: domainByDomainId {{ name: domainName }} }}
                    }}
                    {PAGE_INFO}
                  }}
                }}
                {PAGE_INFO}
              }}
            }}""",
        "Paged": f"""
            query Paged($first: Int!, $after: Cursor) {{
              clones: allClones(first: $first, after: $after, orderBy: [AVERAGE_RATING_ASC, PRIMARY_KEY_ASC]) {{
                nodes {{ id: rowId name averageRating creator: userProfileByCreatorId {{ fullName }} }}
                {PAGE_INFO}
              }}
            }}""",
    },
)

LISTS: Final = Dialect(
    uuids=True,
    pages=False,
    texts={
        "Point": """
            query Point($id: UUID!) {
              clone(id: $id) { id name systemPrompt creator { fullName } domain { name } }
            }""",
        "Nested": """
            query Nested($first: Int!) {
              clones(first: $first) {
                id
                name
                creator { fullName }
                domain {
                  name
                  experts(first: 5) { name assistants(first: 3) { assistantId memoryType isLegacy } }
                  documents(first: 10) { name documentLink openaiFileId }
                  vectorStores(first: 5) { vectorId ownerKind fileIds }
                }
              }
            }""",
        "Wide": """
            query Wide($first: Int!) {
              clones(first: $first) {
                id name bio category basePrice temperature maxTokens isPublished totalSessions averageRating createdAt
                memoryType systemPrompt
              }
            }""",
        "Deep": """
            query Deep($people: [UUID!]!) {
              users(first: 10, ids: $people) {
                id
                fullName
                sessions(first: 10) {
                  id
                  status
                  startTime
                  messages(first: 10) { id senderType content tokensUsed createdAt }
                  clone { name domain { name } }
                }
              }
            }""",
        "Paged": """
            query Paged($first: Int!, $after: Int! = 0) {
              clones(first: $first, skip: $after, orderBy: "average_rating") {
                id name averageRating creator { fullName }
              }
            }""",
    },
)
"""Of a server without connections: a page begins after so many rows."""
