// The live vote: node live_vote.js URL OPTIONS
const { io } = require("socket.io-client");
const socket = io(process.argv[2], JSON.parse(process.argv[3] ?? "{}"));
const report = require("./recorder")(socket);

socket.on("update", (candidates) => {
  candidates = Object.values(candidates);
  report("shown", candidates.map((c) => c.label), candidates.map((c) => c.votes), candidates.map((c) => c.color));
});
