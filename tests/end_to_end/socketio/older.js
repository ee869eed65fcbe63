// A client of Socket.IO 2: node older.js URL OPTIONS
const io = require("older-socket.io-client");
const socket = io(process.argv[2], JSON.parse(process.argv[3] ?? "{}"));
const report = require("./recorder")(socket);

socket.on("error", (error) => report("event", "error", error));
