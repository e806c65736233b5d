import type { GraphiQLProps } from "graphiql";
import { GraphQLError, type ExecutionResult } from "graphql";

type Fetcher = GraphiQLProps["fetcher"];

/**
 * The one way operations, introspection included, reach the server.
 *
 * Everything goes over HTTP for now. A WebSocket transport for subscriptions
 * belongs here: look the operation up in `options.documentAST` and return an
 * async iterable of results instead of a promise.
 */
export function createFetcher(endpoint: string, token: string | null): Fetcher {
  return (operation, options) => {
    const headers = new Headers({
      "content-type": "application/json",
      accept: "application/graphql-response+json, application/json",
    });
    if (token) headers.set("authorization", `Bearer ${token}`);
    // Headers typed into the editor come last, so they win over the viewer's.
    for (const [name, value] of Object.entries(options?.headers ?? {})) {
      headers.set(name, String(value));
    }
    return post(endpoint, headers, JSON.stringify(operation));
  };
}

/** Failures become results, as GraphiQL would show a thrown error with its stack. */
async function post(url: string, headers: Headers, body: string): Promise<ExecutionResult> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, { method: "POST", headers, body });
    text = await response.text();
  } catch {
    return failure("The server could not be reached.");
  }
  try {
    return JSON.parse(text);
  } catch {
    return failure(`The server answered with status ${response.status} and no JSON: ${text}`);
  }
}

function failure(message: string): ExecutionResult {
  return { errors: [new GraphQLError(message)] };
}
