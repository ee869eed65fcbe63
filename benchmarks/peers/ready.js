// What all peers do: say the address as soon as connections are taken, and end when the input does.
"use strict";

exports.ready = (port, protocol, version) => {
    console.log(JSON.stringify({ url: `http://127.0.0.1:${port}`, pid: process.pid, protocol, version }));
    process.stdin.on("end", () => process.exit(0)).resume();
};
