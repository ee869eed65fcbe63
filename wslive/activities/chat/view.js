// The chat on the page and in a cell: lines, comings and goings, and a place to write.
//
// The replica holds all lines from `history.from` on; the page shows the latest of them, and fetches older ones when
// somebody asks, so that a long room stays quick.

const SHOWN_LINES = 200;
const SLACK_LINES = 50; // taken away together: each time the browser draws all that stay anew
const PAGE_LINES = 100;
const MAX_LINE_CHARS = 500;
const NEAR_END_PX = 48;

const MODES = { on: "Everybody reads", to_host: "Only the host reads", off: "Chat is off" };

/** Why this person cannot write just now, or "". */
function barrier(role, settings, me) {
  if (role === "host") return "";
  if (role === "viewer") return "You are only watching.";
  if (settings.mode === "off") return "The host has switched the chat off. Earlier lines are hidden.";
  if (settings.paused) return "The host has paused the chat for a moment.";
  return me?.muted ? "The host has muted you; your lines are not shown." : "";
}

/** For a number that goes up and down a little while what it stands for only grows. */
const rounded = (n) => (n < 100 ? n : n - (n % 100));

function render({ model, el, lib }) {
  const { h, attr, text, show, list } = lib;
  const isHost = model.get("role") === "host";
  const place = model.get("place");
  const older = new Map(); // lines fetched from before the replica's history, by id
  let olderTo = 0; // where that began then
  let mayHaveOlder = true;
  let window_ = SHOWN_LINES;
  let sticks = true; // to the newest line
  let isShown = true; // lines that nobody can see are not drawn
  let newest = 0;
  let unread = 0;
  let folded = isHost && place === "cell"; // the notebook is on the beamer: names and lines wait behind a counter
  let problem = "";
  let problemUnder = ""; // what was allowed when it came up

  // Only ever one refusal is pending: what was refused goes back to where it was typed.
  const field = h("textarea.wslive-field", { rows: "1", maxlength: String(MAX_LINE_CHARS), placeholder: "Write a line" });
  attr(field, { "aria-label": "Your line", oninput: grow, onkeydown: keyed, enterkeyhint: "send" });
  const send = h("button.wslive-button.wslive-primary", { type: "submit" }, "Send");
  const composer = h("form.wslive-composer", { onsubmit: submit }, field, send);
  const notice = h("p.wslive-chat-notice");
  const alert = h("p.wslive-problem", { role: "alert" });
  const more = h("button.wslive-button.wslive-quiet.wslive-older", { type: "button", onclick: showOlder }, "Older lines");
  const lines = h("ol.wslive-lines", { "aria-label": "Chat", "aria-live": "polite", "aria-relevant": "additions" });
  const empty = h("p.wslive-empty", {}, "Nothing has been said yet.");
  const scroller = h("div.wslive-scroller", { tabindex: "0", role: "region", "aria-label": "Chat lines" }, more, empty, lines);
  scroller.onscroll = () => {
    const stuck = sticks;
    sticks = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
    if (sticks && !stuck) draw(); // of every line that comes the browser tells as of a scroll
  };
  const toNewest = () => sticks && (scroller.scrollTop = scroller.scrollHeight);
  const observer = new ResizeObserver(() => {
    // It was folded away, stands on another tab, or a keyboard took half of the screen.
    const wasShown = isShown;
    isShown = scroller.offsetParent !== null;
    if (isShown && !wasShown) draw();
    else toNewest();
  });
  observer.observe(scroller);
  const jump = h("button.wslive-button.wslive-jump", { type: "button", onclick: toEnd });
  const counter = h("button.wslive-button.wslive-counter", { type: "button", onclick: () => fold(!folded) });
  const pause = h("button.wslive-button", { type: "button", onclick: () => set({ paused: !settings().paused }) });
  const mode = h("select.wslive-select", { "aria-label": "Who reads the chat", onchange: () => set({ mode: mode.value }) });
  mode.append(...Object.entries(MODES).map(([value, words]) => h("option", { value }, words)));
  const controls = h("div.wslive-controls", {}, pause, mode);
  const body = h("div.wslive-chat-body", {}, h("div.wslive-stack", {}, scroller, jump), notice, composer, controls, alert);
  const root = h("section.wslive-chat", { "data-place": place, "aria-label": "Chat" }, counter, body);
  el.append(root);

  const settings = () => model.get("view").settings;

  const allowed = () => JSON.stringify([settings(), model.get("me")?.muted]);

  /** Told until its time is over, or until the host allows something else. */
  function report(refused) {
    problem = refused.message;
    problemUnder = allowed();
    draw();
    if (!refused.retry_after_s) return;
    setTimeout(() => {
      if (problem === refused.message) problem = "";
      draw();
    }, 1_000 * refused.retry_after_s);
  }

  function host(kind, data, to = undefined) {
    problem = "";
    model.command(kind, data, to).catch(report);
  }

  const set = (change) => host("set_chat", { mode: settings().mode, paused: settings().paused, ...change });

  function fold(value) {
    folded = value;
    draw();
    if (!folded) toEnd();
  }

  function grow() {
    field.style.setProperty("height", "auto");
    field.style.setProperty("height", `${Math.min(field.scrollHeight + 2, 120)}px`);
  }

  function keyed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit(event);
  }

  function submit(event) {
    event.preventDefault();
    const said = field.value.trim();
    if (!said) return;
    problem = "";
    field.value = "";
    grow();
    sticks = true;
    model.command("say", { text: said }).catch((refused) => {
      if (!field.value) field.value = said;
      grow();
      report(refused);
    });
    field.focus();
  }

  function toEnd() {
    sticks = true;
    unread = 0;
    draw();
  }

  async function showOlder() {
    const known = all();
    const before = scroller.scrollHeight - scroller.scrollTop;
    window_ += PAGE_LINES;
    sticks = false;
    if (window_ > known.length && mayHaveOlder) {
      attr(more, { disabled: true });
      try {
        const { from } = model.get("view").history;
        const found = await model.get("older")(known[0]?.id ?? from, PAGE_LINES);
        olderTo = from;
        for (const line of found) older.set(line.id, line);
        mayHaveOlder = found.length === PAGE_LINES;
        problem = "";
      } catch (refused) {
        report(refused);
      }
      attr(more, { disabled: false });
    }
    draw();
    scroller.scrollTop = scroller.scrollHeight - before; // what was read stays where it was
  }

  /** All lines that this reader knows of, oldest first. */
  function all() {
    const { lines, history } = model.get("view");
    if (older.size && history.from !== olderTo) {
      // The replica begins later by now: what lies between would be missing.
      older.clear();
      mayHaveOlder = true;
    }
    const known = Object.values(lines).filter((line) => line.id >= history.from);
    // Beyond the replica's beginning a fetched line is shown as it was then, unless a change of it has come since.
    const before = [...older.values()].filter((line) => line.id < history.from).map((line) => lines[line.id] ?? line);
    const me = model.get("me");
    const own = isHost ? [] : (model.get("mine")?.lines ?? []); // what was said to the host alone
    const mine = own.map((line) => ({ ...line, by: me.actor, name: me.name, to_host: true }));
    return [...before, ...known, ...mine].sort((a, b) => a.id - b.id);
  }

  /** Lines, comings and goings, and what is on its way, in the order shown. */
  function entries(shown) {
    const first = shown[0]?.id ?? 0;
    const notices = (model.get("presence")?.notices ?? [])
      .filter((n) => n.after >= first)
      .map((n, i) => ({ key: `n${n.at_ms}.${n.name}.${n.what}.${i}`, notice: n, place: n.after + 0.5 }));
    const said = shown.map((line) => ({ key: `l${line.id}`, line, place: line.id }));
    const sending = model.get("pending").filter((c) => c.kind === "say" && !c.offset);
    const coming = sending.map((c) => ({ key: `p${c.ref}`, sending: c.body.text, place: Infinity }));
    return [...said, ...notices].sort((a, b) => a.place - b.place).concat(coming);
  }

  function make({ line, notice, sending }) {
    if (notice) {
      const words = `${notice.name} ${notice.what === "joined" ? "joined" : "left"}`;
      return h("li.wslive-notice", {}, words);
    }
    const item = h("li.wslive-line", { "data-own": !line || line.by === model.get("me").actor ? "true" : null });
    attr(item, { "data-host": line?.host ? "true" : null });
    const head = h("p.wslive-line-head", {}, h("strong.wslive-name"), h("span.wslive-line-note"));
    item.append(head, h("p.wslive-line-text", {}, sending ?? line.text));
    if (line) head.append(h("time.wslive-time", { datetime: new Date(line.at_ms).toISOString() }, lib.clock(line.at_ms)));
    if (line && isHost) {
      const hide = h("button.wslive-button.wslive-quiet.wslive-small", { type: "button" });
      hide.onclick = () => host("hide_line", { line: line.id, hidden: hide.dataset.hidden !== "true" });
      const mute = h("button.wslive-button.wslive-quiet.wslive-small", { type: "button" });
      mute.onclick = () => host("mute", { person: line.by, muted: mute.dataset.muted !== "true" }, 0);
      item.append(h("p.wslive-line-actions", {}, hide, line.host ? null : mute));
    }
    return item;
  }

  function update(item, { line, notice, sending }) {
    if (notice) return;
    const [head, , actions] = item.children;
    text(head.children[0], sending ? model.get("me").name : line.name);
    const notes = sending ? ["sending …"] : [];
    if (line?.to_host) notes.push(isHost ? "only to you" : "only the host reads this");
    if (line?.hidden) notes.push("hidden");
    if (line?.muted) notes.push("muted");
    text(head.children[1], notes.join(", "));
    attr(item, { "data-dim": line?.hidden || line?.muted || sending ? "true" : null });
    if (!actions) return;
    const [hide, mute] = actions.children;
    attr(hide, { "data-hidden": String(line.hidden), "aria-label": `${line.hidden ? "Show" : "Hide"} this line` });
    text(hide, line.hidden ? "Show" : "Hide");
    if (!mute) return;
    attr(mute, { "data-muted": String(line.muted) });
    text(mute, `${line.muted ? "Unmute" : "Mute"} ${line.name}`);
  }

  function draw() {
    const view = model.get("view");
    show(root, Boolean(view));
    if (!view) return;
    const known = all();
    const last = known[known.length - 1];
    const added = known.filter((line) => line.id > newest);
    if (newest) unread += added.filter((line) => line.by !== model.get("me").actor).length;
    if (newest) window_ += added.length; // what somebody reads stays
    newest = Math.max(newest, last?.id ?? 0);
    if (sticks && window_ > SHOWN_LINES + SLACK_LINES) window_ = SHOWN_LINES;
    if (sticks && !folded) unread = 0;

    show(counter, isHost && place === "cell");
    const fresh = unread ? `, ${unread} new` : "";
    const size = view.history.more ? `${rounded(known.length)}+` : known.length;
    text(counter, `Chat: ${size} ${known.length === 1 ? "line" : "lines"}${fresh}`);
    attr(counter, { "aria-expanded": String(!folded) });
    show(body, !folded);
    if (folded || !isShown) return;

    const shown = known.slice(-window_);
    list(lines, entries(shown), (entry) => entry.key, make, update);
    show(empty, !lines.children.length && (isHost || view.settings.mode !== "off"));
    show(more, known.length > shown.length || (view.history.more && mayHaveOlder));
    show(jump, !sticks && unread > 0);
    text(jump, `${lib.count(unread, "new line")} ↓`);
    toNewest();

    const why = barrier(model.get("role"), view.settings, model.get("me"));
    const hint = view.settings.mode === "to_host" && !isHost ? "Only the host reads what you write." : "";
    text(notice, why || hint);
    show(notice, Boolean(why || hint));
    const isOver = model.get("status") === "ended";
    show(composer, !isOver && (isHost || (model.get("role") !== "viewer" && view.settings.mode !== "off")));
    attr(field, { disabled: Boolean(why) });
    attr(send, { disabled: field.disabled });
    show(controls, isHost && !isOver);
    text(pause, view.settings.paused ? "Let people write" : "Pause chat");
    attr(mode, { value: view.settings.mode });
    if (problemUnder !== allowed()) problem = "";
    text(alert, problem);
  }

  const off = model.on(draw);
  draw();
  return () => {
    off();
    observer.disconnect();
    root.remove();
  };
}

export default { render };
