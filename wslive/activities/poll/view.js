// A poll on the page, in a cell and on the projector. What it shows follows from the model alone: a reload, a second
// tab or a reconnect shows the same, an answer that is still on its way included.

const IGNORE_TAPS_MS = 400;
const VOTES = new Set(["cast_vote", "retract_vote"]);
const OUT = new Set([4504, "removed"]); // how a connection ends for somebody who was sent out
const CHECK = "M5 12.5l4.5 4.5L19 7.5";
const LOCK = "M6.5 11h11v8.5h-11zM8.5 11V8a3.5 3.5 0 0 1 7 0v3";

const LOST = "The answers of this round cannot be read any more; the host has to ask again.";

// ── what holds for one reader just now ────────────────────────────────────────────────────────────────────────────

/** The answer that stands, the one on its way, and what became of it: "sending", "counted", "not-counted" or "". */
function answer(model, status) {
  const mine = model.get("mine");
  const ballot = mine?.round === status.round ? mine.options : [];
  const sent = model.get("pending").filter((c) => VOTES.has(c.kind) && c.body.round === status.round).pop();
  if (sent) return { ballot, chosen: sent.body.options ?? [], state: "sending", words: "Sending …" };
  const refused = model.get("refused");
  if (refused?.code === "secret_poll_closed" && refused.body.round >= status.round - 1) {
    // Whether it came before is not to be looked up any more: neither "counted" nor "not counted" would be true.
    return { ballot, chosen: ballot, state: "uncertain", words: refused.message };
  }
  if (refused && VOTES.has(refused.kind) && refused.body.round >= status.round - 1) {
    const reason = refused.message.replace(/^Not counted: /, "");
    const earlier = ballot.length ? " Your earlier answer counts." : "";
    const words = `Not counted: ${reason[0].toLowerCase()}${reason.slice(1)}${earlier}`;
    return { ballot, chosen: ballot, state: "not-counted", words };
  }
  return { ballot, chosen: ballot, state: ballot.length ? "counted" : "", words: ballot.length ? "Counted" : "" };
}

function whenShown({ results }, { open }, hasVoted) {
  if (results === "host_only") return "The host keeps the result.";
  if (results === "after_vote" && !hasVoted && open) return "The result shows once you have answered.";
  return "The result shows when the poll is closed.";
}

/** What people are told before they answer. Of a secret poll nobody sees more than the turnout while it is open. */
function secrecy({ results }, { open }, isHost) {
  const nobody = `nobody can see who answered what, not even ${isHost ? "you" : "the host"}`;
  if (!open) return `Secret: ${nobody}.`;
  const shown = results === "host_only" ? "The host alone sees the result, and only then." : "The result shows only then.";
  return `Secret: once the poll is closed, ${nobody}. ${shown}`;
}

// ── the view ──────────────────────────────────────────────────────────────────────────────────────────────────────

function render({ model, el, lib }) {
  const { h, attr, text, show, list, icon, formula } = lib;
  const place = model.get("place");
  let ignoreUntil = 0;
  let shownKey = null;
  let draft = null; // of a multiple choice that is not sent yet
  let chartFailed = false;

  const labelId = `wslive-question-${model.get("activity")}-${Math.random().toString(36).slice(2, 8)}`;
  const eyebrow = h("p.wslive-eyebrow");
  const question = h(place === "page" || place === "screen" ? "h2.wslive-question" : "h3.wslive-question", { id: labelId });
  const hint = h("p.wslive-hint");
  const secret = h("p.wslive-secret", { hidden: true }, icon(LOCK), h("span"));
  const options = h("div.wslive-options", { role: "group", "aria-labelledby": labelId });
  const chart = lib.charts?.poll(lib, place, () => {
    chartFailed = true;
    draw();
  });
  const isHost = model.get("role") === "host";
  const controls = isHost ? lib.controls?.poll(model, lib, draw) : null;
  const turnoutBar = h("span.wslive-turnout-bar");
  const turnoutText = h("p.wslive-turnout-text");
  const turnoutNote = h("p.wslive-turnout-note");
  const turnout = h("div.wslive-turnout", {}, turnoutText, h("div.wslive-turnout-track", {}, turnoutBar), turnoutNote);
  const state = h("p.wslive-vote-state", { role: "status" });
  const send = h("button.wslive-button.wslive-primary", { type: "button", onclick: () => vote([...draft]) }, "Send answer");
  const retract = h("button.wslive-button.wslive-quiet", { type: "button", onclick: takeBack }, "Take my answer back");
  const actions = h("div.wslive-actions", {}, send, state, retract);
  const foot = h("p.wslive-foot");
  const alert = h("p.wslive-problem", { role: "alert" });
  const root = h("section.wslive-poll", { "data-place": place, "aria-labelledby": labelId });
  root.append(h("header.wslive-poll-head", {}, eyebrow, question, secret, hint));
  root.append(...[options, actions, chart?.box, turnout, foot, controls?.box, alert].filter(Boolean));
  el.append(root);

  function vote(chosen) {
    draft = null;
    model.command("cast_vote", { round: model.get("view").status.round, options: chosen }).catch(() => {});
  }

  function takeBack() {
    draft = null;
    model.command("retract_vote", { round: model.get("view").status.round }).catch(() => {});
  }

  function tap(id) {
    const { definition, status } = model.get("view");
    if (performance.now() < ignoreUntil || !canVote(definition, status)) return;
    const { chosen, state } = answer(model, status);
    if (definition.max_choices === 1) {
      if (chosen[0] !== id || state === "not-counted") vote([id]);
      return;
    }
    const next = new Set(draft ?? chosen);
    if (!next.delete(id)) {
      if (next.size === definition.max_choices) return lib.announce(`You can choose ${next.size} at most.`);
      next.add(id);
    }
    draft = next;
    draw();
  }

  function canVote(definition, status) {
    const hasAnswered = answer(model, status).chosen.length > 0;
    const isTaken = status.open && !status.lost;
    const mayVote = model.get("role") === "participant" && model.get("status") !== "ended" && isTaken;
    return mayVote && (definition.changeable || !hasAnswered);
  }

  function drawOptions(definition, status, { ballot, chosen, state: phase }, bars) {
    const { tally } = model.get("view");
    const isMultiple = definition.max_choices > 1;
    const marked = new Set((isMultiple && draft) || chosen);
    const open = canVote(definition, status);
    const most = Math.max(...Object.values(tally.counts ?? { none: 0 }));
    const make = ({ id }) => {
      const parts = ["mark", "option-text", "option-result"].map((name) => h(`span.wslive-${name}`));
      parts[0].append(icon(CHECK));
      parts[2].append(h("strong"), " ", h("small"));
      const button = h("button.wslive-option", { type: "button", onclick: () => tap(id) });
      button.append(h("span.wslive-bar", { "aria-hidden": "true" }), ...parts);
      return button;
    };
    list(options, definition.options, (o) => o.id, make, (button, o) => {
      const n = tally.counts?.[o.id] ?? 0;
      const share = tally.answered ? n / tally.answered : 0;
      attr(button, {
        "aria-pressed": model.get("role") === "participant" ? String(marked.has(o.id)) : null,
        "aria-disabled": open ? null : "true",
        "data-phase": marked.has(o.id) && !draft ? phase || null : null,
        "data-most": bars && tally.counts && n && n === most ? "true" : null,
      });
      const [bar, , label, result] = button.children;
      formula(label, o.math, o.text);
      bar.style.setProperty("--wslive-share", bars ? share : 0);
      const shows = bars && tally.counts && tally.answered;
      const told = shows ? [lib.percent(n, tally.answered), String(n)] : ["", ""];
      text(result.firstChild, told[0]);
      text(result.lastChild, told[1]);
      // Not every screen reader finds the name of a button in a formula.
      attr(button, { "aria-label": o.math ? [lib.plain(o.math, o.text), ...told].join(" ").trim() : null });
    });
    attr(options, { "data-multiple": isMultiple ? "true" : null });
    const changed = draft && [...draft].sort().join() !== [...chosen].sort().join();
    show(send, isMultiple && open && (changed || !chosen.length));
    attr(send, { disabled: !changed || !draft.size });
    show(retract, canVote(definition, status) && definition.changeable && ballot.length > 0 && phase !== "sending" && !changed);
  }

  function draw() {
    const view = model.get("view");
    show(root, Boolean(view) && (!view.status.discarded || place === "cell"));
    if (root.hidden) return;
    const { definition, status, tally } = view;
    if (status.discarded) return drawDiscarded(definition);
    const isVoter = model.get("role") === "participant" && place !== "screen";
    const key = JSON.stringify([status.round, status.open, definition.question, definition.options]);
    if (shownKey !== null && key !== shownKey) {
      // A finger that was on its way to what stood there before must not answer what stands there now.
      ignoreUntil = performance.now() + IGNORE_TAPS_MS;
      draft = null;
      const [before] = JSON.parse(shownKey);
      if (place !== "cell") {
        if (before !== status.round) lib.announce(`Round ${status.round} of: ${lib.plain(definition.question_math, definition.question)}`);
        else lib.announce(status.open ? "The poll is open." : "The poll is closed.");
      }
    }
    shownKey = key;

    const isOver = model.get("status") === "ended";
    const over = OUT.has(model.get("code")) ? "You are out" : "Ended";
    const marks = [isOver ? over : status.open ? "Open" : "Closed"];
    if (status.round > 1) marks.push(`Round ${status.round}`);
    if (definition.edited) marks.push("edited");
    text(eyebrow, marks.join(" · "));
    attr(root, { "data-open": String(status.open && !isOver) });
    formula(question, definition.question_math, definition.question);
    question.classList.toggle("wslive-long", definition.question.length > 110);

    show(secret, Boolean(definition.secret));
    text(secret.lastChild, definition.secret ? secrecy(definition, status, isHost) : "");

    const own = answer(model, status);
    const seesResult = Boolean(tally.counts) && !controls?.hidesResult(view);
    const charts = chart && !chartFailed;
    const rows = isVoter || place === "page" || chartFailed;
    const most = definition.max_choices;
    const choose = most === 1 ? "Choose one" : most < definition.options.length ? `Choose up to ${most}` : "Choose any";
    say(hint, isVoter && status.open && !isOver, definition.changeable ? choose : `${choose}; an answer cannot be changed`);
    show(options, rows);
    if (rows) drawOptions(definition, status, own, !charts && seesResult);
    if (chart) show(chart.box, charts && seesResult);
    if (charts && seesResult) chart.show(view);

    const joined = Math.max(model.get("people")?.count ?? 0, tally.answered);
    const answered = lib.turnout(tally.answered, joined);
    const big = !seesResult && !(place === "page");
    show(turnout, big);
    text(turnoutText, big ? answered : "");
    turnoutBar.style.setProperty("--wslive-share", joined ? tally.answered / joined : 0);
    const when = whenShown(definition, status, own.ballot.length > 0);
    say(turnoutNote, place === "cell" && !definition.secret, isHost ? "The room does not see the result yet." : when);
    const told = [answered, seesResult || definition.secret ? "" : when, controls?.certainty()].filter(Boolean).join(" · ");
    say(foot, !big && place !== "screen", told);

    text(state, own.words);
    attr(state, { "data-state": own.state || null });
    show(actions, isVoter);
    attr(actions, { "data-idle": !own.state && send.hidden ? "true" : null });
    controls?.draw(view);
    text(alert, controls?.problem(view) || (status.lost ? LOST : ""));
  }

  /** A cell stays where it is in the notebook, so it says what became of the poll. */
  function drawDiscarded(definition) {
    text(eyebrow, "Discarded");
    attr(root, { "data-open": "false" });
    formula(question, definition.question_math, definition.question);
    for (const part of [hint, options, actions, chart?.box, turnout, controls?.box, alert]) if (part) show(part, false);
    say(foot, true, "The host has discarded this poll and its answers.");
  }

  function say(element, visible, words) {
    show(element, visible);
    text(element, visible ? words : "");
  }

  const off = model.on(draw);
  draw();
  return () => {
    off();
    chart?.remove();
    root.remove();
  };
}

export default { render };
