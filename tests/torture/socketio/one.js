// One Socket.IO client: `one.js URL vote TIMES`, `one.js URL resend TIMES` or `one.js URL deaf LINES BYTES`.
//
// vote: for so many people, each once, and waits for the ack of each; tells also what was counted before.
// resend: votes with the client's own retries (`retries`, `ackTimeout`), where the first ack to every second vote comes too late.
// deaf: does not read while the server sends that many lines. Prints what came of it, as JSON.

const { io } = require("socket.io-client");

const [url, what, ...sizes] = process.argv.slice(2);
const open = (options) => io(url, { transports: ["websocket"], forceNew: true, ...options });
const connected = (socket) => new Promise((resolve) => socket.once("connect", resolve));

async function vote(times) {
  const socket = open();
  await connected(socket);
  const before = await socket.emitWithAck("tally");
  const votes = Array.from({ length: times }, (_, voter) => socket.emitWithAck("vote", { voter, option: voter % 3 }));
  return { acked: (await Promise.all(votes)).length, before: before.voters };
}

async function resend(times) {
  const socket = open({ retries: 3, ackTimeout: 50 });
  await connected(socket);
  const voted = Array.from({ length: times }, (_, n) => {
    return new Promise((resolve) => {
      socket.emit("vote", { voter: n, option: 1, late_ms: n % 2 ? 100 : 0 }, resolve);
    });
  });
  await Promise.all(voted);
  const asking = open();
  await connected(asking);
  return { cast: times, ...(await asking.emitWithAck("tally")) };
}

async function deaf(lines, bytes) {
  const asking = open();
  await connected(asking);
  asking.on("line", () => {});
  const socket = open();
  await connected(socket);
  const before = await asking.emitWithAck("memory");
  socket.io.engine.transport.ws._socket.pause();
  await asking.emitWithAck("flood", lines, bytes);
  const after = await asking.emitWithAck("memory");
  return { lines, bytes, before, after };
}

const run = { vote, resend, deaf }[what];
run(...sizes.map(Number)).then((found) => process.stdout.write(JSON.stringify(found) + "\n", () => process.exit(0)));
