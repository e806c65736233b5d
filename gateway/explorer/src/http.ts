import { GraphQLError, type ExecutionResult } from "graphql";

/** What a request over HTTP came to. */
export interface HttpAnswer {
  result: ExecutionResult;
  status: string;
  failed: boolean;
  milliseconds: number;
  bytes: number;
  /** Why the server does not take the token; null when it does. */
  refusal: string | null;
}

/** Failures become results, as GraphiQL would show a thrown error with its stack. */
export async function post(url: string, headers: Headers, request: object): Promise<HttpAnswer> {
  headers.set("content-type", "application/json");
  headers.set("accept", "application/graphql-response+json, application/json");
  const start = performance.now();
  const answer: HttpAnswer = {
    result: failure("The server could not be reached. Is it still running?"),
    status: "No answer",
    failed: true,
    milliseconds: 0,
    bytes: 0,
    refusal: null,
  };
  try {
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(request) });
    const body = await response.arrayBuffer();
    answer.bytes = body.byteLength;
    answer.status = statusText(response);
    answer.result = read(new TextDecoder().decode(body), answer.status);
    answer.failed = !response.ok || Boolean(answer.result.errors?.length);
    if (response.status === 401) {
      answer.refusal = answer.result.errors?.[0]?.message ?? "The server refused the token.";
    }
  } catch {
    // The answer says already that there was none.
  }
  answer.milliseconds = performance.now() - start;
  return answer;
}

export function failure(message: string): ExecutionResult {
  return { errors: [new GraphQLError(message)] };
}

function read(text: string, status: string): ExecutionResult {
  try {
    return JSON.parse(text);
  } catch {
    return failure(`The server answered "${status}" and no JSON: ${text.slice(0, 500)}`);
  }
}

function statusText({ status, statusText }: Response): string {
  // 294 is younger than most servers' lists of status texts.
  const text = status === 294 ? "Partial Success" : statusText;
  return text ? `${status} ${text}` : String(status);
}
