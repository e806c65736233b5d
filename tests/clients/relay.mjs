// Relay: relay-compiler over the schema, and relay-runtime with what it made of relay/app.js.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import compiler from "relay-compiler";
import relay from "relay-runtime";
import { Events, HTTP, as, once, recordingFetch, socket } from "./gateway.mjs";
import { CHANGE } from "./operations.mjs";

const { ConnectionHandler, Environment, Network, Observable, RecordSource, Store } = relay;
const folder = mkdtempSync(join(tmpdir(), "relay-"));
after(() => rmSync(folder, { recursive: true }));

/** What the compiler says, and whether it is content. Its artifacts are in the folder's `__generated__` then. */
function compile() {
  cpSync("relay", folder, { recursive: true });
  cpSync("../../schema.graphql", join(folder, "schema.graphql"));
  mkdirSync(join(folder, "__generated__"));
  symlinkSync(join(process.cwd(), "node_modules"), join(folder, "node_modules"));
  const config = {
    src: ".",
    schema: "schema.graphql",
    language: "javascript",
    artifactDirectory: "__generated__",
    eagerEsModules: false, // they import each other without an extension, which Node does not understand
  };
  writeFileSync(join(folder, "relay.config.json"), JSON.stringify(config));
  const { status, stdout, stderr } = spawnSync(compiler, ["relay.config.json"], {
    cwd: folder,
    encoding: "utf-8",
  });
  return { status, said: stdout + stderr };
}

const compiled = compile();
const load = createRequire(join(folder, "__generated__", "from.here"));
const artifact = (name) => load(`./${name}.graphql.js`);

/** An environment of maya's, with what it has fetched. */
function environment() {
  const fetch = recordingFetch();
  const ws = socket("maya");
  const network = Network.create(
    async ({ text }, variables) => {
      const response = await fetch(HTTP, {
        method: "POST",
        headers: {
          ...as("maya"),
          "content-type": "application/json",
          accept: "application/graphql-response+json",
        },
        body: JSON.stringify({ query: text, variables }),
      });
      return response.json();
    },
    ({ text, name }, variables) =>
      Observable.create((sink) =>
        ws.subscribe({ operationName: name, query: text, variables }, sink),
      ),
  );
  return {
    environment: new Environment({ network, store: new Store(new RecordSource()) }),
    calls: fetch.calls,
    ws,
  };
}

/** What a component with this fragment is given. */
function read(environment, name, reference) {
  const selector = relay.getSingularSelector(artifact(name), reference);
  return environment.lookup(selector).data;
}

async function viewersClones(environment) {
  const operation = relay.createOperationDescriptor(artifact("appViewerQuery"), {});
  environment.retain(operation);
  const { viewer } = await relay.fetchQuery(environment, operation.request.node, {}).toPromise();
  const profile = read(environment, "app_profile", viewer);
  return { profile, read: () => read(environment, "app_clones", profile) };
}

test("the schema compiles without a warning", () => {
  assert.equal(compiled.status, 0, compiled.said);
  assert.doesNotMatch(compiled.said, /warn|error/i);
});

test("fragments get what they ask for, and no more", async () => {
  const { environment: store } = environment();

  const { profile, read: clones } = await viewersClones(store);

  assert.equal(profile.fullName, "Maya Lindqvist");
  assert.equal(clones().clones.edges.length, 2);
  const [{ node }] = clones().clones.edges;
  assert.equal(node.name, undefined);
  assert.match(read(store, "app_clone", node).basePrice, /^\d+\.\d+$/);
});

test("a refetchable fragment pages on through node, until the list is whole", async () => {
  const { environment: store, calls } = environment();
  const { profile, read: clones } = await viewersClones(store);
  const fragment = artifact("app_clones");
  const { paginationRequest, paginationMetadata, identifierInfo } = {
    ...relay.getPaginationMetadata(fragment, "the test"),
    ...relay.getRefetchMetadata(fragment, "the test"),
  };

  for (let page = clones().clones.pageInfo; page.hasNextPage; page = clones().clones.pageInfo) {
    const variables = relay.getPaginationVariables(
      "forward",
      2,
      page.endCursor,
      {},
      {},
      paginationMetadata,
    );
    variables[identifierInfo.identifierQueryVariableName] = profile.id;
    await relay.fetchQuery(store, paginationRequest, variables).toPromise();
  }

  const { edges, totalCount } = clones().clones;
  assert.ok(totalCount > 2);
  assert.equal(new Set(edges.map(({ node }) => node.id)).size, totalCount);
  assert.equal(edges.length, totalCount);
  assert.equal(calls.length, Math.ceil(totalCount / 2));
  assert.match(calls[1].body.query, /node\(id: \$id\)/);
});

test("node finds what the store has, as the same record", async () => {
  const { environment: store } = environment();
  const { read: clones } = await viewersClones(store);
  const [{ node: clone }] = clones().clones.edges;

  const { node } = await relay
    .fetchQuery(store, artifact("appFoundQuery"), { id: clone.id })
    .toPromise();

  assert.equal(node.app_profile, null);
  assert.deepEqual(read(store, "app_clone", node.app_clone), read(store, "app_clone", clone));
});

test("a connection takes and loses edges on this side", async () => {
  const { environment: store } = environment();
  const { read: clones } = await viewersClones(store);
  const [first, second] = clones().clones.edges.map(({ node }) => node.id);

  relay.commitLocalUpdate(store, (records) => {
    const connection = records.get(clones().clones.__id);
    const edge = ConnectionHandler.createEdge(records, connection, records.get(first), "CloneEdge");
    ConnectionHandler.deleteNode(connection, first);
    ConnectionHandler.insertEdgeAfter(connection, edge);
  });

  assert.deepEqual(
    clones().clones.edges.map(({ node }) => node.id),
    [second, first],
  );
});

test("mutations and subscriptions change what fragments are given", async () => {
  const { environment: store, ws } = environment();
  const { read: clones } = await viewersClones(store);
  const [{ node: clone }] = clones().clones.edges;
  const bio = () => read(store, "app_clone", clone).bio;
  const events = new Events();

  const subscription = relay.requestSubscription(store, {
    subscription: artifact("appUpdatedSubscription"),
    variables: { id: clone.id },
    onNext: events.next,
    onError: events.error,
  });
  await events.take();
  const { updateClone } = await new Promise((onCompleted, onError) =>
    relay.commitMutation(store, {
      mutation: artifact("appChangeMutation"),
      variables: { input: { id: clone.id, bio: "Kneads by hand." } },
      onCompleted,
      onError,
    }),
  );
  const changed = bio();
  await events.take();
  await once(ws, { query: CHANGE, variables: { input: { id: clone.id, bio: "Shapes loaves." } } });
  await events.take();
  subscription.dispose();
  await ws.dispose();

  assert.deepEqual(updateClone.userErrors, []);
  assert.equal(changed, "Kneads by hand.");
  assert.equal(bio(), "Shapes loaves.");
});
