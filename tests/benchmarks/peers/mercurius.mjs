// Mercurius over the demo data: a schema and loaders written by hand, compiled by graphql-jit.
// Every statement says who may see what, as those of statements.py do; $1 is the viewer's id.

import { createVerifier } from "fast-jwt";
import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

const TIMESTAMPTZ = 1184;
pg.types.setTypeParser(TIMESTAMPTZ, (text) => text.replace(" ", "T").replace("+00", "Z"));

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: 10,
  options: "-c jit=off -c timezone=UTC",
});
const verify = createVerifier({ key: process.env.JWT_SECRET, algorithms: ["HS256"], cache: true });

const connection = (type) => `
  type ${type}Connection { nodes: [${type}!]! pageInfo: PageInfo! }`;

const schema = `
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type Assistant { assistantId: String! memoryType: String! isLegacy: Boolean! }
  type Expert { name: String! assistants(first: Int! = 20): AssistantConnection! }
  type Document { name: String! documentLink: String openaiFileId: String }
  type VectorStore { vectorId: String! ownerKind: String! fileIds: [String!] }
  type Domain {
    name: String!
    experts(first: Int! = 20): ExpertConnection!
    documents(first: Int! = 20): DocumentConnection!
    vectorStores(first: Int! = 20): VectorStoreConnection!
  }
  type Clone {
    id: ID!
    name: String!
    bio: String
    category: String
    basePrice: String!
    temperature: Float
    maxTokens: Int
    isPublished: Boolean!
    totalSessions: Int!
    averageRating: String
    createdAt: String!
    memoryType: String
    systemPrompt: String
    creator: User
    domain: Domain
  }
  type User { id: ID! fullName: String! sessions(first: Int! = 20): SessionConnection! }
  type Session {
    id: ID!
    status: String!
    startTime: String!
    messages(first: Int! = 20): MessageConnection!
    clone: Clone
  }
  type Message { id: ID! senderType: String! content: String tokensUsed: Int createdAt: String! }
  ${["Assistant", "Expert", "Document", "VectorStore", "Clone", "User", "Session", "Message"].map(connection).join("")}
  input IDFilter { in: [ID!]! }
  input UserFilter { id: IDFilter! }
  enum CloneOrderField { AVERAGE_RATING }
  input CloneOrder { field: CloneOrderField! }
  type Query {
    clone(id: ID!): Clone
    clones(first: Int! = 20, after: String, orderBy: [CloneOrder!]): CloneConnection!
    users(first: Int! = 20, where: UserFilter!): UserConnection!
  }`;

const OWN = "ARRAY(SELECT id FROM clones WHERE creator_id = $1)";
const OWN_ASSISTANTS = "ARRAY(SELECT rag_assistant_id FROM clones WHERE creator_id = $1)";
const OWN_STORES = "ARRAY(SELECT vector_store_id FROM clones WHERE creator_id = $1)";
const HELD_DOCUMENTS = `
  held_document AS MATERIALIZED (
    SELECT document_id AS id FROM store_files WHERE vector_store_id IN (
      SELECT id FROM vector_stores WHERE owner_id = $1
      UNION ALL
      SELECT id FROM vector_stores WHERE vector_id = ANY (${OWN_STORES})
    )
  )`;
const READS_DOCUMENT = "(x.owner_id = $1 OR x.id IN (SELECT id FROM held_document))";
const READS_SESSION = `(
  session.user_id = $1 OR session.transcript_shared_at IS NOT NULL AND session.clone_id = ANY (${OWN}))`;

/** Whoever is signed in. A parameter wants to be mentioned. */
const EVERYBODY = "$1::uuid IS NOT NULL";

/** A table: the columns that fields read, which of its rows the viewer sees, in which order, and what comes before. */
const CLONES = {
  table: "clones",
  columns: `
    x.id, x.name, x.bio, x.category, x.base_price AS "basePrice", x.is_published AS "isPublished",
    x.total_sessions AS "totalSessions", x.average_rating AS "averageRating", x.created_at AS "createdAt",
    x.memory_type AS "memoryType", x.creator_id, x.domain_id,
    CASE WHEN x.creator_id = $1 THEN x.temperature END AS temperature,
    CASE WHEN x.creator_id = $1 THEN x.max_tokens END AS "maxTokens",
    CASE WHEN x.creator_id = $1 THEN x.system_prompt END AS "systemPrompt"`,
  visible: "(x.is_published AND x.is_active OR x.creator_id = $1)",
  order: ["created_at", "ASC"],
};
const USERS = {
  table: "user_profiles",
  columns: `x.id, x.full_name AS "fullName"`,
  visible: `(
    x.id = $1
    OR (SELECT true FROM clones WHERE creator_id = x.id AND is_published AND is_active LIMIT 1)
    OR (SELECT true FROM sessions WHERE user_id = x.id AND clone_id = ANY (${OWN}) LIMIT 1))`,
  order: ["created_at", "ASC"],
};
const DOMAINS = {
  table: "domains",
  columns: "x.id, x.domain_name AS name",
  visible: EVERYBODY,
  order: ["domain_name", "ASC"],
};
const EXPERTS = { table: "experts", columns: "x.name", visible: EVERYBODY, order: ["name", "ASC"] };
const ASSISTANTS = {
  table: "assistants",
  columns: `x.assistant_id AS "assistantId", x.memory_type AS "memoryType",
    starts_with(x.assistant_id, 'asst_') AS "isLegacy"`,
  visible: `(x.owner_id = $1 OR x.assistant_id = ANY (${OWN_ASSISTANTS}))`,
  order: ["created_at", "ASC"],
};
const DOCUMENTS = {
  table: "documents",
  before: `WITH ${HELD_DOCUMENTS}`,
  columns: `x.name, CASE WHEN ${READS_DOCUMENT} THEN x.document_link END AS "documentLink",
    CASE WHEN ${READS_DOCUMENT} THEN x.openai_file_id END AS "openaiFileId"`,
  visible: "(x.owner_id IS NULL AND x.deleted_at IS NULL OR x.owner_id = $1)",
  order: ["name", "ASC"],
};
const STORES = {
  table: "vector_stores",
  columns: `x.vector_id AS "vectorId", x.owner AS "ownerKind", x.file_ids AS "fileIds"`,
  visible: `(x.owner_id = $1 OR x.vector_id = ANY (${OWN_STORES}))`,
  order: ["created_at", "ASC"],
};
const SESSIONS = {
  table: "sessions",
  columns: `x.id, x.status, x.start_time AS "startTime", x.clone_id`,
  visible: `(x.user_id = $1 OR x.clone_id = ANY (${OWN}))`,
  order: ["start_time", "DESC"],
};
/** Who sees a session sees its messages, so there is nothing more to ask of each. */
const MESSAGES = {
  table: "messages",
  columns: `x.id, x.sender_type AS "senderType", x.tokens_used AS "tokensUsed", x.created_at AS "createdAt",
    CASE WHEN ${READS_SESSION} THEN x.content END AS content`,
  visible: "true",
  order: ["created_at", "ASC"],
};

const orderBy = ([column, direction]) => `x.${column} ${direction}, x.id ${direction}`;
const cursor = ([column]) => `concat(x.${column}, ' ', x.id) AS cursor`;

let statements = 0;

/** A statement that is prepared once on each connection. */
function statement(text) {
  const name = String(++statements);
  return async (...values) => (await pool.query({ name, text, values })).rows;
}

/** A page of rows, of which there is one more than asked for where others follow. */
function page(rows, first) {
  const nodes = rows.length > first ? rows.slice(0, first) : rows;
  const endCursor = nodes.length ? Buffer.from(nodes[nodes.length - 1].cursor).toString("base64") : null;
  return { nodes, pageInfo: { hasNextPage: rows.length > first, endCursor } };
}

/** A statement with the size of its page in its text, made once for each: PostgreSQL plans a LIMIT better that it knows. */
function sized(text) {
  const made = new Map();
  return (first) => {
    if (!made.has(first)) made.set(first, statement(text(first + 1)));
    return made.get(first);
  };
}

/** A root list. ranges: conditions, made of $2 and so on, of rows that follow each other, each read from an index. */
function list({ table, columns, visible, order }, ...ranges) {
  const range = (condition, limit) => `
    (SELECT * FROM ${table} AS x WHERE ${visible} AND ${condition} ORDER BY ${orderBy(order)} LIMIT ${limit})`;
  const rows = sized(
    (limit) => `
      SELECT ${columns}, ${cursor(order)} FROM (${ranges.map((each) => range(each, limit)).join(" UNION ALL ")}) AS x
      ORDER BY ${orderBy(order)} LIMIT ${limit}`,
  );
  return async (viewer, first, ...values) => page(await rows(first)(viewer, ...values), first);
}

/** A loader of the rows that a column of the parents leads to, each parent to one or none. */
function one({ table, columns, visible }, key) {
  const rows = statement(`SELECT ${columns} FROM ${table} AS x WHERE x.id = ANY ($2::uuid[]) AND ${visible}`);
  const loader = async (queries, { viewer }) => {
    const keys = new Set(queries.map(({ obj }) => obj[key]));
    const found = new Map((await rows(viewer, [...keys])).map((row) => [row.id, row]));
    return queries.map(({ obj }) => found.get(obj[key]) ?? null);
  };
  return { loader, opts: { cache: false } };
}

/** A loader of pages of the rows whose column equals a key of the parents. parent: a row to be joined to each key. */
function many({ table, columns, visible, order, before = "" }, column, key, type, parent = "") {
  const rows = sized(
    (limit) => `
      ${before} SELECT wanted.key AS parent, found.*
      FROM unnest($2::${type}[]) AS wanted (key) ${parent}
      CROSS JOIN LATERAL (
        SELECT ${columns}, ${cursor(order)} FROM ${table} AS x WHERE x.${column} = wanted.key AND ${visible}
        ORDER BY ${orderBy(order)} LIMIT ${limit}
      ) AS found`,
  );
  const load = async (viewer, keys, first) => {
    const found = new Map(keys.map((each) => [each, []]));
    for (const row of await rows(first)(viewer, [...found.keys()])) found.get(row.parent).push(row);
    return found;
  };
  const loader = async (queries, { viewer }) => {
    const found = new Map();
    for (const first of new Set(queries.map(({ params }) => params.first))) {
      const keys = queries.filter(({ params }) => params.first === first).map(({ obj }) => obj[key]);
      found.set(first, await load(viewer, keys, first));
    }
    return queries.map(({ obj, params: { first } }) => page(found.get(first).get(obj[key]), first));
  };
  return { loader, opts: { cache: false } };
}

const clone = statement(`SELECT ${CLONES.columns} FROM clones AS x WHERE x.id = $2 AND ${CLONES.visible}`);
const clones = list(CLONES, "true");
const CLONES_BY_RATING = { ...CLONES, order: ["average_rating", "ASC"] };
const clonesByRating = list(CLONES_BY_RATING, "true");
const clonesAfterRated = list(
  CLONES_BY_RATING,
  "(x.average_rating, x.id) > ($2::numeric, $3::uuid)",
  "x.average_rating IS NULL",
);
const clonesAfterUnrated = list(CLONES_BY_RATING, "x.average_rating IS NULL AND x.id > $2::uuid");
const users = list(USERS, "x.id = ANY ($2::uuid[])");

/** A page of clones by their rating. after: the cursor of the one before it. */
function pageByRating(viewer, first, after) {
  if (!after) return clonesByRating(viewer, first);
  const [rating, id] = Buffer.from(after, "base64").toString().split(" ");
  return rating ? clonesAfterRated(viewer, first, rating, id) : clonesAfterUnrated(viewer, first, id);
}

const app = Fastify();
app.register(mercurius, {
  schema,
  jit: 1,
  context: (request) => {
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    if (scheme !== "Bearer") throw new Error("Send a token.");
    return { viewer: verify(token).sub };
  },
  resolvers: {
    Query: {
      clone: async (_, { id }, { viewer }) => (await clone(viewer, id))[0] ?? null,
      clones: (_, { first, after, orderBy }, { viewer }) =>
        orderBy ? pageByRating(viewer, first, after) : clones(viewer, first),
      users: (_, { first, where }, { viewer }) => users(viewer, first, where.id.in),
    },
  },
  loaders: {
    Clone: { creator: one(USERS, "creator_id"), domain: one(DOMAINS, "domain_id") },
    Domain: {
      experts: many(EXPERTS, "domain", "name", "text"),
      documents: many(DOCUMENTS, "domain", "name", "text"),
      vectorStores: many(STORES, "domain_name", "name", "text"),
    },
    Expert: { assistants: many(ASSISTANTS, "expert_name", "name", "text") },
    User: { sessions: many(SESSIONS, "user_id", "id", "uuid") },
    Session: {
      messages: many(MESSAGES, "session_id", "id", "uuid", "JOIN sessions AS session ON session.id = wanted.key"),
      clone: one(CLONES, "clone_id"),
    },
  },
});
await app.listen({ port: 0, host: "127.0.0.1" });
console.log(`Ready: http://127.0.0.1:${app.server.address().port}/`);
