// Where the gateway is, who asks it, and what goes over the wire.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

globalThis.WebSocket ??= WebSocket; // as browsers have it, and Node from 22 on

export const HTTP = `${process.env.GATEWAY}/graphql`;
export const SOCKET = HTTP.replace(/^http/, "ws");
export const STREAM = `${HTTP}/stream`;

setTimeout(() => {
  console.error("still not done after 90 seconds");
  process.exit(1);
}, 90_000).unref();

/** The headers of a person of the demo's cast; of nobody, for null. */
export const as = (person) =>
  person ? { authorization: `Bearer ${process.env[`TOKEN_OF_${person.toUpperCase()}`]}` } : {};

/** A client of graphql-ws for a person, which gives up where the gateway refuses it. */
export const socket = (person, options) =>
  createClient({ url: SOCKET, connectionParams: as(person), retryAttempts: 0, ...options });

/**
 * The only answer to an operation, by a client of graphql-ws or graphql-sse. Rejects if it is refused,
 * over a socket with the list of errors.
 */
export const once = (client, operation) =>
  new Promise((resolve, reject) => {
    let answer;
    client.subscribe(operation, {
      next: (value) => (answer = value),
      error: (cause) => reject(Array.isArray(cause) ? cause : readable(cause)),
      complete: () => resolve(answer),
    });
  });

/** An error that says what happened, from what sockets and links make of it. */
function readable({
  code,
  reason,
  message = code ? `closed with ${code} ${reason}` : null,
  ...more
}) {
  return new Error(message ?? JSON.stringify(more));
}

/** A fetch that keeps what it sends and what it gets back in its `calls`. */
export function recordingFetch() {
  const recording = async (url, init = {}) => {
    const response = await fetch(url, init);
    recording.calls.push({
      url: new URL(url),
      method: init.method ?? "GET",
      headers: new Headers(init.headers),
      body: typeof init.body === "string" ? JSON.parse(init.body) : init.body,
      status: response.status,
      type: response.headers.get("content-type"),
    });
    return response;
  };
  recording.calls = [];
  return recording;
}

/** Events in the order they come in, to be awaited one by one. */
export class Events {
  #come = [];
  #wake = () => {};

  #add = (event) => {
    this.#come.push(event);
    this.#wake();
  };

  next = (event) => this.#add({ event });
  error = (cause) => this.#add({ error: readable(cause) });
  complete = () => this.#add({ error: new Error("the stream ended") });

  /** The next event. Rejects if none comes within 30 seconds. */
  async take() {
    if (!this.#come.length) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("no event came for 30 seconds")), 30_000);
        this.#wake = () => resolve(clearTimeout(timer));
      });
    }
    const { event, error } = this.#come.shift();
    if (error) throw error;
    return event;
  }
}
