// The audience's page: `/` asks for the code, `/r/CODE` for a name, then questions and chat.

import chat from "./activities/chat/view.js";
import poll from "./activities/poll/view.js";
import { connect } from "./client.js";
import {
  activityModel, announce, attr, count, h, icon, list, makeLib, plain, pollsToShow, show, statusWords, text,
} from "./lib.js";
import { LOGIN_ENDED, fetchOwn, isByLogin, loginLink, tickets } from "./login.js";
import * as wire from "./wire.js";

wire.hideLogin();
const BASE = new URL("..", import.meta.url).href;
const VIEWS = { poll, chat };
const IGNORE_TAPS_MS = 400;
const CODE_SYMBOLS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789";
const CODE_LENGTH = 6;
const MAX_NAME_CHARS = 40;
const PENCIL = "M4 20l1-4L16.5 4.5l3 3L8 19z";

const cleanCode = (typed) => typed.toUpperCase().replace(/[^\p{L}\p{N}]/gu, "");
const code = cleanCode(decodeURIComponent(location.pathname.match(/\/r\/([^/]+)\/?$/)?.[1] ?? ""));
// One that the host has handed out stands behind the #, which browsers send to nobody.
const invitation = location.hash.match(/^#(\d+-[A-Za-z0-9]+)$/)?.[1] ?? null;
const storage = wire.safeStorage("localStorage");
const lib = makeLib(); // without charts: the phone draws its own bars

// ── the doors: code and name ────────────────────────────────────────────────────────────────────────────────────

const joinedKey = (room) => (isByLogin ? `wslive.joined.${room}` : wire.tokenKey(room));

/** What the server says of a room before anybody joins: {title, kept, name}, or {message} where it cannot be joined. */
async function about(room) {
  const headers = invitation && room === code ? { Authorization: `Bearer ${invitation}` } : {};
  try {
    const response = await fetchOwn(new URL(`r/${encodeURIComponent(room)}/about`, BASE), { headers });
    return await response.json();
  } catch {
    return { message: "The server does not answer. Check your connection and try again.", unreachable: true };
  }
}

function door(heading, ...parts) {
  const mark = h("img.wslive-logo", { src: new URL("static/icon.svg", BASE).href, alt: "", width: 44, height: 44 });
  document.body.replaceChildren(h("main.wslive-door", {}, mark, h("h1.wslive-heading", {}, heading), ...parts));
}

function labelled(label, input, note) {
  const id = `wslive-${input.name}`;
  attr(input, { id, "aria-describedby": `${id}-note` });
  attr(note, { id: `${id}-note` });
  return [h("label.wslive-label", { for: id }, label), input, note];
}

/** What is wrong with a code, in words, or "". */
function codeProblem(typed) {
  const strange = [...cleanCode(typed)].find((symbol) => !CODE_SYMBOLS.includes(symbol));
  if (strange && "01OIL".includes(strange)) {
    return "A code has no 0, O, 1, I or L. Look again: it may be a D, Q, J or 7.";
  }
  if (strange) return `There is no “${strange}” in a code, only letters A to Z and digits 2 to 9.`;
  if (!cleanCode(typed)) return `Type the ${CODE_LENGTH} symbols of the code.`;
  const missing = CODE_LENGTH - cleanCode(typed).length;
  if (missing > 0) return `A code has ${CODE_LENGTH} symbols; ${count(missing, "is", "are")} missing.`;
  return missing < 0 ? `A code has ${CODE_LENGTH} symbols; these are ${CODE_LENGTH - missing}.` : "";
}

function askCode(message = "", typed = "") {
  document.title = "Join a room · wslive";
  const problem = h("p.wslive-problem", { role: "alert" }, message);
  const input = h("input.wslive-field.wslive-code", { name: "code", type: "text", value: typed, maxlength: "24" });
  attr(input, { autocomplete: "off", autocapitalize: "characters", spellcheck: "false", required: true });
  const button = h("button.wslive-button.wslive-primary", { type: "submit" }, "Next");
  const form = h("form.wslive-form", { novalidate: true });
  form.append(...labelled("Code", input, h("p.wslive-hint", {}, "Six letters and digits; the host shows them.")));
  form.append(button, problem);
  form.onsubmit = async (event) => {
    event.preventDefault();
    text(problem, codeProblem(input.value));
    if (problem.textContent) return input.focus();
    attr(button, { disabled: true });
    const room = cleanCode(input.value);
    const found = await about(room);
    attr(button, { disabled: false });
    if (found.title !== undefined || storage.get(joinedKey(room))) {
      location.assign(new URL(`r/${room}`, BASE));
    } else {
      text(problem, found.message);
      input.focus();
    }
  };
  door("Join a room", form);
  input.focus();
}

function askName(found, message = "") {
  document.title = `${found.title} · wslive`;
  const problem = h("p.wslive-problem", { role: "alert" }, message);
  const input = h("input.wslive-field", { name: "name", type: "text", maxlength: MAX_NAME_CHARS });
  attr(input, { autocomplete: "nickname", spellcheck: "false", placeholder: "Guest" });
  const button = h("button.wslive-button.wslive-primary", { type: "submit" }, "Join");
  const form = h("form.wslive-form");
  // Who has logged in has a name already.
  if (found.name) form.append(h("p.wslive-as", {}, "You are ", h("strong", {}, found.name), " here, by your login."));
  else form.append(...labelled("Your name (optional)", input, h("p.wslive-hint", {}, "Without one you are “Guest” and a number.")));
  form.append(button, problem, h("p.wslive-kept", {}, found.kept));
  form.onsubmit = (event) => {
    event.preventDefault();
    attr(button, { disabled: true });
    text(button, "Joining …");
    text(problem, "");
    enter(input.value.trim() || null, {
      waiting: (words) => text(problem, words),
      refused: (words) => {
        attr(button, { disabled: false });
        text(button, "Join");
        text(problem, words);
      },
    });
  };
  door(found.title, form);
  (found.name ? button : input).focus();
}

function unreachable(message) {
  const again = h("button.wslive-button.wslive-primary", { type: "button", onclick: start }, "Try again");
  door("No connection", h("p", { role: "alert" }, message), again);
}

/** Connect, and show the room once it has let us in. */
function enter(name, { waiting, refused }) {
  const role = "participant";
  const live = connect({ wire, urls: [BASE], room: code, role, name, invitation, ...tickets(BASE, code, role) });
  const watch = () => {
    if (live.status === "live") {
      unsubscribe();
      if (invitation) history.replaceState(null, "", location.pathname); // used: nobody is to see or share it
      if (isByLogin) storage.set(joinedKey(code), "yes");
      showRoom(live);
    } else if (live.status === "ended") {
      live.close();
      if (LOGIN_ENDED.has(live.code)) location.reload(); // by way of the login
      else if (live.code === "invalid_token") {
        storage.remove(joinedKey(code));
        start();
      } else refused(live.reason);
    } else if (live.reason) waiting(statusWords(live));
  };
  const unsubscribe = live.subscribe(watch);
}

async function start() {
  if (!code) return askCode();
  if (storage.get(joinedKey(code))) {
    door("Welcome back", h("p", { role: "status" }, "Connecting …"));
    const say = (words) => document.querySelector(".wslive-door p").replaceChildren(words);
    return enter(null, { waiting: say, refused: (words) => askCode(words, code) });
  }
  const found = await about(code);
  if (found.title !== undefined) askName(found);
  else if (found.unreachable) unreachable(found.message);
  else askCode(found.message, code);
}

// ── the room ────────────────────────────────────────────────────────────────────────────────────────────────────

function showRoom(live) {
  const title = h("h1.wslive-title");
  const connection = h("p.wslive-connection", { role: "status" });
  const me = h("button.wslive-button.wslive-quiet.wslive-me", { type: "button", title: "Change your name" });
  me.append(h("span.wslive-me-name"));
  if (!isByLogin) me.append(icon(PENCIL));
  const login = loginLink();
  const online = h("span.wslive-online");
  const rename = renaming(live, me);
  const top = h("header.wslive-top", {}, title, connection, login, h("div.wslive-who", {}, me, online), rename);

  const waiting = h("div.wslive-waiting", {}, h("div.wslive-bars", { "aria-hidden": "true" }, h("i"), h("i"), h("i")));
  waiting.append(h("p", {}, "No question yet. It will appear here by itself."));
  const missed = h("p.wslive-missed", { role: "status" });
  const polls = h("div.wslive-polls");
  const questions = h("section.wslive-questions", { "aria-label": "Questions" }, waiting, missed, polls);
  const side = h("div.wslive-side");
  const tabs = { questions: tab("Question", "questions"), chat: tab("Chat", "chat") };
  const bar = h("nav.wslive-tabs", { "aria-label": "Parts of the room" }, tabs.questions, tabs.chat);
  const root = h("div.wslive-room", {}, top, h("main.wslive-main", {}, questions, side), bar);
  document.body.replaceChildren(root);

  let part = "questions";
  let shownIds = null;
  let leftIds = [];
  let ignoreUntil = 0;
  let seenLine = 0;
  let hasNews = false;
  let isSideShown = false; // kept here: to ask for it while drawing makes the browser lay out the page once more

  function tab(label, name) {
    const button = h("button.wslive-tab", { type: "button" }, label, h("span.wslive-badge"));
    button.onclick = () => {
      part = name;
      draw();
    };
    return button;
  }

  // When questions come and go, a finger on its way to one must not hit another.
  questions.addEventListener(
    "click",
    (event) => {
      if (performance.now() < ignoreUntil) event.stopPropagation();
    },
    true,
  );

  function mount(id) {
    const el = h("div.wslive-view");
    el.wsliveCleanup = poll.render({ model: activityModel(live, { activity: id, place: "page" }), el, lib });
    return el;
  }

  /** What is to be shown, and what was closed a moment ago: its result stays until another question comes. */
  function wanted() {
    const due = pollsToShow(live.view).map((p) => p.id);
    if (!shownIds || due.some((id) => !shownIds.includes(id))) return due;
    const closed = shownIds.filter((id) => {
      const { open, discarded, left_stage } = live.view.activities[id]?.status ?? { discarded: true };
      return !due.includes(id) && !open && !discarded && !left_stage;
    });
    return [...due, ...closed];
  }

  function drawPolls() {
    const ids = wanted();
    if (shownIds && ids.join() !== shownIds.join()) {
      if (shownIds.length) ignoreUntil = performance.now() + IGNORE_TAPS_MS;
      for (const el of polls.children) if (!ids.includes(el.wsliveId)) el.wsliveCleanup();
      for (const id of ids.filter((id) => !shownIds.includes(id))) {
        const { definition } = live.view.activities[id];
        announce(`New question: ${plain(definition.question_math, definition.question)}`);
        hasNews = part !== "questions";
      }
      if (ids[0] !== shownIds[0]) questions.scrollTop = 0;
      leftIds = shownIds.filter((id) => !ids.includes(id));
    }
    list(polls, ids, (id) => id, (id) => Object.assign(mount(id), { wsliveId: id }));
    shownIds = ids;
    show(waiting, !ids.length && live.status !== "ended");
    // An answer that was on its way when its question left has no other place to be told what became of it.
    const refused = leftIds.map((id) => live.refusals[id]).find((found) => found?.kind === "cast_vote");
    text(missed, refused?.message ?? "");
  }

  function drawChat() {
    const [id, activity] = Object.entries(live.view.activities).find(([, a]) => a.kind === "chat") ?? [];
    if (!id) return;
    if (!side.firstChild) VIEWS.chat.render({ model: activityModel(live, { activity: id, place: "page" }), el: side, lib });
    const others = Object.values(activity.lines).filter((line) => line.by !== live.actor);
    const last = others.length ? others[others.length - 1].id : 0;
    const isSeen = wire.isVisible() && isSideShown;
    if (!seenLine || isSeen) seenLine = Math.max(seenLine, last, 1);
    const unread = others.filter((line) => line.id > seenLine).length;
    text(tabs.chat.lastChild, unread ? (unread > 99 ? "99+" : String(unread)) : "");
    attr(tabs.chat, { "aria-label": unread ? `Chat, ${count(unread, "new line")}` : null });
  }

  function draw() {
    if (!live.view) return;
    attr(root, { "data-part": part });
    attr(tabs.questions, { "aria-current": part === "questions" ? "true" : null });
    attr(tabs.chat, { "aria-current": part === "chat" ? "true" : null });
    document.title = `${live.view.room.title} · wslive`;
    text(title, live.view.room.title);
    text(connection, statusWords(live));
    attr(connection, { "data-status": live.status });
    text(me.firstChild, live.view.me.name);
    const isOver = live.status === "ended";
    show(login, isOver && LOGIN_ENDED.has(live.code));
    const label = `You are ${live.view.me.name}${isByLogin ? ", by your login." : ". Change your name."}`;
    attr(me, { "aria-label": label, title: isByLogin ? "The name of your login" : "Change your name", disabled: isByLogin || isOver });
    show(online, !isOver);
    if (isOver) show(rename, false); // there is nobody to tell a new name
    text(online, `${live.presence.online} here`);
    drawPolls();
    drawChat();
    if (part === "questions") hasNews = false;
    text(tabs.questions.lastChild, hasNews ? "new" : "");
  }

  new ResizeObserver(() => {
    isSideShown = side.offsetParent !== null;
    draw();
  }).observe(side);
  live.subscribe(draw);
  document.addEventListener("visibilitychange", draw);
  draw();
}

function renaming(live, me) {
  const input = h("input.wslive-field", { name: "rename", maxlength: MAX_NAME_CHARS, "aria-label": "Your name" });
  attr(input, { autocomplete: "nickname", spellcheck: "false" });
  const problem = h("p.wslive-problem", { role: "alert" });
  const save = h("button.wslive-button.wslive-primary", { type: "submit" }, "Save");
  const form = h("form.wslive-rename", { hidden: true }, input, save, problem);
  const toggle = (open) => {
    show(form, open);
    attr(me, { "aria-expanded": String(open) });
    text(problem, "");
    if (open) {
      input.value = live.view.me.name;
      input.select();
    } else me.focus();
  };
  me.onclick = () => toggle(form.hidden);
  form.onkeydown = (event) => {
    if (event.key === "Escape") toggle(false);
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    live.rename(input.value).then(() => toggle(false), (refused) => text(problem, refused.message));
  };
  return form;
}

start();
