// The operations of an application written with Relay: relay-compiler finds them here.
import { graphql } from "relay-runtime";

export const profile = graphql`
  fragment app_profile on User {
    id
    fullName
    ...app_clones
  }
`;

export const clones = graphql`
  fragment app_clones on User
  @argumentDefinitions(count: { type: "Int", defaultValue: 2 }, cursor: { type: "String" })
  @refetchable(queryName: "appClonesPageQuery") {
    clones(first: $count, after: $cursor, orderBy: [{ field: NAME }])
      @connection(key: "app_clones") {
      __id
      edges {
        node {
          id
          ...app_clone
        }
      }
      totalCount
    }
  }
`;

export const clone = graphql`
  fragment app_clone on Clone {
    id
    name
    bio
    basePrice
    domain {
      name
    }
  }
`;

export const viewer = graphql`
  query appViewerQuery {
    viewer {
      ...app_profile
    }
  }
`;

export const found = graphql`
  query appFoundQuery($id: ID!) {
    node(id: $id) {
      ...app_clone @alias
      ...app_profile @alias
    }
  }
`;

export const change = graphql`
  mutation appChangeMutation($input: UpdateCloneInput!) {
    updateClone(input: $input) {
      clone {
        ...app_clone
      }
      userErrors {
        code
        message
      }
    }
  }
`;

export const updated = graphql`
  subscription appUpdatedSubscription($id: ID!) {
    cloneUpdated(id: $id) {
      cursor
      clone {
        ...app_clone
      }
    }
  }
`;
