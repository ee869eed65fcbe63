// ws: whatever one says goes to everybody, as it came.
"use strict";
const { WebSocketServer } = require("ws");
const { ready } = require("./ready.js");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 });
server.on("connection", (socket) => {
    socket.on("message", (data) => {
        for (const other of server.clients) other.send(data, { binary: false });
    });
});
server.on("listening", () => ready(server.address().port, "ws", `ws ${require("ws/package.json").version}`));
