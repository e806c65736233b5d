"""Citations: which document, or which knowledge of a clone, a provider's passage is from."""

from collections.abc import Sequence
from uuid import UUID

from db.transaction import Transaction
from resolvers.message import LONGEST_CONTENT, MOST_SOURCES, Source
from resolvers.provisioning.provider import Passage

SOURCES = """
    WITH given AS (
        SELECT file_id, file_name, place FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS passage
            (file_id, file_name, place)
    ), file AS (
        -- Servers that cite by ids of their own name the file as we have named it.
        SELECT place, coalesce(remote.remote_id, given.file_id) AS id FROM given
        LEFT JOIN remote_objects AS remote ON remote.provider = $1 AND remote.name = given.file_name
            AND NOT EXISTS (SELECT FROM remote_objects WHERE provider = $1 AND remote_id = given.file_id)
    )
    SELECT found.document_id, found.knowledge_id, coalesce(document.name, piece.title) AS title
    FROM given JOIN file USING (place) LEFT JOIN LATERAL (
        SELECT document_id, knowledge_id, 1 AS rank FROM store_files
            WHERE store_files.file_id = file.id OR incoming_file_id = file.id
        UNION ALL SELECT id, NULL, 2 FROM documents WHERE openai_file_id = file.id
        UNION ALL SELECT NULL, id, 2 FROM knowledge WHERE openai_file_id = file.id AND clone_id = $4
        UNION ALL SELECT documents.id, NULL, 3 FROM documents JOIN domains ON domain_name = documents.domain
            JOIN clones ON clones.domain_id = domains.id
            WHERE clones.id = $4 AND documents.name IN (given.file_name, regexp_replace(file_name, '\\.[^.]*$', ''))
        UNION ALL SELECT NULL, id, 3 FROM knowledge
            WHERE clone_id = $4 AND given.file_name IN (knowledge.title, knowledge.file_name)
        ORDER BY rank LIMIT 1
    ) AS found ON true
    LEFT JOIN documents AS document ON document.id = found.document_id
    LEFT JOIN knowledge AS piece ON piece.id = found.knowledge_id
    ORDER BY place
"""


async def sources(tx: Transaction, provider: str, clone_id: UUID, passages: Sequence[Passage]) -> list[Source]:
    """The passages of an answer, each with what it is from: by the file's id, or else by its name."""
    cited = passages[:MOST_SOURCES]
    rows = await tx.fetch(
        SOURCES, provider, [each.file_id for each in cited], [each.file_name for each in cited], clone_id
    )
    return [
        Source(row["document_id"], clean(each.text)[:LONGEST_CONTENT], each.score, row["knowledge_id"], row["title"])
        for each, row in zip(cited, rows, strict=True)
    ]


def clean(text: str) -> str:
    """A text as PostgreSQL can keep it."""
    return text.replace("\0", "")
