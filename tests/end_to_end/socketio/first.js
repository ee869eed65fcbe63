// The live vote with the first client of Socket.IO 4: node first.js URL OPTIONS
const { io } = require("first-socket.io-client");
const socket = io(process.argv[2], JSON.parse(process.argv[3] ?? "{}"));
const report = require("./recorder")(socket);

socket.on("update", (candidates) => {
  report("shown", Object.values(candidates).map((c) => c.votes));
});
