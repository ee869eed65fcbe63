// Says on stdout what a client hears, and does what stdin tells it: one JSON value a line, both ways.
const readline = require("readline");

const report = (...entry) => process.stdout.write(JSON.stringify(entry) + "\n");

module.exports = function record(socket) {
  socket.onAny?.((event, ...args) => report("event", event, ...args));
  socket.on("connect", () => report("connect", socket.id, Boolean(socket.recovered)));
  socket.on("connect_error", (error) => report("connect_error", error.message, error.data ?? null));
  socket.on("disconnect", (reason) => report("disconnect", reason));

  const commands = {
    emit: (...args) => socket.emit(...args),
    emitBinary: (event, text) => socket.emit(event, Buffer.from(text)),
    // The answer is reported with the number that it was asked under.
    ask: (number, ...args) => socket.emit(...args, (answer) => report("ack", number, answer)),
    cut: () => socket.io.engine.close(),
    goAway: () => {
      socket.io.reconnection(false);
      socket.io.engine.close();
    },
    comeBack: () => {
      socket.io.reconnection(true);
      socket.connect();
    },
    leave: () => socket.disconnect(),
    raw: (packet) => socket.io.engine.write(packet),
  };
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    const [command, ...args] = JSON.parse(line);
    commands[command](...args);
  }).on("close", () => process.exit(0));
  return report;
};
