// A hall of Socket.IO clients whose connections are cut again and again: `clients.js URL PEOPLE CUTS CUTS_A_PAUSE`.
//
// One client says numbered lines, 20 a second, and waits for the ack of each, as a careful program would; everybody
// votes once. After each CUTS_A_PAUSE cuts it prints a line and waits for one: time to kill the server. At its end it
// prints, as JSON, what was acknowledged and what each has seen, in the form of witness.py.

const { createInterface } = require("node:readline");
const { io } = require("socket.io-client");

const [url, people, cuts, cutsAPause] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const LINES_PER_S = 20;
const CUTS_PER_S = 43;

const stdin = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const open = () => io(url, { transports: ["websocket"], forceNew: true });
const connected = (socket) => new Promise((resolve) => (socket.connected ? resolve() : socket.once("connect", resolve)));

/** Ask until it is answered, over whatever connections that takes. */
async function ask(socket, ...question) {
  for (;;) {
    try {
      return await socket.timeout(5_000).emitWithAck(...question);
    } catch {
      await connected(socket);
    }
  }
}

let received = 0;

class Guest {
  spells = [];
  returns = [];
  repeated = 0;

  constructor() {
    this.socket = open();
    this.socket.on("connect", () => {
      if (this.spells.length) this.returns.push(this.socket.recovered);
      if (!this.socket.recovered) this.spells.push([]);
    });
    this.socket.on("line", (n) => {
      this.spells.at(-1).push(n);
      received += 1;
    });
  }

  cut() {
    this.socket.io.engine?.transport?.ws?.terminate();
  }
}

async function main() {
  const guests = Array.from({ length: people }, () => new Guest());
  await Promise.all(guests.map((guest) => connected(guest.socket)));
  const speaker = open();
  await connected(speaker);
  await Promise.all(guests.map((guest, n) => ask(guest.socket, "vote", { voter: n, option: n % 3 })));

  const acked = [];
  const asked = [];
  let said = 0;
  const say = async () => {
    // Each try has a name of its own: what counts is the one that was acknowledged, in the order of the acks.
    for (const n = said++, tries = []; ; tries.push(n)) {
      try {
        await speaker.timeout(5_000).emitWithAck("say", `${n}.${tries.length}`);
        return acked.push(`${n}.${tries.length}`);
      } catch {
        await connected(speaker);
      }
    }
  };
  const talk = setInterval(() => asked.push(say()), 1000 / LINES_PER_S);
  for (let cut = 1; cut <= cuts; cut += 1) {
    await sleep(1000 / CUTS_PER_S);
    const here = guests.filter((guest) => guest.socket.connected);
    here[Math.floor(Math.random() * here.length)]?.cut();
    if (cut % cutsAPause === 0) {
      console.log("now");
      await stdin.next();
    }
  }
  clearInterval(talk);
  await Promise.all([...asked, ...guests.map((guest) => connected(guest.socket))]);
  // What is on its way may come: nothing tells when there is no more, so wait until nothing has come for a while.
  for (let before = -1; before !== received; ) {
    before = received;
    await sleep(5_000);
  }
  const { voters } = await ask(speaker, "tally");
  const seen = guests.map(({ spells, returns }) => ({ spells, returns }));
  process.stdout.write(JSON.stringify({ acked, voters, seen }) + "\n", () => process.exit(0));
}

main();
