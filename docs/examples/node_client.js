// A raw WebSocket, then a room: node node_client.js http://127.0.0.1:8765 K7M2QX Ada "Hello from Node"
// It needs the npm package `ws`. A client that comes back after a break and resumes is in docs/protocol.md.
const { randomBytes } = require("node:crypto");
const WebSocket = require("ws");

const [server, room, name, text] = process.argv.slice(2);
const base = server.replace(/^http/, "ws");
const newRef = () => randomBytes(16).toString("hex");

const echo = new WebSocket(`${base}/echo`);
echo.on("open", () => echo.send("Is anybody there?"));
echo.on("message", (message) => {
  console.log(`${message}`);
  echo.close();
  join();
});

function join() {
  const socket = new WebSocket(`${base}/ws`, ["wslive.v1"]);
  const send = (message) => socket.send(JSON.stringify(message));
  socket.on("open", () => send({ type: "hello", room, name, ref: newRef() }));
  socket.on("message", (frame) => {
    const message = JSON.parse(frame);
    if (message.type === "welcome") {
      console.log("Joined", message.view.room.title);
      send({ type: "command", ref: newRef(), activity: 2, kind: "say", body: { text } });
    } else if (message.type === "ack") {
      console.log("Kept as event", message.offset);
    } else if (message.type === "refused") {
      console.log("Refused:", message.message);
    } else if (message.type === "delta") {
      for (const { op, path, value } of message.ops) {
        if (op === "put" && path.join() === "activities,2,lines") console.log(`${value.name}: ${value.text}`);
      }
    }
  });
  socket.on("close", (code, reason) => console.log("Closed:", code, `${reason}`));
}
