// urql: queries, mutations and subscriptions. Its Accept header names streams beside JSON, and must get JSON.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, cacheExchange, fetchExchange, subscriptionExchange } from "@urql/core";
import { Events, HTTP, as, recordingFetch, socket } from "./gateway.mjs";
import { CHANGE, OWN, UPDATED } from "./operations.mjs";

const JSON_TYPE = "application/graphql-response+json; charset=utf-8";
function jonas(options) {
  const fetch = recordingFetch();
  const client = new Client({
    url: HTTP,
    fetch,
    fetchOptions: { headers: as("jonas") },
    exchanges: [cacheExchange, fetchExchange],
    preferGetMethod: false,
    ...options,
  });
  return { client, calls: fetch.calls };
}

for (const preferGetMethod of [false, true]) {
  test(`a query by ${preferGetMethod ? "GET" : "POST"} is answered with JSON`, async () => {
    const { client, calls } = jonas({ preferGetMethod });

    const { data, error } = await client.query(OWN, { first: 2 }).toPromise();

    assert.equal(error, undefined);
    assert.equal(data.viewer.clones.nodes.length, 2);
    assert.equal(calls[0].method, preferGetMethod ? "GET" : "POST");
    assert.match(calls[0].headers.get("accept"), /text\/event-stream/);
    assert.match(calls[0].headers.get("accept"), /multipart\/mixed/);
    assert.equal(calls[0].type, JSON_TYPE);
  });
}

test("errors come with their codes and paths", async () => {
  const { client, calls } = jonas();

  const invalid = await client.query(`{ viewer { colour } }`, {}).toPromise();
  const partial = await client
    .query(`{ viewer { id } clones(first: -1) { totalCount } }`, {})
    .toPromise();

  assert.deepEqual(
    invalid.error.graphQLErrors.map(({ extensions }) => extensions.code),
    ["GRAPHQL_VALIDATION_FAILED"],
  );
  assert.deepEqual(
    partial.error.graphQLErrors.map(({ extensions }) => extensions.code),
    ["BAD_USER_INPUT"],
  );
  assert.deepEqual(
    calls.map(({ status, type }) => [status, type]),
    [
      [422, JSON_TYPE],
      [294, JSON_TYPE],
    ],
  );
});

test("a mutation changes what the cache shows", async () => {
  const { client, calls } = jonas();
  const { data } = await client.query(OWN, { first: 1 }).toPromise();
  const [{ id }] = data.viewer.clones.nodes;

  const changed = await client
    .mutation(CHANGE, { input: { id, bio: "Listens first." } })
    .toPromise();
  const again = await client.query(OWN, { first: 1 }).toPromise();

  assert.equal(changed.error, undefined);
  assert.deepEqual(changed.data.updateClone.userErrors, []);
  assert.equal(again.data.viewer.clones.nodes[0].bio, "Listens first.");
  assert.deepEqual(
    calls.map(({ type }) => type),
    [JSON_TYPE, JSON_TYPE, JSON_TYPE],
  );
});

test("a subscription over graphql-ws tells what is, then what changes", async () => {
  const ws = socket("jonas");
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: ws.subscribe({ query, variables }, sink) }),
  });
  const { client } = jonas({
    exchanges: [cacheExchange, fetchExchange, subscriptionExchange({ forwardSubscription })],
  });
  const { data } = await client.query(OWN, { first: 2 }).toPromise();
  const { id, bio } = data.viewer.clones.nodes[1];
  const events = new Events();

  const { unsubscribe } = client.subscription(UPDATED, { id }).subscribe(events.next);
  const present = await events.take();
  const changed = await client.mutation(CHANGE, { input: { id, bio: "Asks again." } }).toPromise();
  const event = await events.take();
  unsubscribe();
  await ws.dispose();

  assert.equal(present.error, undefined);
  assert.equal(present.data.cloneUpdated.clone.bio, bio);
  assert.equal(changed.data.updateClone.clone.bio, "Asks again.");
  assert.equal(event.data.cloneUpdated.clone.bio, "Asks again.");
});
