// What the host does with a poll, below its chart. Only cells load this file. No import.

const LOST = "The key of this round's ballot box is gone, and with it the answers. Begin a new round to ask again.";
const BALLOT_OF = ["connection", "token", "invitation", "login"];

/** The notebook is on the beamer: what the audience may not see yet is not shown there either. */
const isHiddenFromRoom = ({ results }, { open }) => results === "host_only" || (results !== "live" && open);

/**
 * The host's buttons, for `lib.controls`.
 *
 * @param model the model of the poll's view
 * @param lib what views are handed
 * @param redraw draws that view again
 */
export function makeControls(model, lib, redraw) {
  const { h, attr, text, show } = lib;
  let peeks = false;
  let asks = false; // whether the poll is really to be discarded
  let problem = "";

  function host(kind, body = {}, to = undefined) {
    problem = "";
    model.command(kind, body, to).catch((refused) => {
      problem = refused.message;
      redraw();
    });
  }

  const control = (label, action, attributes = {}) =>
    h("button.wslive-button", { type: "button", onclick: action, ...attributes }, label);
  const close = control("Close poll", () => host("close"));
  const reopen = control("Reopen", () => host("reopen"));
  const round = control("New round", () => host("start_round"), {
    title: "Ask again; the answers so far stay in their round",
  });
  const stage = control("Show", () => host("set_stage", { activity: Number(model.get("activity")) }, 0), {
    title: "Put this question in front of the audience",
  });
  const peek = control("Peek", () => {
    peeks = !peeks;
    redraw();
  });
  const more = control("⋯", () => fold(discard.hidden), { "aria-label": "More" });
  const discard = control("Discard poll and answers", () => ask(true));
  const usual = h("div.wslive-controls", {}, close, reopen, round, stage, peek, more, discard);

  const doubt = h("p.wslive-doubt", { role: "alert" });
  const sure = control("Discard", () => {
    asks = false;
    host("discard");
  });
  const keep = control("Keep the poll", () => ask(false));
  const asking = h("div.wslive-controls", {}, doubt, sure, keep);
  asking.onkeydown = (event) => {
    if (event.key === "Escape") ask(false);
  };
  for (const button of [discard, sure]) button.classList.add("wslive-danger");

  function fold(open) {
    show(discard, open);
    attr(more, { "aria-expanded": String(open) });
  }
  fold(false);

  /** What cannot be taken back is asked twice; the keyboard is on the way out, so a second Enter does no harm. */
  function ask(open) {
    asks = open;
    redraw();
    if (open) keep.focus();
    else discard.focus();
  }

  return {
    box: h("div", {}, usual, asking),
    /** Whether this display keeps the result back, though the host knows it. */
    hidesResult: ({ definition, status }) => isHiddenFromRoom(definition, status) && !peeks,
    /** What the host has to know, or "". */
    problem: ({ status }) => (status.lost ? LOST : problem),
    /** "L1: one ballot a token": how sure it is that a ballot is a person, by the least sure of those who have joined. */
    certainty() {
      const levels = Object.values(model.get("people")?.names ?? {}).map((person) => person.level ?? 1);
      const least = Math.min(...levels);
      return levels.length ? `L${least}: one ballot a ${BALLOT_OF[least]}` : "";
    },
    draw({ definition, status, tally }) {
      show(usual, !asks);
      show(asking, asks);
      const gone = Math.max(tally.answered, ...tally.earlier.map((round) => round.answered));
      const lost = gone ? `${lib.count(gone, "answer")} will be gone.` : "The question will be gone.";
      text(doubt, asks ? `Really? ${lost}` : "");
      show(close, status.open);
      show(reopen, !status.open && !definition.secret); // there a new round is all that there is
      show(stage, model.get("room").stage !== Number(model.get("activity")));
      show(peek, isHiddenFromRoom(definition, status) && Boolean(tally.counts));
      text(peek, peeks ? "Stop peeking" : "Peek");
      const busy = model.get("pending").length > 0 || model.get("status") === "ended";
      for (const button of [close, reopen, round, stage, discard]) attr(button, { disabled: busy });
    },
  };
}
