"""The same operations as SQL: one statement each, which makes the whole answer as JSON.

Written by hand for this viewer, a creator, whose id is `$1`; `$2` and so on are what the operation is asked with. Each
follows the graph's rules about who may see what, its orders and its formats: its answers differ in their cursors only.
There is hardly a faster way to answer with PostgreSQL: what the gateway takes beyond it is the price of being general.
"""

OWN_CLONES = "SELECT id FROM clones WHERE creator_id = $1"

SEES_CLONE = "(clone.is_published AND clone.is_active OR clone.creator_id = $1)"
SEES_PERSON = f"""(
    person.id = $1
    OR (SELECT true FROM clones WHERE creator_id = person.id AND is_published AND is_active LIMIT 1)
    OR (SELECT true FROM sessions WHERE user_id = person.id AND clone_id = ANY (ARRAY({OWN_CLONES})) LIMIT 1)
)"""
"""PostgreSQL looks these up for each person, where for EXISTS it may read all sessions of the viewer's clones first."""
SEES_SESSION = f"(session.user_id = $1 OR session.clone_id = ANY (ARRAY({OWN_CLONES})))"
READS_SESSION = f"""(
    session.user_id = $1
    OR session.transcript_shared_at IS NOT NULL AND session.clone_id = ANY (ARRAY({OWN_CLONES}))
)"""
SEES_ASSISTANT = """(
    assistant.owner_id = $1
    OR assistant.assistant_id = ANY (ARRAY(SELECT rag_assistant_id FROM clones WHERE creator_id = $1))
)"""
SEES_STORE = """(
    store.owner_id = $1
    OR store.vector_id = ANY (ARRAY(SELECT vector_store_id FROM clones WHERE creator_id = $1))
)"""
SEES_DOCUMENT = "(document.owner_id IS NULL AND document.deleted_at IS NULL OR document.owner_id = $1)"
READS_DOCUMENT = "(document.owner_id = $1 OR document.id IN (SELECT id FROM held_document))"


def one(columns: str, rows: str = "") -> str:
    """A row as an object; null where there is none."""
    return f"(SELECT row_to_json(made) FROM (SELECT {columns} {rows}) AS made)"


def numbered(alias: str, rows: str, order: str, size: str) -> str:
    """The rows of a page in their order, and one more that shows whether there are others."""
    column, _, direction = order.partition(" ")
    return f"""(
        SELECT row_number() OVER () AS place, found.* FROM (
            SELECT {alias}.* FROM {rows} ORDER BY {alias}.{column} {direction}, {alias}.id {direction} LIMIT {size} + 1
        ) AS found
    )"""


def connection(alias: str, numbered_rows: str, order: str, size: str, node: str) -> str:
    """Numbered rows as a connection: its nodes, whether there are more, and the place of the last one."""
    place = f"concat({alias}.{order.partition(' ')[0]}, ' ', {alias}.id)"
    last_place = f"(array_agg({place}))[least(count(*), {size})::int]"
    return f"""(
        SELECT json_build_object(
            'nodes', coalesce(json_agg({node}) FILTER (WHERE {alias}.place <= {size}), '[]'),
            'pageInfo', json_build_object(
                'hasNextPage', count(*) > {size},
                'endCursor', translate(encode(convert_to({last_place}, 'UTF8'), 'base64'), E'\\n', '')
            )
        )
        FROM {numbered_rows}
    )"""


def page(alias: str, rows: str, order: str, size: str, node: str) -> str:
    """The first rows in an order as a connection."""
    return connection(alias, f"{numbered(alias, rows, order, size)} AS {alias}", order, size, node)


def answer(field: str, value: str) -> str:
    return f"SELECT row_to_json(answer) FROM (SELECT {one(f'{value} AS {field}')} AS data) AS answer"


def id_of(alias: str, prefix: str) -> str:
    return f"'{prefix}_' || encode(uuid_send({alias}.id), 'hex') AS id"


def moment(column: str) -> str:
    return f"""to_char({column}, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""


CREATOR = one(
    'person.full_name AS "fullName"',
    f"FROM user_profiles AS person WHERE person.id = clone.creator_id AND {SEES_PERSON}",
)
DOMAIN = one("domain.domain_name AS name", "FROM domains AS domain WHERE domain.id = clone.domain_id")
SYSTEM_PROMPT = 'CASE WHEN clone.creator_id = $1 THEN clone.system_prompt END AS "systemPrompt"'
VISIBLE_CLONES = f"clones AS clone WHERE {SEES_CLONE}"

POINT = answer(
    "clone",
    one(
        f"{id_of('clone', 'clone')}, clone.name, {SYSTEM_PROMPT}, {CREATOR} AS creator, {DOMAIN} AS domain",
        f"FROM {VISIBLE_CLONES} AND clone.id = $2",
    ),
)

WIDE = answer(
    "clones",
    page(
        "clone",
        VISIBLE_CLONES,
        "created_at",
        "$2",
        one(f"""
            {id_of("clone", "clone")}, clone.name, clone.bio, clone.category, clone.base_price::text AS "basePrice",
            CASE WHEN clone.creator_id = $1 THEN clone.temperature END AS temperature,
            CASE WHEN clone.creator_id = $1 THEN clone.max_tokens END AS "maxTokens",
            clone.is_published AS "isPublished", clone.total_sessions AS "totalSessions",
            clone.average_rating::text AS "averageRating", {moment("clone.created_at")} AS "createdAt",
            upper(clone.memory_type) AS "memoryType", {SYSTEM_PROMPT}"""),
    ),
)

ASSISTANTS = page(
    "assistant",
    f"assistants AS assistant WHERE assistant.expert_name = expert.name AND {SEES_ASSISTANT}",
    "created_at",
    "3",
    one("""assistant.assistant_id AS "assistantId", upper(assistant.memory_type) AS "memoryType",
        starts_with(assistant.assistant_id, 'asst_') AS "isLegacy" """),
)

EXPERTS = page(
    "expert",
    "experts AS expert WHERE expert.domain = domain.domain_name",
    "name",
    "5",
    one(f"expert.name, {ASSISTANTS} AS assistants"),
)

DOCUMENTS = page(
    "document",
    f"documents AS document WHERE document.domain = domain.domain_name AND {SEES_DOCUMENT}",
    "name",
    "10",
    one(f"""document.name, CASE WHEN {READS_DOCUMENT} THEN document.document_link END AS "documentLink",
        CASE WHEN {READS_DOCUMENT} THEN document.openai_file_id END AS "openaiFileId" """),
)

VECTOR_STORES = page(
    "store",
    f"vector_stores AS store WHERE store.domain_name = domain.domain_name AND {SEES_STORE}",
    "created_at",
    "5",
    one('store.vector_id AS "vectorId", upper(store.owner) AS "ownerKind", store.file_ids AS "fileIds"'),
)

CONTENTS = f"""domain.domain_name AS name, {EXPERTS} AS experts, {DOCUMENTS} AS documents,
    {VECTOR_STORES} AS "vectorStores" """

LISTED_CLONES = """(
        SELECT clone.*, filled_domain.object AS domain
        FROM clone LEFT JOIN filled_domain ON filled_domain.id = clone.domain_id ORDER BY clone.place
    ) AS clone"""

NESTED_CLONE = f"{id_of('clone', 'clone')}, clone.name, {CREATOR} AS creator, clone.domain"

NESTED = f"""
    WITH clone AS MATERIALIZED {numbered("clone", VISIBLE_CLONES, "created_at", "$2")},
    held_document AS MATERIALIZED (
        SELECT document_id AS id FROM store_files WHERE vector_store_id IN (
            SELECT id FROM vector_stores WHERE owner_id = $1
            UNION ALL
            SELECT store.id FROM clones AS mine JOIN vector_stores AS store ON store.vector_id = mine.vector_store_id
            WHERE mine.creator_id = $1
        )
    ),
    filled_domain AS MATERIALIZED (
        SELECT domain.id, {one(CONTENTS)} AS object FROM domains AS domain
        WHERE domain.id IN (SELECT domain_id FROM clone WHERE place <= $2)
    )
    {answer("clones", connection("clone", LISTED_CLONES, "created_at", "$2", one(NESTED_CLONE)))}"""
"""Many clones share a domain, so each domain is made once."""

MESSAGES = page(
    "message",
    "messages AS message WHERE message.session_id = session.id",
    "created_at",
    "10",
    one(f"""
        {id_of("message", "message")}, upper(message.sender_type) AS "senderType",
        CASE WHEN {READS_SESSION} THEN message.content END AS content,
        message.tokens_used AS "tokensUsed", {moment("message.created_at")} AS "createdAt" """),
)
"""Who sees a session sees its messages, so there is nothing more to ask of each."""

SESSION_CLONE = one(f"clone.name, {DOMAIN} AS domain", f"FROM {VISIBLE_CLONES} AND clone.id = session.clone_id")

SESSIONS = page(
    "session",
    f"sessions AS session WHERE session.user_id = person.id AND {SEES_SESSION}",
    "start_time DESC",
    "10",
    one(f"""
        {id_of("session", "session")}, upper(session.status) AS status, {moment("session.start_time")} AS "startTime",
        {MESSAGES} AS messages, {SESSION_CLONE} AS clone"""),
)

DEEP = answer(
    "users",
    page(
        "person",
        f"user_profiles AS person WHERE person.id = ANY ($2::uuid[]) AND {SEES_PERSON}",
        "created_at",
        "10",
        one(f"""{id_of("person", "user")}, person.full_name AS "fullName", {SESSIONS} AS sessions"""),
    ),
)


def _paged(*ranges: str) -> str:
    """A page of the clones by rating. ranges: conditions of rows that follow each other, each read from the index."""
    rows = " UNION ALL ".join(
        f"(SELECT * FROM {VISIBLE_CLONES} AND {condition} ORDER BY clone.average_rating, clone.id LIMIT $2 + 1)"
        for condition in ranges
    )
    node = f"""{id_of("clone", "clone")}, clone.name, clone.average_rating::text AS "averageRating",
        {CREATOR} AS creator"""
    return answer("clones", page("clone", f"({rows}) AS clone", "average_rating", "$2", one(node)))


PAGED = _paged("true")
PAGED_AFTER_RATED = _paged("(clone.average_rating, clone.id) > ($3, $4)", "clone.average_rating IS NULL")
PAGED_AFTER_UNRATED = _paged("clone.average_rating IS NULL AND clone.id > $3")
