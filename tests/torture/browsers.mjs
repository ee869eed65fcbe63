// People with the browser's own client (client.js, wire.js), in Node: `browsers.mjs WEB ROOM URL…`, one for each URL.
//
// It prints a line when all are in. A line on standard input names the offset that all have to come to; then it prints
// what each has seen, as JSON, in the form of witness.py.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { WebSocket } from "ws";

// A browser's socket throws nothing when it cannot connect; ws does, where nobody listens.
globalThis.WebSocket = class extends WebSocket {
  constructor(...options) {
    super(...options);
    this.on("error", () => {});
  }
};

const [web, room, ...urls] = process.argv.slice(2);
// They import nothing, so they can be taken as they are, like a notebook cell does.
const load = (name) => import(`data:text/javascript;base64,${readFileSync(`${web}/${name}`).toString("base64")}`);
const [{ connect }, wire] = await Promise.all([load("client.js"), load("wire.js")]);

class Witness extends wire.Replica {
  returns = [];
  spells = [];

  welcome(message) {
    if (this.position) this.returns.push([message.mode, message.position.offset - this.position.offset]);
    const fresh = this.fresh(message.ops ?? []);
    super.welcome(message);
    if (message.mode === "resume") this.spells.at(-1)[1].push(...fresh);
    else this.begin();
  }

  snapshot(message) {
    super.snapshot(message);
    this.begin();
  }

  delta(message) {
    const isNew = message.to > this.position.offset;
    const fresh = this.fresh(message.ops);
    const fits = super.delta(message);
    if (fits && isNew) this.spells.at(-1)[1].push(...fresh);
    return fits;
  }

  get lines() {
    return this.view?.activities[2].lines ?? {};
  }

  begin() {
    const seen = Object.keys(this.lines).map(Number);
    this.spells.push([seen[0] ?? this.position.offset + 1, seen]);
  }

  fresh(ops) {
    const put = ops.filter((op) => op.op === "put" && op.path.join(".") === "activities.2.lines").map((op) => op.key);
    return put.filter((key) => !(key in this.lines)).map(Number);
  }
}

const witnesses = [];
const people = urls.map((url, number) => {
  const Replica = function () {
    return (witnesses[number] = new Witness());
  };
  return connect({ wire: { ...wire, Replica }, urls: [url], room, name: `Browser ${number}` });
});

const all = (condition) =>
  new Promise((resolve) => {
    const check = () => people.every(condition) && resolve();
    for (const live of people) live.subscribe(check);
    check();
  });

await all((live) => live.status === "live");
console.log("in");
for await (const line of createInterface({ input: process.stdin })) {
  await all((live) => live.position.offset >= Number(line));
  const seen = witnesses.map(({ returns, spells, position }) => ({ returns, spells, offset: position.offset }));
  process.stdout.write(JSON.stringify(seen) + "\n", () => process.exit(0));
}
