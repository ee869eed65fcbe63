// The projector: one question and its chart, and how to join; no names, no chat.

import { makeChart } from "./activities/poll/chart.js";
import poll from "./activities/poll/view.js";
import { byScript, once } from "./charts.js";
import { connect } from "./client.js";
import { activityModel, attr, h, makeLib, pollsToShow, show, statusWords, text, turnout } from "./lib.js";
import { LOGIN_ENDED, fetchOwn, loginLink, tickets } from "./login.js";
import * as wire from "./wire.js";

wire.hideLogin();
const BASE = new URL("..", import.meta.url).href;
const LOOK_AGAIN_MS = 5_000;
const THEMES = { auto: "Theme: automatic", light: "Theme: light", dark: "Theme: dark" };

const here = (path) => new URL(path, BASE).href;
const code = decodeURIComponent(location.pathname.match(/\/r\/([^/]+)\/screen\/?$/)?.[1] ?? "").toUpperCase();
const storage = wire.safeStorage("localStorage");
const lib = makeLib({
  plotly: once(() => byScript(here("static/plotly.min.js"))),
  template: async (kind) => (await fetch(here(`static/activities/${kind}/chart.json`))).json(),
  charts: { poll: makeChart },
});
const live = connect({ wire, urls: [BASE], room: code, role: "viewer", ...tickets(BASE, code, "viewer") });

const title = h("h1.wslive-title");
const stage = h("div.wslive-stage");
const address = h("p.wslive-address");
const qr = h("img.wslive-qr", { alt: "QR code of the join link", hidden: true, onerror: () => show(qr, false) });
const lonely = h("p.wslive-lonely", { hidden: true }, "Only this computer can join so far.");
const online = h("p.wslive-big");
const answered = h("p.wslive-big");
const counts = h("div.wslive-counts", {}, online, answered);
const connection = h("p.wslive-connection", { role: "status" });
const join = h("section.wslive-join", { "aria-label": "How to join" });
join.append(h("p.wslive-small-print", {}, "Join at"), address, h("p.wslive-small-print", {}, "with the code"));
join.append(h("p.wslive-giant", {}, code), qr, lonely, counts);
const ending = h("p", { role: "status" });
const theme = h("button.wslive-button.wslive-quiet", { type: "button" });
const full = h("button.wslive-button.wslive-quiet", { type: "button" }, "Full screen");
const login = loginLink();
const over = h("div.wslive-over", {}, ending, login);
const foot = h("footer.wslive-tools", {}, connection, theme, full);
const root = h("main.wslive-screen", {}, h("header.wslive-head", {}, title), stage, join, over, foot);
document.body.append(root);

// ── how to join ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Ask until others can reach this server: the host may let phones in while the projector is on. */
async function findLink() {
  if (live.status === "ended") return;
  // Behind a hub or proxy the browser alone knows the address by which it came.
  const origin = `?origin=${encodeURIComponent(location.origin)}`;
  const found = await fetchOwn(here(`r/${code}/link${origin}`)).then((response) => response.json()).catch(() => null);
  if (found) {
    text(address, found.address);
    show(lonely, !found.reachable);
    if (found.reachable) {
      attr(qr, { src: here(`r/${code}/qr.svg${origin}`) });
      return show(qr, true);
    }
  }
  setTimeout(findLink, LOOK_AGAIN_MS);
}

// ── light and dark ──────────────────────────────────────────────────────────────────────────────────────────────

function setTheme(name) {
  attr(document.documentElement, { "data-theme": name === "auto" ? null : name });
  text(theme, THEMES[name]);
  storage.set("wslive.theme", name);
}

theme.onclick = () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(storage.get("wslive.theme")) + 1) % names.length]);
};
setTheme(storage.get("wslive.theme") in THEMES ? storage.get("wslive.theme") : "auto");

full.onclick = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
show(full, document.fullscreenEnabled);

// ── what is on stage ────────────────────────────────────────────────────────────────────────────────────────────

let shownId = null;
let cleanUp = () => {};

function draw() {
  const isOver = live.status === "ended"; // then it is said where it is read
  text(connection, isOver ? "" : statusWords(live));
  attr(connection, { "data-status": live.status });
  // Nobody is asked to come to where nobody can.
  show(join, !isOver);
  show(over, isOver);
  show(login, isOver && LOGIN_ENDED.has(live.code));
  text(ending, !isOver ? "" : live.view ? live.reason : `${code}: ${live.reason}`);
  if (!live.view) return;
  const { room } = live.view;
  document.title = `${room.title} · projector`;
  text(title, room.title);
  const id = pollsToShow(live.view)[0]?.id ?? null;
  if (id !== shownId) {
    cleanUp();
    shownId = id;
    cleanUp = id === null ? () => {} : poll.render({ model: activityModel(live, { activity: id, place: "screen" }), el: stage, lib });
  }
  attr(root, { "data-waiting": id === null ? "true" : null });
  text(online, `${live.presence.online} here`);
  show(answered, id !== null);
  if (id !== null) text(answered, turnout(live.view.activities[id].tally.answered, live.view.people.count));
}

attr(root, { "data-waiting": "true" });
live.subscribe(draw);
draw();
findLink();
