// What a connection is made of: storage, sockets, the replica of a view, the queue of unacknowledged commands.
//
// Like client.js this file imports nothing, so that a notebook cell can load it as a blob.

const SUBPROTOCOL = "wslive.v1";

const hex = (number, digits) => number.toString(16).padStart(digits, "0");

/** A name for a command: 96 random bits, after how far we have come, so that a store files new names side by side. */
// crypto.randomUUID is missing on plain http, which is how phones reach a lecturer's laptop.
export const newRef = (offset = 0) =>
  hex(offset, 8) + Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => hex(byte, 2)).join("");

export const isVisible = () => typeof document === "undefined" || document.visibilityState === "visible";

export const tokenKey = (room) => `wslive.token.${room}`;

/** Storage that never throws: private windows and full disks cost comfort, not function. */
export function safeStorage(name) {
  const memory = new Map();
  const attempt = (action) => {
    try {
      return action(globalThis[name]);
    } catch {
      return null;
    }
  };
  return {
    get: (key) => memory.get(key) ?? attempt((storage) => storage.getItem(key)),
    set(key, value) {
      memory.set(key, value);
      attempt((storage) => storage.setItem(key, value));
    },
    remove(key) {
      memory.delete(key);
      attempt((storage) => storage.removeItem(key));
    },
  };
}

/** Take Jupyter's token out of the address bar: whoever is shown this page, or copies its address, must not get it. */
export function hideLogin() {
  const here = new URL(location.href);
  if (!here.searchParams.has("token")) return;
  here.searchParams.delete("token");
  history.replaceState(history.state, "", here);
}

// ── transports: a WebSocket, or a notebook's comm; both carry the same messages as objects ────────────────────────

/** Open a WebSocket to the server at `base`; null where that does not succeed in time. */
export function openSocket(base, ticket, within_ms) {
  return new Promise((resolve) => {
    let socket;
    try {
      const url = new URL("ws", new URL(base.endsWith("/") ? base : `${base}/`, globalThis.location?.href));
      url.protocol = url.protocol.replace("http", "ws");
      socket = new WebSocket(url, ticket ? [SUBPROTOCOL, `wslive.ticket.${ticket}`] : [SUBPROTOCOL]);
    } catch {
      return resolve(null); // a plain address from a page that came by https
    }
    const transport = {
      send: (message) => socket.send(JSON.stringify(message)),
      close() {
        // A dead peer's close event may be a minute away; nobody waits for it.
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
      },
    };
    const settle = (found) => {
      clearTimeout(timer);
      if (!found) transport.close();
      resolve(found);
    };
    const timer = setTimeout(settle, within_ms, null);
    socket.onclose = () => settle(null);
    socket.onopen = () => {
      socket.onmessage = (event) => transport.onmessage(JSON.parse(event.data));
      socket.onclose = (event) => transport.onclose(event.code, event.reason);
      settle(transport);
    };
  });
}

/** The same over `bridge`: {send(message), onmessage}. */
export function openBridge(bridge) {
  const transport = {
    send: (message) => bridge.send(message),
    close() {
      bridge.onmessage = null;
    },
  };
  bridge.onmessage = (message) => transport.onmessage(message);
  return transport;
}

// ── the replica ─────────────────────────────────────────────────────────────────────────────────────────────────

/** How many lines of a chat are kept: a page stays open for hours, and each change walks over all of them. */
const KEPT_LINES = 1_000;
const TRIM_EVENTS = 100;

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// Object.hasOwn is missing on phones from before 2022.
const owns = Object.prototype.hasOwnProperty;

// An own property, whatever it is called: an assignment would take "__proto__" for something else.
const put = (target, key, value) =>
  Object.defineProperty(target, key, { value, configurable: true, enumerable: true, writable: true });

/** Apply operations to a view, in place. They are absolute: a second time changes nothing. */
export function patch(view, ops) {
  for (const { op, path, key, value } of ops) {
    if (op === "set" && !path.length) {
      for (const name of Object.keys(view)) delete view[name];
      for (const [name, part] of Object.entries(value)) put(view, name, part);
      continue;
    }
    let target = view;
    for (const name of op === "set" ? path.slice(0, -1) : path) {
      if (!owns.call(target, name) || !isObject(target[name])) put(target, name, {});
      target = target[name];
    }
    if (op === "remove") delete target[key];
    else put(target, op === "set" ? path[path.length - 1] : key, value);
  }
  return view;
}

/** Forget the oldest lines of what has more than `KEPT_LINES`: they can be read again (`read_older`). */
function forget(view) {
  for (const activity of Object.values(view.activities ?? {})) {
    if (!activity.history || !activity.lines) continue;
    const ids = Object.keys(activity.lines); // whole numbers come in ascending order
    const first = ids[ids.length - KEPT_LINES];
    if (ids.length <= KEPT_LINES || first < activity.history.from) continue;
    activity.lines = Object.fromEntries(Object.entries(activity.lines).slice(-KEPT_LINES));
    activity.history = { from: Number(first), more: true };
  }
}

/** A view and the position at which it stands. */
export class Replica {
  view = null;
  position = null;
  trimmedAt = 0;

  welcome({ mode, position, ops, view }) {
    this.view = mode === "resume" ? patch(this.view, ops ?? []) : view;
    this.position = position;
  }

  snapshot({ position, view }) {
    Object.assign(this, { position, view });
  }

  /** False where something before this delta was missed. */
  delta({ from, to, chain, ops }) {
    if (to <= this.position.offset) return true;
    if (from > this.position.offset) return false;
    patch(this.view, ops);
    this.position = { epoch: this.position.epoch, offset: to, chain };
    if (to - this.trimmedAt > TRIM_EVENTS) {
      forget(this.view);
      this.trimmedAt = to;
    }
    return true;
  }
}

// ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Commands until they are on disk and visible; those without an ack outlive a reload of the tab. */
export class Queue {
  commands = [];
  refusals = {}; // the last one of each activity, until the next command to it
  key = null;

  constructor(storage) {
    this.storage = storage;
  }

  /** Take up what this actor left behind, and keep from now on. */
  recall(key) {
    this.key = key;
    let kept = [];
    try {
      kept = JSON.parse(this.storage.get(key) ?? "[]");
    } catch {
      // not ours
    }
    const nobody = { resolve() {}, reject() {} };
    this.commands = [...kept.map((command) => ({ ...command, ...nobody, again: true })), ...this.commands];
  }

  add(activity, kind, body, offset = 0) {
    const command = { ref: newRef(offset), activity, kind, body };
    const done = new Promise((resolve, reject) => Object.assign(command, { resolve, reject }));
    done.catch(() => {}); // whoever does not wait finds the refusal in `refusals`
    delete this.refusals[activity];
    this.commands.push(command);
    this.keep();
    return done;
  }

  /** What is to be sent now: one at a time to each activity, so that no change overtakes what it changes. */
  due() {
    const busy = new Set();
    return this.commands.filter((command) => {
      if (command.offset || busy.has(command.activity)) return false;
      busy.add(command.activity);
      return !command.sent;
    });
  }

  /** After a new welcome everything is to be sent again; after a reset no delta will show what was acknowledged. */
  rewind(is_reset) {
    for (const command of this.commands) {
      command.again ||= command.sent;
      command.sent = false;
      if (is_reset && command.offset) command.offset = -1;
    }
  }

  acked({ ref, offset }) {
    const command = this.find(ref);
    if (!command) return;
    command.offset = offset;
    this.keep();
  }

  refused(message) {
    const command = this.find(message.ref);
    if (!command) return;
    this.commands = this.commands.filter((c) => c !== command);
    this.refusals[command.activity] = { ...message, kind: command.kind, body: command.body };
    this.keep();
    command.reject(message);
  }

  /** Resolve what the replica shows by now. */
  shown(offset) {
    const shown = this.commands.filter((c) => c.offset && c.offset <= offset);
    if (shown.length) this.commands = this.commands.filter((c) => !shown.includes(c));
    for (const command of shown) command.resolve(command.offset);
  }

  /** Nothing will be sent any more. */
  drop(error) {
    const left = this.commands.splice(0);
    this.keep();
    for (const command of left) command.reject(error);
  }

  find(ref) {
    return this.commands.find((c) => c.ref === ref);
  }

  keep() {
    if (!this.key) return;
    const left = this.commands.filter((c) => !c.offset);
    const kept = left.map(({ ref, activity, kind, body }) => ({ ref, activity, kind, body }));
    if (kept.length) this.storage.set(this.key, JSON.stringify(kept));
    else this.storage.remove(this.key);
  }
}
