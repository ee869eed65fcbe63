// One connection to one room: it comes back by itself, and what was said meanwhile is neither lost nor said twice.
//
// A page imports this file by its URL, a notebook cell as a blob: it imports nothing and is handed wire.js. All cells
// of a notebook page that speak for the same actor to the same server share one connection.
//
//   const live = connect({ wire, urls: [base], room: "K7M2QX", role: "participant", name: "Ada" });
//   live.subscribe(() => draw(live.view));
//   await live.command(12, "cast_vote", { round: 1, options: ["o2"] });   // on disk, and visible in live.view

const FINAL_FROM = 4500;
const TICKET_EXPIRED = 4004;
const PING_INTERVAL_MS = 20_000;
const PONG_WITHIN_MS = 10_000;
const WELCOME_WITHIN_MS = 10_000;
const KEPT_NOTICES = 50;

class Connection {
  constructor({ wire, urls, room, role = "participant", name = null, token = null, invitation = null, storage = {} }) {
    Object.assign(this, { wire, urls: [...urls], room, role, name, invitation });
    this.local = storage.local ?? wire.safeStorage("localStorage");
    this.session = storage.session ?? wire.safeStorage("sessionStorage");
    this.replica = new wire.Replica();
    this.queue = new wire.Queue(this.session);
    this.providers = []; // of tickets and bridges: one for each view that shares this connection
    this.token = token ?? (role === "participant" ? this.local.get(wire.tokenKey(room)) : null);
    this.ticket = null; // {ticket, until}
    this.actor = null;
    this.status = "connecting";
    this.reason = "";
    this.code = null;
    this.awaySince = null;
    this.presence = { online: 0, here: null, notices: [], arrivals: null };
    this.asked = new Map();
    this.subscribers = new Set();
    this.tries = 0;
    this.attempt = 0;
    this.timers = {};
    this.wake = () => wire.isVisible() && this.hurry();
    this.listen("addEventListener");
  }

  get view() {
    return this.replica.view;
  }

  get position() {
    return this.replica.position;
  }

  get pending() {
    return this.queue.commands;
  }

  get refusals() {
    return this.queue.refusals;
  }

  // ── opening and losing ──

  async open() {
    const attempt = ++this.attempt;
    const isStale = () => attempt !== this.attempt || this.status === "ended";
    this.clear("retry");
    const bridge = this.providers.find((p) => p.bridge)?.bridge;
    const needsTicket = this.providers.some((p) => p.getTicket);
    const ticket = needsTicket ? await this.findTicket() : null;
    const within_ms = this.urls.length > 1 || bridge ? 2_000 : 10_000;
    for (const url of needsTicket && !ticket ? [] : this.urls) {
      if (isStale()) return;
      const transport = await this.wire.openSocket(url, ticket, within_ms);
      if (isStale()) return transport?.close();
      if (transport) {
        this.urls = [url, ...this.urls.filter((other) => other !== url)];
        return this.greet(transport, ticket);
      }
    }
    if (isStale()) return;
    this.isDoubtful = true; // a failed handshake gives scripts no reason; it may have been the ticket
    if (bridge) return this.greet(this.wire.openBridge(bridge), null, true);
    this.reason = "The server does not answer.";
    this.retry();
  }

  async findTicket() {
    const kept = this.ticket?.until > Date.now() ? this.ticket.ticket : null;
    if (kept && !this.isDoubtful) return kept;
    for (const { getTicket } of this.providers) {
      if (!getTicket) continue;
      const late = new Promise((resolve) => setTimeout(resolve, 3_000, null)); // the kernel may be busy or gone
      const asked = Promise.resolve().then(getTicket).catch((error) => ({ error }));
      const found = await Promise.race([asked, late]);
      if (found?.error?.isFinal) this.end(found.error.code, found.error.message);
      else if (found && !found.error) return found.ticket ?? found;
    }
    return kept;
  }

  greet(transport, ticket, isBridge = false) {
    this.transport = transport;
    this.hasTicket = ticket !== null;
    this.isDoubtful = false;
    this.refusal = null;
    transport.onmessage = (message) => this.receive(message);
    transport.onclose = (code, reason) => this.lost(code, reason);
    this.after("welcome", WELCOME_WITHIN_MS, () => this.lost(null));
    const hello = { type: "hello", ref: this.wire.newRef() };
    if (this.position) hello.position = this.position;
    if (!this.hasTicket && !isBridge) this.introduce(hello);
    transport.send(hello);
  }

  introduce(hello) {
    Object.assign(hello, { room: this.room, role: this.role });
    if (this.token) hello.token = this.token;
    else if (this.role === "participant") {
      // The ref makes the person: kept until the token is here, a reload on the way in does not join twice.
      hello.ref = this.session.get(this.joiningKey) ?? hello.ref;
      this.session.set(this.joiningKey, hello.ref);
      if (this.name) hello.name = this.name;
      if (this.invitation) hello.invitation = this.invitation;
    }
  }

  get joiningKey() {
    return `wslive.joining.${this.room}`;
  }

  lost(code, reason = "") {
    this.transport?.close();
    this.transport = null;
    for (const name of ["welcome", "ping", "pong", "ticket"]) this.clear(name);
    for (const { reject } of this.asked.values()) reject({ code: "not_connected", message: "The connection was lost." });
    this.asked.clear();
    if (code >= FINAL_FROM && code < 5000) return this.end(code, this.refusal?.message ?? reason);
    if (code === TICKET_EXPIRED) this.ticket = null;
    if (this.status === "live") {
      this.status = "away";
      this.awaySince = Date.now();
    }
    this.reason = reason;
    this.retry();
  }

  retry() {
    // The first try comes soon, but not from everybody at once; then full jitter up to 30 s.
    const range_ms = this.tries ? Math.min(30_000, 500 * 2 ** this.tries) : (this.spread_ms ?? 1_000);
    this.tries += 1;
    this.spread_ms = null;
    this.after("retry", Math.random() * range_ms, () => this.open());
    this.changed();
  }

  /** The network is back, or somebody looks at the page: do not wait for a timer. */
  hurry() {
    if (this.timers.retry) this.open();
    else if (this.status === "live") this.ping(PONG_WITHIN_MS / 2);
  }

  end(code, reason) {
    this.status = "ended";
    this.code = this.refusal?.code ?? code;
    this.reason = reason || "The connection has ended.";
    this.queue.drop({ code: "connection_ended", message: this.reason });
    this.changed();
  }

  dispose() {
    this.attempt += 1;
    this.status = "ended";
    this.transport?.close();
    for (const name of Object.keys(this.timers)) this.clear(name);
    this.listen("removeEventListener");
  }

  listen(how) {
    globalThis[how]?.("online", this.wake);
    globalThis[how]?.("offline", this.wake);
    globalThis.document?.[how]("visibilitychange", this.wake);
  }

  after(name, ms, action) {
    this.clear(name);
    this.timers[name] = setTimeout(() => {
      delete this.timers[name];
      action();
    }, ms);
  }

  clear(name) {
    clearTimeout(this.timers[name]);
    delete this.timers[name];
  }

  /** Proxies and phones drop silent connections without a word to the browser; only asking tells. */
  ping(within_ms) {
    this.clear("ping");
    this.transport.send({ type: "ping" });
    this.after("pong", within_ms, () => this.lost(null));
  }

  pingLater() {
    this.after("ping", PING_INTERVAL_MS, () => (this.wire.isVisible() ? this.ping(PONG_WITHIN_MS) : this.pingLater()));
  }

  // ── what the server says ──

  receive(message) {
    if (this.timers.pong) {
      this.clear("pong");
      this.pingLater();
    }
    this[`on_${message.type}`]?.(message);
  }

  on_welcome(message) {
    const { actor, role, mode, token, presence } = message;
    const isFirst = this.actor === null;
    this.clear("welcome");
    this.replica.welcome(message);
    Object.assign(this, { actor, role, status: "live", reason: "", code: null, awaySince: null, tries: 0 });
    if (token && !this.hasTicket && role === "participant") {
      this.token = token;
      this.local.set(this.wire.tokenKey(this.room), token);
    }
    this.session.remove(this.joiningKey);
    if (isFirst) this.queue.recall(`wslive.pending.${this.room}.${actor}`);
    this.queue.rewind(mode === "reset");
    this.on_presence(presence);
    this.settle();
    this.pingLater();
    if (this.hasTicket) this.renewTicket();
  }

  on_delta(message) {
    if (this.replica.delta(message)) return this.settle();
    this.spread_ms = 200;
    this.lost(null, "Something was missed; catching up."); // the next hello says where we stand
  }

  on_snapshot(message) {
    this.replica.snapshot(message);
    this.settle();
  }

  on_presence({ online, here = null, notices = [], arrivals = null }) {
    // A notice stands after what was said until now: the clocks of phones are no measure.
    const now = notices.map((notice) => ({ ...notice, after: this.position.offset, at_ms: Date.now() }));
    this.presence = { online, here, arrivals, notices: [...this.presence.notices, ...now].slice(-KEPT_NOTICES) };
    this.changed();
  }

  on_ack(message) {
    this.queue.acked(message);
    this.settle();
  }

  on_refused(message) {
    const command = this.queue.find(message.ref);
    if (this.asked.has(message.ref)) {
      this.asked.get(message.ref).reject(message);
      this.asked.delete(message.ref);
    } else if (!command) {
      if (this.timers.welcome) this.refusal = message; // of the hello; a close code follows
    } else if (message.code === "temporarily_unavailable" || (command.again && message.code === "too_fast")) {
      // Also what waited out a lost connection and then came all at once: the person was not too fast.
      setTimeout(() => {
        command.sent = false;
        this.settle();
      }, 1_000 * (message.retry_after_s ?? 1) * (1 + Math.random()));
    } else {
      this.queue.refused(message);
      this.settle();
    }
  }

  on_page({ ref, entries }) {
    this.asked.get(ref)?.resolve(entries);
    this.asked.delete(ref);
  }

  on_ticket({ ticket, expires_in_s }) {
    this.ticket = { ticket, until: Date.now() + 1_000 * expires_in_s - 5_000 };
    this.after("ticket", 600 * expires_in_s, () => this.renewTicket());
    this.changed();
  }

  on_bye({ code, message, spread_s = 0 }) {
    this.spread_ms = 1_000 * spread_s;
    this.lost(code, message);
  }

  renewTicket() {
    this.transport?.send({ type: "get_ticket", ref: this.wire.newRef() });
  }

  // ── what we say ──

  command(activity, kind, body = {}) {
    if (this.status === "ended") return Promise.reject({ code: "connection_ended", message: this.reason });
    const done = this.queue.add(Number(activity), kind, body, this.position?.offset);
    this.settle();
    return done;
  }

  /** Resolve what has become visible, send what is due, tell who listens. */
  settle() {
    if (this.position) this.queue.shown(this.position.offset);
    if (this.status === "live") {
      for (const command of this.queue.due()) {
        command.sent = true;
        const { ref, activity, kind, body } = command;
        this.transport.send({ type: "command", ref, activity, kind, body });
      }
    }
    this.changed();
  }

  readOlder(activity, before, limit = 100) {
    if (this.status !== "live") return Promise.reject({ code: "not_connected", message: "There is no connection now." });
    const ref = this.wire.newRef();
    this.transport.send({ type: "read_older", ref, activity: Number(activity), before, limit });
    return new Promise((resolve, reject) => this.asked.set(ref, { resolve, reject }));
  }

  /** Tell the subscribers: at most once per animation frame, or per 50 ms in a hidden tab, which has no frames. */
  changed() {
    if (this.timers.tell) return;
    const draws = this.wire.isVisible() && globalThis.requestAnimationFrame;
    if (draws) requestAnimationFrame(() => this.timers.tell && this.tell());
    this.after("tell", draws ? 200 : 50, () => this.tell()); // the tab may be hidden before its frame comes
  }

  tell() {
    this.clear("tell"); // else it would tell once more, between two frames
    for (const subscriber of [...this.subscribers]) {
      try {
        if (this.subscribers.has(subscriber)) subscriber(); // one before it may have ended it
      } catch (error) {
        console.error(error); // one broken view must not stop the others
      }
    }
  }
}

// ── sharing ─────────────────────────────────────────────────────────────────────────────────────────────────────

const REGISTRY = (globalThis[Symbol.for("wslive.connections.1")] ??= new Map());
const SHOWN =
  "view position presence status reason code awaySince room role actor token ticket pending refusals urls".split(" ");

/**
 * Connect to a room, or share the connection that this page has to it already.
 *
 * @param options.wire the module wire.js
 * @param options.urls base URLs of the server, tried in order, e.g. ["http://192.168.1.7:8765/"]
 * @param options.room the join code
 * @param options.role "participant", "viewer" or (with a ticket) "host"
 * @param options.name for a new participant; without one the room gives one
 * @param options.token of an earlier welcome; without one, what the browser has kept for this room; "" for none
 * @param options.actor whose connection it is, where the caller knows: the same actor shares
 * @param options.getTicket returns (a promise of) a ticket; then no token is used or kept
 * @param options.bridge {send(message), onmessage}: carries the same messages where no WebSocket opens
 * @param options.storage {local, session}, each with get, set and remove
 */
export function connect(options) {
  const { urls, room, actor, getTicket, bridge } = options;
  const key = actor ? [urls[0], room, actor].join(" ") : Symbol("not shared");
  let connection = REGISTRY.get(key);
  if (!connection || connection.status === "ended") {
    connection = new Connection(getTicket ? { ...options, token: "" } : options);
    REGISTRY.set(key, connection);
  }
  const provider = { getTicket, bridge };
  connection.providers.push(provider);
  if (connection.attempt === 0) connection.open();

  const own = new Set();
  const live = {
    command: (activity, kind, body) => connection.command(activity, kind, body),
    readOlder: (activity, before, limit) => connection.readOlder(activity, before, limit),
    rename: (name) => connection.command(0, "rename", { name }),
    retryNow: () => connection.hurry(),
    subscribe(listener) {
      const subscriber = () => listener();
      own.add(subscriber);
      connection.subscribers.add(subscriber);
      return () => own.delete(subscriber) && connection.subscribers.delete(subscriber);
    },
    close() {
      for (const subscriber of own) connection.subscribers.delete(subscriber);
      connection.providers = connection.providers.filter((p) => p !== provider);
      if (connection.providers.length) return;
      if (REGISTRY.get(key) === connection) REGISTRY.delete(key);
      connection.dispose();
    },
  };
  for (const name of SHOWN) Object.defineProperty(live, name, { enumerable: true, get: () => connection[name] });
  return live;
}
