// How the parts of a room lie in a cell: one poll, the chat, the people, the host's room, a participant's place.
// No import; the views of the activities are handed in.

const CONFIRM_WITHIN_MS = 4_000;
const MANY_ARRIVALS = 20; // in a minute

/** Draw `about.part`; returns a function that ends it. */
export function draw(context) {
  const parts = { poll: activity, chat: activity, people: peoplePart, room: roomPart, me: mePart, figure: figurePart };
  return parts[context.about.part](context);
}

function activity({ about, live, el, lib, views, activityModel }, id = about.activity) {
  const view = views[live.view.activities[id]?.kind];
  if (!view) {
    el.append(lib.h("p.wslive-empty", {}, "This is not in the room any more. Run the cell again."));
    return () => el.replaceChildren();
  }
  return view.render({ model: activityModel(live, { activity: id, place: "cell" }), el, lib });
}

/** Keeps a redraw in step with the connection. */
function follow(live, redraw) {
  const off = live.subscribe(redraw);
  redraw();
  return off;
}

// ── the questions that are shown: the one on stage, then what else is open ──────────────────────────────────────

function questions(context, el, emptyWords) {
  const { live, lib, pollsToShow } = context;
  const empty = lib.h("p.wslive-empty", {}, emptyWords);
  const list = lib.h("div.wslive-questions");
  el.append(empty, list);
  const drawn = new Map();
  const redraw = () => {
    const ids = pollsToShow(live.view).map((poll) => poll.id);
    for (const [id, { end }] of drawn) {
      if (ids.includes(id)) continue;
      end();
      drawn.delete(id);
    }
    const make = (id) => {
      const box = lib.h("div.wslive-question-box");
      drawn.set(id, { end: activity({ ...context, el: box }, id) });
      return box;
    };
    lib.list(list, ids, (id) => id, make);
    lib.show(empty, !ids.length);
  };
  const off = follow(live, redraw);
  return () => {
    off();
    for (const { end } of drawn.values()) end();
  };
}

function chatBox(context, el) {
  const found = Object.entries(context.live.view.activities).find(([, a]) => a.kind === "chat");
  return found ? activity({ ...context, el }, found[0]) : () => {};
}

// ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────

function peoplePart({ live, el, lib }) {
  const { h, text, show, attr } = lib;
  let open = false; // the notebook is on the beamer: names wait behind a counter
  const counter = h("button.wslive-button.wslive-counter", { type: "button", onclick: () => ((open = !open), redraw()) });
  const names = h("ul.wslive-people");
  const flood = h("p.wslive-arrivals", { role: "status" });
  const few = h("p.wslive-empty", {}, "Nobody has joined yet.");
  const alert = h("p.wslive-problem", { role: "alert" });
  const root = h("section.wslive-people-box", { "aria-label": "People" }, counter, flood, few, names, alert);
  el.append(root);

  function host(kind, body) {
    text(alert, "");
    live.command(0, kind, body).catch((refused) => text(alert, refused.message));
  }

  const button = (label, action) => h("button.wslive-button.wslive-small", { type: "button", onclick: action }, label);

  function row([person]) {
    const dot = h("span.wslive-dot", { "aria-hidden": "true" });
    const item = h("li.wslive-person", {}, dot, h("span.wslive-person-name"));
    if (live.role !== "host") return item;
    const muted = () => Boolean(live.view.people.names[person]?.muted);
    const mute = button("Mute", () => host("mute", { person, muted: !muted() }));
    const remove = button("Remove", () => {
      // The second press within some seconds means it: there is no way back for that person.
      if (remove.dataset.sure) return host("remove_person", { person });
      remove.dataset.sure = "yes";
      text(remove, "Really remove?");
      setTimeout(() => {
        delete remove.dataset.sure;
        text(remove, "Remove");
      }, CONFIRM_WITHIN_MS);
    });
    item.append(mute, remove);
    return item;
  }

  function redraw() {
    const { people } = live.view;
    const here = new Set(live.presence.here ?? []);
    const here_now = live.status === "ended" ? "" : ` · ${live.presence.online} here`;
    text(counter, `${lib.count(people.count, "person", "people")}${here_now}`);
    attr(counter, { "aria-expanded": String(open) });
    const { last_minute = 0, networks = 0 } = live.presence.arrivals ?? {};
    // Fewer come all the time; so many are either the hall or somebody's script, which only the host can tell.
    const isMany = last_minute >= MANY_ARRIVALS;
    text(flood, isMany ? `${last_minute} new people in the last minute, from ${lib.count(networks, "network")}` : "");
    show(flood, isMany);
    const shown = open ? Object.entries(people.names ?? {}) : [];
    lib.list(names, shown, ([id]) => id, row, (item, [id, person]) => {
      // Told to the host alone: this one is known by a connection, and may have come several times.
      text(item.children[1], person.level === undefined ? person.name : `${person.name} (L${person.level})`);
      attr(item, { "data-here": String(here.has(id)), title: here.has(id) ? "here now" : "away" });
      if (item.children[2]) text(item.children[2], person.muted ? "Unmute" : "Mute");
    });
    show(names, open && shown.length > 0);
    show(few, open && !shown.length);
    if (open && !people.names) text(few, "Names are not shown above 100 people.");
  }

  return follow(live, redraw);
}

// ── the host's room ─────────────────────────────────────────────────────────────────────────────────────────────

function roomPart(context) {
  const { about, live, el, lib, kernel } = context;
  const { h, text, show, attr } = lib;
  const title = h("h3.wslive-title");
  const lock = h("button.wslive-button.wslive-small", { type: "button", onclick: toggleLock });
  const link = h("a.wslive-link", { target: "_blank", rel: "noopener noreferrer" });
  const code = h("span.wslive-code", { "aria-label": "Join code" });
  const qr = h("img.wslive-qr", { alt: "QR code of the join link" });
  const others = h("p.wslive-others");
  const first = h("p.wslive-first");
  const invite = h("button.wslive-button.wslive-primary", { type: "button", onclick: letIn }, "Let phones in");
  const told = h("p.wslive-problem", { role: "alert" });
  const scope = h("p.wslive-scope");
  const joining = h("div", {}, h("p.wslive-join", {}, "Join at ", link), h("p.wslive-join", {}, "Code ", code));
  const words = h("div.wslive-invite-words", {}, joining, scope, first, others, invite, told);
  const door = h("div.wslive-invite", {}, words, qr);
  const head = h("header.wslive-room-head", {}, title, lock);
  const notice = h("p.wslive-notice", { role: "note" });
  const stage = h("div.wslive-stage");
  const people = h("div.wslive-side-part");
  const chat = h("div.wslive-side-part");
  const folds = h("div.wslive-side", {}, people, chat);
  const root = h("section.wslive-room", { "aria-label": "Room" }, head, notice, door, stage, folds);
  el.append(root);

  function toggleLock() {
    text(told, "");
    live.command(0, "lock", { locked: !live.view.room.locked }).catch((refused) => text(told, refused.message));
  }

  /** The kernel asks the server: what lets others in needs more than a ticket. */
  function letIn() {
    const side = kernel();
    text(told, "");
    if (!side || side.isGone()) return text(told, "There is no kernel to ask. Run the cell again.");
    attr(invite, { disabled: true });
    text(invite, "Opening …");
    side.told = ({ message }) => {
      attr(invite, { disabled: null });
      text(invite, "Let phones in");
      text(told, message ?? "");
      redraw();
    };
    side.send({ type: "let_in" });
  }

  const invitation = () => kernel()?.model.get("invite") ?? about.invite;

  /** How people come in: {links, qr}, the best link first and its QR code as an image's address. */
  function ways() {
    const { links, qr: drawing, here } = invitation();
    const own = new URL(`${about.urls[0].replace(/\/$/, "")}/r/${about.room}`, location.href);
    if (here && !/(^|\.)localhost$|^127\.|^\[::1\]$/.test(own.hostname)) {
      // Behind hubs and proxies the page alone knows the address by which Jupyter is reached; the server draws it.
      return { links: [own.href, ...links], qr: `${own.href}/qr.svg?origin=${encodeURIComponent(own.origin)}` };
    }
    return { links, qr: `data:image/svg+xml,${encodeURIComponent(drawing)}` };
  }

  function redraw() {
    const { room } = live.view;
    const { links, qr: image } = ways();
    const reachable = links.length > 0 && !room.ended; // nobody is asked to come to where nobody can
    show(joining, !room.ended);
    show(door, live.status !== "ended"); // the badge says why
    text(title, room.title);
    text(lock, room.locked ? "Locked · unlock" : "Lock");
    attr(lock, { title: room.locked ? "Let new people in again" : "Let nobody new in", disabled: room.ended || null });
    const best = links[0] ?? new URL(`${about.urls[0].replace(/\/$/, "")}/r/${about.room}`, location.href).href;
    attr(link, { href: best });
    text(link, best.replace(/^https?:\/\//, ""));
    text(code, about.room);
    show(qr, reachable);
    if (reachable && qr.dataset.of !== best) {
      qr.src = image;
      qr.dataset.of = best;
    }
    text(scope, room.ended ? "This room has ended." : room.locked ? "Locked: nobody new can join." : reachable ? "" : "Only this computer can join.");
    show(scope, Boolean(scope.textContent));
    show(invite, !links.length && !room.ended);
    // Whoever joins on the host's own computer says nothing of whether phones can.
    const cameIn = Boolean(live.presence.arrivals?.from_elsewhere);
    text(first, cameIn ? "✓ first person connected" : "Nobody has connected from another device yet.");
    attr(first, { "data-here": String(cameIn) });
    show(first, reachable);
    text(others, links.length > 1 ? `Also at ${links.slice(1).map((l) => new URL(l).host).join(", ")}` : "");
    show(others, links.length > 1 && !room.ended);
    text(notice, invitation().notice ?? "");
    show(notice, Boolean(notice.textContent));
  }

  const ends = [
    follow(live, redraw),
    questions(context, stage, "No question yet. Ask one: room.poll(\"Which sort is stable?\", [\"quick\", \"merge\", \"heap\"])"),
    peoplePart({ ...context, el: people }),
    chatBox(context, chat),
  ];
  const side = kernel();
  side?.model.on("change:invite", redraw);
  return () => {
    side?.model.off("change:invite", redraw);
    for (const end of ends) end();
  };
}

// ── a participant's place, or an onlooker's ─────────────────────────────────────────────────────────────────────

function mePart(context) {
  const { live, el, lib } = context;
  const { h, text, show } = lib;
  const title = h("h3.wslive-title");
  const who = h("span.wslive-who");
  const head = h("header.wslive-room-head", {}, title, who);
  const stage = h("div.wslive-stage");
  const chat = h("div.wslive-side-part");
  el.append(h("section.wslive-room.wslive-me", { "aria-label": "Room" }, head, stage, chat));
  const redraw = () => {
    text(title, live.view.room.title);
    text(who, live.role === "viewer" ? "watching" : `You are ${live.view.me.name}`);
    show(who, true);
  };
  const ends = [follow(live, redraw), questions(context, stage, "No question yet. It appears here when the host asks one."), chatBox(context, chat)];
  return () => {
    for (const end of ends) end();
  };
}

// ── a chart that a function in the kernel makes ─────────────────────────────────────────────────────────────────

function figurePart({ el, lib, kernel }) {
  const model = kernel()?.model;
  const box = lib.h("div.wslive-figure");
  el.append(box);
  let queued = false;
  let plotly = null;
  const draw = async () => {
    queued = false;
    const { data, layout = {} } = model.get("figure");
    if (!data || !box.clientWidth) return; // not made yet, or folded away
    plotly = await lib.plotly();
    const sized = { ...layout, width: box.clientWidth, autosize: false };
    await plotly.react(box, data, onPage(sized, getComputedStyle(box).color), { displaylogo: false, displayModeBar: false });
  };
  const queue = () => {
    if (queued || !model) return;
    queued = true;
    requestAnimationFrame(draw);
  };
  const observer = new ResizeObserver(queue);
  observer.observe(box);
  // JupyterLab names its theme on the body.
  const themes = new MutationObserver(queue);
  themes.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  model?.on("change:figure", queue);
  queue();
  return () => {
    observer.disconnect();
    themes.disconnect();
    model?.off("change:figure", queue);
    plotly?.purge(box);
  };
}

/** A figure is made without knowing the page: on a dark one it takes the page's ink and lets its ground through. */
export function onPage(layout, ink) {
  const [red, green, blue] = (ink.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
  if (0.299 * red + 0.587 * green + 0.114 * blue < 128) return layout;
  const clear = "rgba(0, 0, 0, 0)";
  const dark = { ...layout, paper_bgcolor: clear, plot_bgcolor: clear, font: { ...layout.font, color: ink } };
  for (const axis of new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name))])) {
    dark[axis] = { gridcolor: "rgba(128, 128, 128, 0.35)", zerolinecolor: "rgba(128, 128, 128, 0.6)", ...layout[axis] };
  }
  return dark;
}
