// Socket.IO's own server with connection state recovery, as its documentation shows it: `server.js PORT [REDIS_SOCKET]`.
//
// In memory, or with the Redis Streams adapter. Votes are counted in a map of the program, keyed by voter, and are
// acknowledged when they are in it. It prints its port when it listens, and its memory when asked for.

const { createServer } = require("node:http");
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/redis-streams-adapter");
const { createClient } = require("redis");

const [port, redis] = process.argv.slice(2);

async function main() {
  const options = { connectionStateRecovery: { maxDisconnectionDuration: 2 * 60 * 1000 } };
  if (redis) {
    const client = createClient({ socket: { path: redis } });
    await client.connect();
    options.adapter = createAdapter(client);
  }
  const http = createServer();
  const io = new Server(http, options);
  const votes = new Map();
  let counted = 0;
  io.on("connection", (socket) => {
    socket.on("say", (n, ack) => {
      io.emit("line", n);
      ack();
    });
    socket.on("vote", ({ voter, option, late_ms }, ack) => {
      const isFirst = !votes.has(voter);
      votes.set(voter, option);
      counted += 1;
      setTimeout(ack, isFirst ? (late_ms ?? 0) : 0);
    });
    socket.on("tally", (ack) => ack({ voters: votes.size, counted }));
    socket.on("flood", (lines, bytes, ack) => {
      const text = "x".repeat(bytes);
      let left = lines;
      const some = () => {
        for (let i = 0; i < 500 && left > 0; i += 1, left -= 1) io.emit("line", text);
        if (left > 0) setImmediate(some);
        else ack();
      };
      some();
    });
    socket.on("memory", (ack) => {
      globalThis.gc?.();
      ack(process.memoryUsage().rss);
    });
  });
  http.listen(Number(port), "127.0.0.1", () => console.log(http.address().port));
}

main();
