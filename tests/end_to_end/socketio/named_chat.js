// The chat with names: node named_chat.js URL OPTIONS NAME (as JSON: null is a prompt that was cancelled)
const { io } = require("socket.io-client");
const socket = io(process.argv[2], JSON.parse(process.argv[3] ?? "{}"));
const appendMessage = (text) => report("shown", text);
const report = require("./recorder")(socket);

const name = JSON.parse(process.argv[4]);
appendMessage("You joined");
socket.emit("new-user", name);

socket.on("get-message", (data) => {
  appendMessage(`${data.name}: ${data.message}`);
});

socket.on("user-connected", (name) => {
  appendMessage(`${name} connected`);
});

socket.on("user-disconnected", (name) => {
  appendMessage(`${name} disconnected`);
});
