// PostGraphile 5 over the demo data: without protection, or behind row level security (PROTECTED=1).

import { createServer } from "node:http";

import { createVerifier } from "fast-jwt";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { extendSchema, gql, jsonPgSmartTags } from "postgraphile/utils";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";

const PROTECTED = process.env.PROTECTED === "1";

const verify = createVerifier({ key: process.env.JWT_SECRET, algorithms: ["HS256"], cache: true });

/** What PostgreSQL is told about whoever sends a request. */
function pgSettings(request) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (scheme !== "Bearer") throw new Error("Send a token.");
  return { role: "visitor", "jwt.claims.sub": verify(token).sub };
}

/** A field that is an expression of its row, and part of the one statement. expression: made of the row's alias. */
const computed = (codec, expression) => ($row) => $row.select(expression($row.getClassStep().alias), codec, false);

const Legacy = extendSchema(({ sql, dataplanPg: { TYPES } }) => ({
  typeDefs: gql`extend type Assistant { isLegacy: Boolean! }`,
  objects: {
    Assistant: {
      plans: { isLegacy: computed(TYPES.boolean, (row) => sql`starts_with(${row}.assistant_id, 'asst_')`) },
    },
  },
}));

const PRIVATE = {
  clones: ["system_prompt", "temperature", "max_tokens"],
  documents: ["document_link", "openai_file_id"],
  messages: ["content"],
};

/** The columns that not everybody who sees a row may read leave the graph ... */
const Hidden = jsonPgSmartTags({
  version: 1,
  config: {
    class: Object.fromEntries(
      Object.entries(PRIVATE).map(([table, columns]) => [
        table,
        { attribute: Object.fromEntries(columns.map((column) => [column, { tags: { behavior: "-*" } }])) },
      ]),
    ),
  },
});

/** ... and come back as expressions, null to whom they do not concern. */
const Private = extendSchema(({ sql, dataplanPg: { TYPES } }) => {
  const viewer = sql`(SELECT peers.viewer_id())`;
  const ofCreator = (column) => (row) => sql`CASE WHEN ${row}.creator_id = ${viewer} THEN ${row}.${column} END`;
  const ofHolder = (column) => (row) => sql`
    CASE WHEN ${row}.owner_id = ${viewer} OR ${row}.id IN (SELECT peers.held_documents()) THEN ${row}.${column} END`;
  const ofReader = (column) => (row) => sql`
    CASE WHEN (
      SELECT session.user_id = ${viewer}
        OR session.transcript_shared_at IS NOT NULL AND session.clone_id = ANY ((SELECT peers.own_clones())::uuid[])
      FROM sessions AS session WHERE session.id = ${row}.session_id
    ) THEN ${row}.${column} END`;
  return {
    typeDefs: gql`
      extend type Clone { systemPrompt: String temperature: Float maxTokens: Int }
      extend type Document { documentLink: String openaiFileId: String }
      extend type Message { content: String }
    `,
    objects: {
      Clone: {
        plans: {
          systemPrompt: computed(TYPES.text, ofCreator(sql`system_prompt`)),
          temperature: computed(TYPES.float, ofCreator(sql`temperature`)),
          maxTokens: computed(TYPES.int, ofCreator(sql`max_tokens`)),
        },
      },
      Document: {
        plans: {
          documentLink: computed(TYPES.text, ofHolder(sql`document_link`)),
          openaiFileId: computed(TYPES.text, ofHolder(sql`openai_file_id`)),
        },
      },
      Message: { plans: { content: computed(TYPES.text, ofReader(sql`content`)) } },
    },
  };
});

const preset = {
  extends: [PostGraphileAmberPreset, PostGraphileConnectionFilterPreset],
  plugins: [Legacy, ...(PROTECTED ? [Hidden, Private] : [])],
  pgServices: [
    makePgService({ connectionString: process.env.DATABASE_URL, schemas: ["public"], poolConfig: { max: 10 } }),
  ],
  grafast: {
    explain: false,
    context: PROTECTED ? ({ node }) => ({ pgSettings: pgSettings(node.req) }) : undefined,
  },
  grafserv: { graphiql: false, watch: false, websockets: false, outputDataAsString: true },
};

const server = createServer();
await postgraphile(preset).createServ(grafserv).addTo(server);
server.listen(0, "127.0.0.1", () => console.log(`Ready: http://127.0.0.1:${server.address().port}/`));
