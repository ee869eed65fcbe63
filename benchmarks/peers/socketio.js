// A live vote as tutorials of Socket.IO build it, the kind of program that wslive grew from: the votes are in memory,
// nobody is told that a vote counted, and every vote sends all counts to everybody.
"use strict";
const http = require("node:http");
const { Server } = require("socket.io");
const { ready } = require("./ready.js");

const server = http.createServer();
const io = new Server(server);

const colour = () => `rgb(${[0, 0, 0].map(() => Math.floor(Math.random() * 256)).join(", ")})`;
const candidates = Object.fromEntries(
    ["quick", "merge", "heap", "bubble", "radix"].map((label, n) => [n, { votes: 0, label, color: colour() }]),
);

io.on("connection", (socket) => {
    socket.emit("update", candidates);
    socket.on("vote", (which) => {
        if (!candidates[which]) return;
        candidates[which].votes += 1;
        io.emit("update", candidates);
    });
});
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", 4096, () =>
    ready(server.address().port, "socketio", `socket.io ${require("socket.io/package.json").version}`),
);
