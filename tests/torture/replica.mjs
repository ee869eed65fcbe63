// What browsers make of what a server sends: `replica.mjs WEB`, each case a line of JSON on standard input.
//
//   {view, deltas}   a view and deltas for it; the answer is a line, {view, offset, gaps}
//   {frame}          the text of a frame, which may be spoiled, to a page whose view stands at 5; the answer is
//                    {message, view, offset}, where message is null if it is no JSON; or {broken: true} if the page
//                    could not apply it, and then still stands where it stood
//
// It ends with 1 where a case left something in a prototype.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const source = readFileSync(`${process.argv[2]}/wire.js`).toString("base64");
const { Replica, openSocket } = await import(`data:text/javascript;base64,${source}`);
const names = () => JSON.stringify([Object, Array, Function].map((kind) => Reflect.ownKeys(kind.prototype).map(String)));
const before = names();
const APPLIED = { welcome: "welcome", delta: "delta", snapshot: "snapshot" };

// Frames come in by the page's own handler of a WebSocket.
globalThis.WebSocket = class {
  constructor() {
    setTimeout(() => this.onopen());
    globalThis.socket = this;
  }
};
const transport = await openSocket("http://127.0.0.1/", null, 1000);

function standing(view) {
  const replica = new Replica();
  replica.welcome({ mode: "snapshot", position: { epoch: "e", offset: 5, chain: "" }, view });
  return replica;
}

function receive(frame) {
  const replica = standing({ a: { b: 1 } });
  let message = null;
  transport.onmessage = (found) => {
    message = found;
    const apply = APPLIED[message?.type];
    if (apply) replica[apply](message);
  };
  try {
    globalThis.socket.onmessage({ data: frame });
  } catch {
    if (message !== null) return { broken: true, offset: replica.position.offset };
  }
  return { message, view: replica.view, offset: replica.position?.offset ?? null };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { view, deltas, frame } = JSON.parse(line);
  if (frame !== undefined) {
    console.log(JSON.stringify(receive(frame)));
    continue;
  }
  const replica = standing(view);
  const gaps = deltas.map((delta) => !replica.delta(delta));
  console.log(JSON.stringify({ view: replica.view, offset: replica.position.offset, gaps }));
}
process.exitCode = names() === before ? 0 : 1;
