import type { Config } from "./config";
import { variablesText } from "./examples";
import { VIEWER_KEY } from "./viewer";

/**
 * Prepares a first visit: the first example is open, as the person it is meant
 * for, beside the list of all examples.
 *
 * It is left where GraphiQL keeps the document last edited. Its `initialQuery`
 * and `initialVariables` would show it as well, but lose the variables on reload.
 */
export function welcomeNewcomer({ examples: [first] }: Config) {
  if (!first || localStorage.getItem("graphiql:tabState") !== null) return;
  localStorage.setItem("graphiql:query", first.query);
  localStorage.setItem("graphiql:variables", variablesText(first));
  localStorage.setItem("graphiql:visiblePlugin", "Examples");
  if (first.as) sessionStorage.setItem(VIEWER_KEY, first.as);
}
