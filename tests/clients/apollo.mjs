// Apollo Client 4: its cache, pages, errors, persisted queries, uploads and subscriptions.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { after, test } from "node:test";
import { ApolloClient, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import UploadHttpLink from "apollo-upload-client/UploadHttpLink.mjs";
import { Events, HTTP, as, recordingFetch, socket } from "./gateway.mjs";

const MODERN = "application/graphql-response+json; charset=utf-8";
const CLONE_FIELDS = gql`
  fragment CloneFields on Clone {
    id
    name
    bio
    creator {
      ...PersonFields
    }
  }
  fragment PersonFields on User {
    id
    fullName
  }
`;
const OWN = gql`
  query Own($first: Int!) {
    viewer {
      ...PersonFields
      clones(first: $first, orderBy: [{ field: NAME }]) {
        nodes {
          ...CloneFields
          domain {
            id
            name
            experts(first: 2) {
              nodes {
                id
                name
              }
            }
          }
        }
      }
      ownedDomains(first: 1) {
        nodes {
          id
        }
      }
    }
  }
  ${CLONE_FIELDS}
`;

const clients = [];
after(() => clients.forEach((client) => client.stop()));

/** A client of a person's, with what it has fetched. */
function clientOf(person, makeLink = (options) => new HttpLink(options)) {
  const fetch = recordingFetch();
  const cache = new InMemoryCache({
    possibleTypes: { Node: ["Clone", "User", "Domain"] },
    typePolicies: { Query: { fields: { clones: relayStylePagination(["where", "orderBy"]) } } },
  });
  const client = new ApolloClient({
    link: makeLink({ uri: HTTP, fetch, headers: as(person) }),
    cache,
  });
  clients.push(client);
  return { client, calls: fetch.calls };
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

test("a nested query with variables and fragments is normalised by the global ids", async () => {
  const { client, calls } = clientOf("maya");

  const { data } = await client.query({ query: OWN, variables: { first: 3 } });

  assert.equal(calls[0].type, MODERN);
  assert.equal(data.viewer.fullName, "Maya Lindqvist");
  assert.equal(data.viewer.clones.nodes.length, 3);
  const stored = client.cache.extract();
  for (const { id, name, creator } of data.viewer.clones.nodes) {
    assert.equal(stored[`Clone:${id}`].name, name);
    assert.deepEqual(stored[`Clone:${id}`].creator, { __ref: `User:${data.viewer.id}` });
    assert.equal(creator.fullName, "Maya Lindqvist");
  }
  assert.ok(data.viewer.clones.nodes.some(({ domain }) => domain?.experts.nodes.length > 0));
  const [{ id }] = data.viewer.clones.nodes;
  const again = client.cache.readFragment({
    id: client.cache.identify({ __typename: "Clone", id }),
    fragment: CLONE_FIELDS,
    fragmentName: "CloneFields",
  });
  assert.equal(again.creator.fullName, "Maya Lindqvist");
});

test("what node finds is the object that the cache has already", async () => {
  const { client } = clientOf("maya");
  const { data } = await client.query({ query: OWN, variables: { first: 1 } });
  const [clone] = data.viewer.clones.nodes;

  const found = await client.query({
    query: gql`
      query Found($id: ID!) {
        node(id: $id) {
          ...CloneFields
        }
      }
      ${CLONE_FIELDS}
    `,
    variables: { id: clone.id },
  });

  assert.equal(found.data.node.name, clone.name);
  const { ROOT_QUERY } = client.cache.extract();
  assert.deepEqual(ROOT_QUERY[`node({"id":"${clone.id}"})`], { __ref: `Clone:${clone.id}` });
});

test("fetchMore joins pages in the manner of Relay until the list is whole", async () => {
  const { client, calls } = clientOf("maya");
  const clones = client.watchQuery({
    query: gql`
      query Clones($after: String) {
        clones(first: 4, after: $after, orderBy: [{ field: NAME }]) {
          edges {
            cursor
            node {
              id
              name
            }
          }
          pageInfo {
            hasNextPage
            hasPreviousPage
            startCursor
            endCursor
          }
          totalCount
        }
      }
    `,
  });
  const { data: first } = await clones.reobserve();
  const { totalCount } = first.clones;
  assert.equal(first.clones.edges.length, 4);

  let page = first.clones.pageInfo;
  while (page.hasNextPage) {
    const { data } = await clones.fetchMore({ variables: { after: page.endCursor } });
    page = data.clones.pageInfo;
  }

  const { edges } = clones.getCurrentResult().data.clones;
  assert.equal(calls.length, Math.ceil(totalCount / 4));
  assert.equal(new Set(edges.map(({ node }) => node.id)).size, totalCount);
  assert.equal(edges.length, totalCount);
});

test("errors have codes, beside what data there is", async () => {
  const { client, calls } = clientOf("maya");
  const stranger = clientOf(null);

  const invalid = await client
    .query({
      query: gql`
        {
          viewer {
            colour
          }
        }
      `,
    })
    .catch((error) => error);
  const partial = await client.query({
    query: gql`
      {
        viewer {
          id
          fullName
        }
        clones(first: -1) {
          totalCount
        }
      }
    `,
    errorPolicy: "all",
  });
  const forbidden = await stranger.client.query({
    query: gql`
      {
        users(first: 2) {
          nodes {
            id
            fullName
            email
          }
        }
      }
    `,
    errorPolicy: "all",
  });

  assert.ok(CombinedGraphQLErrors.is(invalid), invalid);
  assert.equal(invalid.errors[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
  assert.ok(CombinedGraphQLErrors.is(partial.error), partial.error);
  assert.equal(partial.error.errors[0].extensions.code, "BAD_USER_INPUT");
  assert.ok(CombinedGraphQLErrors.is(forbidden.error), forbidden.error);
  assert.deepEqual(
    [...new Set(forbidden.error.errors.map((error) => error.extensions.code))],
    ["FORBIDDEN"],
  );
  assert.deepEqual(forbidden.error.errors[0].path, ["users", "nodes", 0, "email"]);
  assert.ok(forbidden.data.users.nodes.every(({ fullName, email }) => fullName && email === null));
  assert.deepEqual(
    calls.map(({ status }) => status),
    [422, 294],
  );
  assert.deepEqual(
    stranger.calls.map(({ status }) => status),
    [294],
  );
});

test("a persisted query is unknown once, then sent in full, then by its hash alone", async () => {
  const { client, calls } = clientOf("maya", (options) =>
    new PersistedQueryLink({ sha256 }).concat(new HttpLink(options)),
  );
  const query = unheardOf();

  for (const fullName of ["Maya Lindqvist", "Maya Lindqvist"]) {
    const { data } = await client.query({
      query,
      variables: { first: 1 },
      fetchPolicy: "network-only",
    });
    assert.equal(data.viewer.fullName, fullName);
  }

  assert.deepEqual(
    calls.map(({ body }) => body.query !== undefined),
    [false, true, false],
  );
  assert.deepEqual(
    new Set(calls.map(({ body }) => body.extensions.persistedQuery.sha256Hash)).size,
    1,
  );
  assert.deepEqual(
    calls.map(({ status }) => status),
    [200, 200, 200],
  );
});

test("a persisted query goes by GET once it is known", async () => {
  const { client, calls } = clientOf("maya", (options) =>
    new PersistedQueryLink({ sha256, useGETForHashedQueries: true }).concat(new HttpLink(options)),
  );
  const query = unheardOf();

  for (const first of [1, 2]) {
    const { data } = await client.query({ query, variables: { first } });
    assert.equal(data.viewer.clones.nodes.length, first);
  }

  assert.deepEqual(
    calls.map(({ method }) => method),
    ["GET", "POST", "GET"],
  );
  assert.equal(calls[2].url.searchParams.has("query"), false);
});

test("a file is uploaded", async () => {
  const { client, calls } = clientOf("maya", ({ headers, ...options }) => {
    return new UploadHttpLink({
      ...options,
      headers: { ...headers, "apollo-require-preflight": "true" },
    });
  });
  const { data: own } = await client.query({ query: OWN, variables: { first: 1 } });
  const name = `Bread ${randomUUID()}`;
  const file = new File(["Bread needs time.\n"], "bread.txt", { type: "text/plain" });

  const { data } = await client.mutate({
    mutation: gql`
      mutation Upload($input: UploadDocumentInput!) {
        uploadDocument(input: $input) {
          document {
            id
            name
          }
          userErrors {
            code
            message
            path
          }
        }
      }
    `,
    variables: { input: { domainId: own.viewer.ownedDomains.nodes[0].id, name, file } },
  });

  assert.ok(calls[1].body instanceof FormData);
  assert.deepEqual(data.uploadDocument.userErrors, []);
  assert.equal(data.uploadDocument.document.name, name);
  assert.equal(client.cache.extract()[`Document:${data.uploadDocument.document.id}`].name, name);
});

test("a subscription tells what is, then what changes, and the cache learns of it", async () => {
  const { client } = clientOf("maya");
  const { data: own } = await client.query({ query: OWN, variables: { first: 1 } });
  const [{ id, bio }] = own.viewer.clones.nodes;
  const ws = socket("maya");
  const subscriber = new ApolloClient({ link: new GraphQLWsLink(ws), cache: client.cache });
  clients.push(subscriber);
  const events = new Events();

  const subscription = subscriber
    .subscribe({
      query: gql`
        subscription Updated($id: ID!) {
          cloneUpdated(id: $id) {
            cursor
            clone {
              ...CloneFields
            }
          }
        }
        ${CLONE_FIELDS}
      `,
      variables: { id },
    })
    .subscribe(events);
  const present = await events.take();
  await change(client, id, "Bakes at night.");
  const changed = await events.take();
  subscription.unsubscribe();
  await ws.dispose();

  assert.equal(present.data.cloneUpdated.clone.bio, bio);
  assert.equal(changed.data.cloneUpdated.clone.bio, "Bakes at night.");
  assert.ok(changed.data.cloneUpdated.cursor);
  assert.notEqual(changed.data.cloneUpdated.cursor, present.data.cloneUpdated.cursor);
  const { data } = await client.query({
    query: OWN,
    variables: { first: 1 },
    fetchPolicy: "cache-only",
  });
  assert.equal(data.viewer.clones.nodes[0].bio, "Bakes at night.");
});

/** A query that no gateway has ever been sent. */
function unheardOf() {
  return gql`
        query Own_${randomUUID().replaceAll("-", "")}($first: Int!) {
            viewer {
                id
                fullName
                clones(first: $first) {
                    nodes {
                        id
                    }
                }
            }
        }
    `;
}

async function change(client, id, bio) {
  const { data } = await client.mutate({
    mutation: gql`
      mutation Change($input: UpdateCloneInput!) {
        updateClone(input: $input) {
          clone {
            id
            bio
          }
          userErrors {
            code
            message
          }
        }
      }
    `,
    variables: { input: { id, bio } },
    fetchPolicy: "no-cache",
  });
  assert.deepEqual(data.updateClone.userErrors, []);
  assert.equal(data.updateClone.clone.bio, bio);
}
