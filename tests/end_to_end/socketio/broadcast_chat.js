// The broadcast chat: node broadcast_chat.js URL OPTIONS
const { io } = require("socket.io-client");
const socket = io(process.argv[2], JSON.parse(process.argv[3] ?? "{}"));
const report = require("./recorder")(socket);

socket.on("message", (text) => {
  report("shown", text);
});
