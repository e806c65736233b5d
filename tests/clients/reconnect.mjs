// graphql-ws while one gateway goes and another comes: subscriptions go on where they were.
// Prints "subscribed" when the first may go, and reads the address of the other.
import assert from "node:assert/strict";
import { once as emitted } from "node:events";
import { createInterface } from "node:readline";
import { Events, as, once, socket } from "./gateway.mjs";
import { CHANGE, OWN, UPDATED } from "./operations.mjs";

const lines = createInterface({ input: process.stdin });
const address = (gateway) => `${gateway.replace(/^http/, "ws")}/graphql`;
const change = (client, id, bio) =>
  once(client, { query: CHANGE, variables: { input: { id, bio } } });
const closed = [];
const ws = socket("maya", {
  url: async () => {
    if (!closed.length) return address(process.env.GATEWAY);
    const [gateway] = await emitted(lines, "line");
    const other = socket("maya", { url: address(gateway) });
    await change(other, changing.id, "While nobody listened.");
    await other.dispose();
    return address(gateway);
  },
  lazy: false,
  retryAttempts: 5,
  retryWait: async () => {},
  on: { closed: ({ code }) => closed.push(code) },
});

/** The events of a clone. Its last cursor is in the variables when they are sent again. */
function watch({ id }) {
  const events = new Events();
  const variables = { id, after: null };
  const next = ({ data: { cloneUpdated } }) => {
    variables.after = cloneUpdated.cursor;
    events.next(cloneUpdated.clone.bio);
  };
  const stop = ws.subscribe({ query: UPDATED, variables }, { ...events, next });
  return { take: () => events.take(), stop };
}

const { data } = await once(ws, { query: OWN, variables: { first: 2 } });
const [changing, resting] = data.viewer.clones.nodes;
const busy = watch(changing);
const quiet = watch(resting);

assert.equal(await busy.take(), changing.bio);
assert.equal(await quiet.take(), resting.bio);
await change(ws, changing.id, "Before.");
assert.equal(await busy.take(), "Before.");
console.log("subscribed");
assert.equal(await busy.take(), "While nobody listened.");
await change(ws, resting.id, "After.");
assert.equal(await quiet.take(), "After."); // and not its present state once more
assert.deepEqual(closed, [1012]);

busy.stop();
quiet.stop();
await ws.dispose();
lines.close();
