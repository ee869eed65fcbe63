// uWebSockets: whatever one says goes to everybody, as it came. Its publish gathers the frames of one turn.
"use strict";
const uws = require("@trufflesuite/uws-js-unofficial");
const { ready } = require("./ready.js");

const app = uws.App();
app.ws("/*", {
    compression: uws.DISABLED,
    maxBackpressure: 64 * 1024 * 1024,
    open: (socket) => socket.subscribe("room"),
    message: (socket, message) => app.publish("room", message, false),
});
app.listen("127.0.0.1", 0, (listening) => {
    const version = require("@trufflesuite/uws-js-unofficial/package.json").version;
    ready(uws.us_socket_local_port(listening), "uws", `uWebSockets.js ${version}`);
});
