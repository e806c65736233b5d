import type { ExecutionResult, GraphQLError } from "graphql";
import { createClient, type SubscribePayload } from "graphql-ws";

import { failure } from "./http";
import { publish, separate, type Report } from "./report";

/** An observable, as GraphiQL subscribes to one. */
export interface Events {
  subscribe(sink: {
    next(result: ExecutionResult): void;
    complete(): void;
  }): { unsubscribe(): void };
}

/**
 * The events of a subscription, over a WebSocket of its own (graphql-transport-ws).
 *
 * Headers become connection parameters, as a browser sends none with a WebSocket.
 * A connection that breaks is not mended: whoever watches should know that events
 * may be missing.
 */
export function subscribe(
  endpoint: string,
  headers: Headers,
  request: object,
  title: string,
): Events {
  return {
    subscribe(sink) {
      const start = performance.now();
      let report: Report = { title, status: "Waiting for events", failed: false, events: 0 };
      let over = false;
      const update = (changes: Partial<Report>) => {
        report = { ...report, milliseconds: performance.now() - start, ...changes };
        publish(report);
      };
      const finish = (changes: Partial<Report>) => {
        if (over) return;
        over = true;
        update(changes);
        sink.complete();
      };
      update({});

      const client = createClient({
        url: new URL(endpoint, location.href).href.replace(/^http/, "ws"),
        connectionParams: Object.fromEntries(headers),
        retryAttempts: 0,
      });
      const unsubscribe = client.subscribe(request as unknown as SubscribePayload, {
        next(result) {
          const { shown, cost, statements } = separate(result as ExecutionResult);
          sink.next(shown);
          update({
            status: "Streaming",
            events: (report.events ?? 0) + 1,
            cost: cost ?? report.cost,
            statements: statements ?? report.statements,
          });
        },
        error(error) {
          sink.next(explanation(error));
          finish({ status: "Broken off", failed: true });
        },
        complete() {
          finish({ status: "Ended" });
        },
      });
      return {
        unsubscribe() {
          finish({ status: "Stopped" });
          unsubscribe();
        },
      };
    },
  };
}

/** What ended a subscription: errors of GraphQL, the closing of the socket, or something unforeseen. */
function explanation(error: unknown): ExecutionResult {
  if (Array.isArray(error)) return { errors: error as GraphQLError[] };
  if (error instanceof CloseEvent) {
    const reason = error.reason || "The connection could not be made, or broke. Run it again.";
    return failure(`${reason} (WebSocket closed: ${error.code})`);
  }
  return failure(error instanceof Error ? error.message : String(error));
}
