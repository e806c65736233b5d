// What several of the clients ask for.

export const OWN = `
  query Own($first: Int!) {
    viewer {
      id
      fullName
      clones(first: $first, orderBy: [{ field: NAME }]) {
        nodes {
          ...CloneFields
        }
      }
    }
  }
  fragment CloneFields on Clone {
    id
    name
    bio
  }
`;

export const CHANGE = `
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
`;

export const UPDATED = `
  subscription Updated($id: ID!, $after: String) {
    cloneUpdated(id: $id, after: $after) {
      cursor
      clone {
        id
        bio
      }
    }
  }
`;
