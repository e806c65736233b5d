// Prints how the gateway fares in the audits of graphql-http, as JSON: {id, name, status, reason, answered} of each.
// status is "ok"; or "error", "warn" or "notice" where it falls short of a MUST, a SHOULD or a MAY.
import { auditServer } from "graphql-http";
import { HTTP } from "./gateway.mjs";

const results = await auditServer({ url: HTTP });
const rows = results.map(({ id, name, status, reason, response }) => ({
  id,
  name,
  status,
  reason,
  answered: response && [response.status, response.headers.get("content-type").split(";")[0]],
}));
console.log(JSON.stringify(rows));
