// What browsers make of a view and of deltas: `replica.mjs WEB`, each case a line of JSON on standard input,
// {view, deltas}; the answer is a line, {view, offset, gaps}. It ends with 1 where a case left something in a prototype.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const source = readFileSync(`${process.argv[2]}/wire.js`).toString("base64");
const { Replica } = await import(`data:text/javascript;base64,${source}`);
const names = () => JSON.stringify([Object, Array, Function].map((kind) => Reflect.ownKeys(kind.prototype).map(String)));
const before = names();

for await (const line of createInterface({ input: process.stdin })) {
  const { view, deltas } = JSON.parse(line);
  const replica = new Replica();
  replica.welcome({ mode: "snapshot", position: { epoch: "e", offset: 5, chain: "" }, view });
  const gaps = deltas.map((delta) => !replica.delta(delta));
  console.log(JSON.stringify({ view: replica.view, offset: replica.position.offset, gaps }));
}
process.exitCode = names() === before ? 0 : 1;
