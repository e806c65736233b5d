import type { GraphiQLProps } from "graphiql";
import { getOperationAST, Kind, parse, type ExecutionResult } from "graphql";

import type { Config } from "./config";
import { post } from "./http";
import { publish, separate, withdraw } from "./report";
import { subscribe } from "./socket";

type Fetcher = GraphiQLProps["fetcher"];

/** The header that has an operation priced: `report` with its answer, `validate` instead of it. */
export const COST_HEADER = "graphql-cost";

/** What the loading of the schema is called, which is reported only where it fails. */
const SCHEMA = "introspection";

/**
 * The one way operations, introspection included, reach the server: subscriptions
 * over a WebSocket, everything else over HTTP.
 *
 * @param onToken told whether the server takes the token: why not, or null.
 */
export function createFetcher(
  { endpoint, development }: Config,
  token: string | null,
  onToken: (refusal: string | null) => void,
): Fetcher {
  let hasRun = false;
  return async (request, options) => {
    const headers = new Headers({ "graphql-client-name": "clonegraph-explorer" });
    if (token) headers.set("authorization", `Bearer ${token}`);

    if (request.operationName === "IntrospectionQuery") {
      add(headers, options?.headers);
      const { result, status, failed, refusal } = await post(endpoint, headers, request);
      onToken(refusal);
      // It is nobody's last operation, unless it keeps them from having one.
      if (!failed) withdraw(SCHEMA);
      else if (!hasRun) publish({ title: SCHEMA, status, failed, problems: messages(result) });
      return result;
    }

    hasRun = true;
    const { title, isSubscription } = describe(request.query, request.operationName);
    headers.set(COST_HEADER, "report");
    if (development) headers.set("graphql-plan", "report");
    // Headers typed into the editor come last, so they win over ours.
    add(headers, options?.headers);
    const priceOnly = headers.get(COST_HEADER) === "validate";
    if (isSubscription && !priceOnly) {
      return subscribe(endpoint, headers, request, title) as Awaited<ReturnType<Fetcher>>;
    }

    const { result, status, failed, bytes, milliseconds, refusal } = await post(
      endpoint,
      headers,
      request,
    );
    onToken(refusal);
    const { shown, cost, statements } = separate(result);
    publish({
      title,
      status: priceOnly && !failed ? "Priced, not run" : status,
      failed,
      milliseconds,
      bytes,
      cost,
      statements,
      problems: priceOnly ? messages(result) : [],
    });
    return shown;
  };
}

function messages({ errors }: ExecutionResult): string[] {
  return errors?.map(({ message }) => message) ?? [];
}

function add(headers: Headers, more: Record<string, unknown> = {}) {
  for (const [name, value] of Object.entries(more)) headers.set(name, String(value));
}

/** What to call an operation. The server has the last word on whether it is one at all. */
function describe(query: string, name?: string | null) {
  try {
    const document = parse(query);
    const operation =
      getOperationAST(document, name) ??
      document.definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
    if (operation) {
      const title = [operation.operation, operation.name?.value].filter(Boolean).join(" ");
      return { title, isSubscription: operation.operation === "subscription" };
    }
  } catch {
    // What cannot be parsed has no name.
  }
  return { title: "operation", isSubscription: false };
}
