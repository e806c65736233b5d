// graphql-ws: sockets opened at once or when they are needed, and operations of every kind over them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Events, as, once, socket } from "./gateway.mjs";
import { CHANGE, OWN, UPDATED } from "./operations.mjs";

for (const lazy of [true, false]) {
  test(`a query over a socket that is opened ${lazy ? "when it is needed" : "at once"}`, async () => {
    const opened = new Events();
    const ws = socket("ines", {
      lazy,
      on: { connected: opened.next },
      onNonLazyError: opened.error,
    });
    if (!lazy) await opened.take();

    const { data, errors } = await once(ws, { query: OWN, variables: { first: 2 } });
    if (lazy) await opened.take();
    await ws.dispose();

    assert.equal(errors, undefined);
    assert.equal(data.viewer.fullName, "Inês Carvalho");
    assert.equal(data.viewer.clones.nodes.length, 2);
  });
}

test("the token in connectionParams says who asks, and may be fetched anew for each socket", async () => {
  const people = ["jonas", null];
  const ws = socket(null, { connectionParams: async () => as(people.shift()) });
  const query = "{ viewer { fullName } }";

  const jonas = await once(ws, { query });
  const nobody = await once(ws, { query });
  await ws.dispose();

  assert.equal(jonas.data.viewer.fullName, "Jonas Okafor");
  assert.equal(nobody.data.viewer, null);
});

test("where a token is no good any more, the client connects again with a new one", async () => {
  const tokens = [{ authorization: "Bearer of the past" }, as("jonas")];
  const closed = [];
  const ws = socket(null, {
    connectionParams: async () => tokens.shift(),
    retryAttempts: 1,
    retryWait: async () => {},
    on: { closed: ({ code, reason }) => closed.push(`${code} ${reason}`) },
  });

  const { data } = await once(ws, { query: "{ viewer { fullName } }" });
  await ws.dispose();

  assert.equal(data.viewer.fullName, "Jonas Okafor");
  assert.match(closed[0], /^4403 The token is not valid here/);
});

test("a subscription, a query and a mutation share a socket", async () => {
  const sockets = [];
  const ws = socket("ines", { lazy: false, on: { opened: (each) => sockets.push(each) } });
  const { data } = await once(ws, { query: OWN, variables: { first: 1 } });
  const [{ id, bio }] = data.viewer.clones.nodes;
  const events = new Events();

  const stop = ws.subscribe({ query: UPDATED, variables: { id } }, events);
  const present = await events.take();
  const changed = await once(ws, {
    query: CHANGE,
    variables: { input: { id, bio: "Sows in spring." } },
  });
  const event = await events.take();
  stop();
  await ws.dispose();

  assert.equal(present.data.cloneUpdated.clone.bio, bio);
  assert.deepEqual(changed.data.updateClone, {
    clone: { id, bio: "Sows in spring." },
    userErrors: [],
  });
  assert.equal(event.data.cloneUpdated.clone.bio, "Sows in spring.");
  assert.equal(sockets.length, 1);
});

test("whoever pays for a session can watch it", async () => {
  const ws = socket("aiko");
  const own = "{ viewer { sessions(first: 1) { nodes { id status } } } }";
  const { data } = await once(ws, { query: own });
  const [session] = data.viewer.sessions.nodes;
  const query = `subscription ($id: ID!) { sessionUpdated(id: $id) { cursor session { id status } } }`;
  const events = new Events();

  const stop = ws.subscribe({ query, variables: { id: session.id } }, events);
  const present = await events.take();
  stop();
  await ws.dispose();

  assert.deepEqual(present.data.sessionUpdated.session, session);
});

test("errors have codes, whether an operation began or not", async () => {
  const ws = socket("ines");

  const invalid = await once(ws, { query: "{ viewer { colour } }" }).catch((errors) => errors);
  const partial = await once(ws, { query: "{ viewer { id } clones(first: -1) { totalCount } }" });
  const after = await once(ws, { query: "{ viewer { id } }" });
  await ws.dispose();

  assert.deepEqual(
    invalid.map(({ extensions }) => extensions.code),
    ["GRAPHQL_VALIDATION_FAILED"],
  );
  assert.deepEqual(
    partial.errors.map(({ extensions }) => extensions.code),
    ["BAD_USER_INPUT"],
  );
  assert.ok(after.data.viewer.id);
});
