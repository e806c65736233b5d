// An application over what graphql-codegen's client preset makes of the schema and of the documents in here.
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { print } from "graphql";
import { type FragmentType, graphql, useFragment } from "./gql";
import type { SessionStatus, UserErrorCode, UserRole } from "./gql/graphql";

const Person = graphql(`
  fragment Person on User {
    id
    fullName
    role
    creditsRemaining
    preferences
  }
`);

const Offer = graphql(`
  fragment Offer on Clone {
    uuid
    name
    basePrice
    totalSessions
    publishedAt
    creator {
      ...Person
    }
  }
`);

const Own = graphql(`
  query Own($first: Int!, $where: CloneFilter, $orderBy: [CloneOrder!]) {
    viewer {
      ...Person
      clones(first: $first, where: $where, orderBy: $orderBy) {
        nodes {
          id
          ...Offer
        }
      }
      sessions(first: 1) {
        nodes {
          status
          startTime
        }
      }
    }
  }
`);

const Anything = graphql(`
  query Anything($id: ID!) {
    node(id: $id) {
      __typename
      id
      ... on Clone {
        name
      }
      ... on User {
        fullName
      }
    }
  }
`);

const Change = graphql(`
  mutation Change($input: UpdateCloneInput!) {
    updateClone(input: $input) {
      clone {
        ...Offer
      }
      userErrors {
        __typename
        code
        message
        path
        ... on NameTaken {
          suggestion
        }
      }
    }
  }
`);

const Updated = graphql(`
  subscription Updated($id: ID!, $after: String) {
    cloneUpdated(id: $id, after: $after) {
      cursor
      clone {
        ...Offer
      }
    }
  }
`);

type Ask = <Data, Variables>(
  document: TypedDocumentNode<Data, Variables>,
  variables: NoInfer<Variables>,
) => Promise<Data>;

function through(url: string, headers: Record<string, string>): Ask {
  return async (document, variables) => {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        ...headers,
        "content-type": "application/json",
        accept: "application/graphql-response+json",
      },
      body: JSON.stringify({ query: print(document), variables }),
    });
    const { data, errors } = await response.json();
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  };
}

function worded(reference: FragmentType<typeof Offer>): string {
  const offer = useFragment(Offer, reference);
  const creator = useFragment(Person, offer.creator);
  const price: string = offer.basePrice;
  const sessions: number = offer.totalSessions;
  const since: string | null | undefined = offer.publishedAt;
  // @ts-expect-error: what another fragment asks for is not to be seen here
  offer.creator?.fullName;
  return `${offer.name} of ${creator?.fullName}: ${price} a minute, ${sessions} sessions since ${since}`;
}

/** What maya reads of her published clones and of herself, checked against the types that were generated. */
export async function tour(url: string, headers: Record<string, string>) {
  const ask = through(url, headers);
  const { viewer } = await ask(Own, {
    first: 2,
    where: { isPublished: { eq: true }, basePrice: { gt: "0" } },
    orderBy: [{ field: "NAME", direction: "DESC" }],
  });
  const role: UserRole | null | undefined = useFragment(Person, viewer)?.role;
  const status: SessionStatus | undefined = viewer?.sessions.nodes[0]?.status;
  const ids = viewer?.clones.nodes.map(({ id }) => id) ?? [];
  const { node } = await ask(Anything, { id: ids[0] });
  const name =
    node?.__typename === "Clone" ? node.name : node?.__typename === "User" ? node.fullName : null;
  return { offers: viewer?.clones.nodes.map(worded), role, status, name };
}

/** What is wrong with a price for somebody's clone. */
export async function changePrice(url: string, headers: Record<string, string>, basePrice: string) {
  const ask = through(url, headers);
  const { viewer } = await ask(Own, { first: 1 });
  const id = viewer?.clones.nodes[0]?.id ?? "";
  const { updateClone } = await ask(Change, { input: { id, basePrice } });
  const errors = updateClone?.userErrors ?? [];
  return errors.map((error): [UserErrorCode, string, string | null] => {
    return [
      error.code,
      error.path.join("."),
      error.__typename === "NameTaken" ? error.suggestion : null,
    ];
  });
}

/** What the compiler must refuse. */
export function mistakes(ask: Ask) {
  // @ts-expect-error: a variable that must be given
  ask(Own, {});
  // @ts-expect-error: a word that the enum does not have
  ask(Own, { first: 1, orderBy: [{ field: "COLOUR" }] });
  // @ts-expect-error: Decimal goes as a string
  ask(Own, { first: 1, where: { basePrice: { gt: 0 } } });
  // @ts-expect-error: a field that the input does not have
  ask(Change, { input: { id: "clone_1", colour: "red" } });
}

export const documents = [Own, Anything, Change, Updated];
