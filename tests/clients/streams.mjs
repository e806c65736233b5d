// graphql-sse with a connection for each operation.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "graphql-sse";
import { Events, STREAM, as, once } from "./gateway.mjs";
import { CHANGE, OWN, UPDATED } from "./operations.mjs";

const rosa = () =>
  createClient({ url: STREAM, headers: as("rosa"), singleConnection: false, retryAttempts: 0 });

test("a query and a mutation are streams of one answer", async () => {
  const client = rosa();

  const { data } = await once(client, { query: OWN, variables: { first: 1 } });
  const [{ id }] = data.viewer.clones.nodes;
  const changed = await once(client, {
    query: CHANGE,
    variables: { input: { id, bio: "Sleeps well." } },
  });
  client.dispose();

  assert.equal(data.viewer.fullName, "Rosa Delgado");
  assert.deepEqual(changed.data.updateClone, {
    clone: { id, bio: "Sleeps well." },
    userErrors: [],
  });
});

test("a subscription tells what is, then what changes, and goes on where it was left", async () => {
  const client = rosa();
  const { data } = await once(client, { query: OWN, variables: { first: 1 } });
  const [{ id, bio }] = data.viewer.clones.nodes;
  const change = (bio) => once(client, { query: CHANGE, variables: { input: { id, bio } } });
  const events = new Events();

  const stop = client.subscribe({ query: UPDATED, variables: { id } }, events);
  const present = await events.take();
  await change("Naps at noon.");
  const changed = await events.take();
  stop();
  await change("Wakes at dawn.");
  const later = new Events();
  client.subscribe(
    { query: UPDATED, variables: { id, after: changed.data.cloneUpdated.cursor } },
    later,
  );
  const missed = await later.take();
  client.dispose();

  assert.deepEqual(
    [present, changed, missed].map(({ data }) => data.cloneUpdated.clone.bio),
    [bio, "Naps at noon.", "Wakes at dawn."],
  );
});

test("errors have codes, whether an operation began or not", async () => {
  const client = rosa();

  const invalid = await once(client, { query: "{ viewer { colour } }" });
  const partial = await once(client, {
    query: "{ viewer { id } clones(first: -1) { totalCount } }",
  });
  client.dispose();

  assert.deepEqual(
    invalid.errors.map(({ extensions }) => extensions.code),
    ["GRAPHQL_VALIDATION_FAILED"],
  );
  assert.deepEqual(
    partial.errors.map(({ extensions }) => extensions.code),
    ["BAD_USER_INPUT"],
  );
});
