// What views are handed as `lib`: elements, formulas, words. No import, no HTML from strings anywhere.

const SVG = "http://www.w3.org/2000/svg";
const MATHML = "http://www.w3.org/1998/Math/MathML";

// As in wslive/core/math.py: what can be drawn, and nothing that could run, load or restyle.
const MATH_ELEMENTS = new Set(
  ("math mrow mi mn mo ms mtext mspace msup msub msubsup munder mover munderover mmultiscripts mprescripts none " +
    "mfrac msqrt mroot mstyle mpadded mphantom menclose mtable mtr mtd").split(" "),
);
const MATH_ATTRIBUTES = new Set(
  ("display mathvariant stretchy fence separator accent accentunder linethickness minsize maxsize lspace rspace " +
    "width height depth columnalign rowspacing columnspacing displaystyle scriptlevel notation largeop movablelimits " +
    "form").split(" "),
);

// ── elements ────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Make an element: h("button.wslive-button", { type: "button", onclick }, "Send").
 * Children are nodes and texts; a text only ever becomes a text node.
 */
export function h(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  attr(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Set attributes and event handlers, touching only what differs; null and false take an attribute away. */
export function attr(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element[name] = value;
    else if (name === "value") {
      if (element.value !== value) element.value = value;
    } else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

/** Set the text of an element, touching it only if it differs: a live region repeats what is set again. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
  return element;
}

export function show(element, visible) {
  element.hidden = !visible;
  return element;
}

/** Keep one child per item, in order; elements stay, and with them focus and scrolling. */
export function list(parent, items, keyOf, make, update = () => {}) {
  const kept = (parent.wslive ??= new Map());
  const wanted = new Set(items.map(keyOf));
  for (const [key, element] of kept) {
    if (wanted.has(key)) continue;
    element.remove();
    kept.delete(key);
  }
  let next = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (!kept.has(key)) kept.set(key, make(item));
    const element = kept.get(key);
    update(element, item);
    if (element === next) next = next.nextSibling;
    else parent.insertBefore(element, next);
  }
}

/** A small drawing of strokes on a 24 × 24 field. */
export function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  attr(svg, { viewBox: "0 0 24 24", class: "wslive-icon", "aria-hidden": "true", focusable: "false" });
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}

// ── formulas ────────────────────────────────────────────────────────────────────────────────────────────────────

/** Show a text with its formulas; `pieces` are those of the view, or undefined where the text has none. */
export function formula(element, pieces, plainText) {
  const key = JSON.stringify(pieces ?? plainText);
  if (element.wsliveShown === key) return element;
  element.wsliveShown = key;
  element.replaceChildren(...(pieces ? pieces.map(mathNode) : [plainText]));
  return element;
}

/** The same in Unicode, for labels. */
export function plain(pieces, plainText) {
  return pieces ? pieces.map((piece) => piece.text ?? piece.plain ?? "").join("") : plainText;
}

/** Whether the fonts here draw a root: Chromium leaves the radical out where the first one has no such glyph. */
function drawsRoots() {
  if (rootsDrawn !== null) return rootsDrawn;
  const root = document.createElementNS(MATHML, "msqrt");
  const math = document.createElementNS(MATHML, "math");
  root.append(Object.assign(document.createElementNS(MATHML, "mn"), { textContent: "2" }));
  math.append(root);
  const probe = h("div.wslive-cell.wslive-spoken", {}, math);
  document.body.append(probe);
  rootsDrawn = root.firstChild.getBoundingClientRect().left > root.getBoundingClientRect().left + 1;
  probe.remove();
  return rootsDrawn;
}

let rootsDrawn = null;

function mathNode(piece) {
  if (typeof piece.mathml !== "string") return document.createTextNode(piece.text ?? "");
  if (/<m(sqrt|root)/.test(piece.mathml) && !drawsRoots()) return document.createTextNode(piece.plain ?? "");
  const parsed = new DOMParser().parseFromString(piece.mathml, "application/xml");
  const made = parsed.querySelector("parsererror") ? null : allowed(parsed.documentElement);
  return made ?? document.createTextNode(piece.plain ?? "");
}

function allowed(node) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
  if (node.nodeType !== Node.ELEMENT_NODE || !MATH_ELEMENTS.has(node.localName)) return null;
  const made = document.createElementNS(MATHML, node.localName);
  for (const { name, value } of node.attributes) if (MATH_ATTRIBUTES.has(name)) made.setAttribute(name, value);
  made.append(...[...node.childNodes].map(allowed).filter(Boolean));
  return made;
}

// ── words ───────────────────────────────────────────────────────────────────────────────────────────────────────

// Made once: with options of its own, toLocaleTimeString makes one each time, and a chat asks for every line.
const hoursAndMinutes = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

export const clock = (ms) => hoursAndMinutes.format(ms);

export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** Half up, as chart.py rounds. */
export const percent = (n, of) => (of ? `${Math.floor((200 * n + of) / (2 * of))} %` : "");

/** "37 of 52 answered": of all who have joined, also those who have left since. */
export const turnout = (answered, joined) => `${answered} of ${Math.max(answered, joined)} answered`;

/** The state of the connection for people; `lost` begins the sentence that says since when there is none. */
export function statusWords({ status, awaySince, pending = [], reason }, lost = "Connection lost at") {
  if (status === "live") return "Connected";
  if (status === "ended") return reason;
  if (status === "connecting") return reason ? `${reason} Trying again …` : "Connecting …";
  const since = `${lost} ${clock(awaySince)}`;
  const votes = pending.some((command) => command.kind === "cast_vote");
  if (votes) return `${since}; your answer is kept and will be sent.`;
  return pending.length ? `${since}; what you wrote is kept and will be sent.` : `${since}; coming back by itself …`;
}

let announcer = null;

/** Say something to people who listen to the page. */
export function announce(message) {
  if (!announcer?.isConnected) {
    announcer = h("div.wslive-spoken", { role: "status", "aria-live": "polite" });
    document.body.append(announcer);
  }
  // The same words twice are spoken twice only if something changes.
  announcer.textContent = announcer.textContent === message ? `${message}\u00a0` : message;
}

// ── putting it together ───────────────────────────────────────────────────────────────────────────────────────────

/**
 * The `lib` of views.
 *
 * @param more what only some pages can do: {charts: {kind: makeChart}, plotly, template, controls: {kind: makeControls}}
 */
export const makeLib = (more = {}) => ({
  h, attr, text, show, list, icon, formula, plain, clock, count, percent, turnout, statusWords, announce,
  ...more,
});

/** The polls that an audience sees: the one on stage, other open ones, or, while none is open, the one before. */
export function pollsToShow({ room, activities }) {
  const polls = Object.entries(activities)
    .filter(([, activity]) => activity.kind === "poll" && !activity.status.discarded)
    .map(([id, { status }]) => ({ id: Number(id), isOpen: status.open, isStaged: Number(id) === room.stage }))
    .sort((a, b) => b.isStaged - a.isStaged || b.id - a.id);
  const shown = polls.filter((p) => p.isOpen || p.isStaged);
  return shown.length ? shown : polls.slice(0, 1);
}

/** The `model` of one activity's view. */
export function activityModel(live, { activity, place }) {
  const id = String(activity);
  const getters = {
    activity: () => id,
    place: () => place,
    view: () => live.view?.activities?.[id] ?? null,
    mine: () => live.view?.me?.activities?.[id] ?? null,
    me: () => live.view?.me ?? null,
    room: () => live.view?.room ?? null,
    people: () => live.view?.people ?? null,
    pending: () => live.pending.filter((command) => command.activity === Number(id)),
    refused: () => live.refusals[id] ?? null,
    older: () => (before, limit) => live.readOlder(Number(id), before, limit),
  };
  return {
    get: (name) => (getters[name] ? getters[name]() : live[name]),
    on: (listener) => live.subscribe(listener),
    /** To this activity; with a third argument to another one, 0 being the room. */
    command: (kind, body, to = Number(id)) => live.command(to, kind, body),
  };
}
