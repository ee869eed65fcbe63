// Many live votes in one program: node burst.js URL OPTIONS CLIENTS CLICKS
// Each clicks as fast as it can, on one option after the other, and waits for all its answers. Told the true tally, the
// program waits until all clients show it, or gives up, and reports what became of the clicks, how often the tally was
// told within which time, and what each client saw last.
const { io } = require("socket.io-client");
const [url, options, count, clicks] = [process.argv[2], ...process.argv.slice(3).map((json) => JSON.parse(json))];

const clients = Array.from({ length: count }, () => {
  const socket = io(url, { ...options, forceNew: true });
  const client = { socket, updates: 0, last: null, accepted: [], refused: {} };
  socket.on("update", (candidates) => {
    client.updates += 1;
    client.last = candidates;
    client.lastAt = Date.now();
  });
  client.ready = new Promise((resolve) => socket.once("update", resolve));
  return client;
});

function click(client, number) {
  return new Promise((resolve) => {
    client.socket.emit("vote", number % 5, (answer) => {
      if (answer.ok) client.accepted.push(answer.offset);
      else client.refused[answer.error.code] = (client.refused[answer.error.code] ?? 0) + 1;
      resolve();
    });
  });
}

async function main() {
  await Promise.all(clients.map((client) => client.ready));
  const began = Date.now();
  await Promise.all(clients.flatMap((client, start) => {
    client.updates = 0;
    return Array.from({ length: clicks }, (_, number) => click(client, start + number));
  }));
  process.stdin.once("data", async (truth) => {
    const votes = (client) => Object.values(client.last).map((candidate) => candidate.votes);
    for (let tries = 0; tries < 1000 && !clients.every((c) => JSON.stringify(votes(c)) === `${truth}`.trim()); tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const report = clients.map((client) => ({
      updates: client.updates,
      took_s: ((client.lastAt ?? began) - began) / 1000,
      last: votes(client),
      accepted: client.accepted,
      refused: client.refused,
    }));
    process.stdout.write(JSON.stringify(["report", report]) + "\n");
  });
  process.stdin.on("end", () => process.exit(0));
  process.stdout.write(JSON.stringify(["answered"]) + "\n");
}
main();
