// What a notebook cell shows of a room, and how it gets at it: a WebSocket of the page's own where the server can be
// reached, the kernel's comm where it cannot. No import: cells.js makes a blob of this file.
//
// A page has one of these, however many cells and widgets. What a cell shows does not need the kernel: the kernel
// hands out the first ticket, the connection renews it by itself, and a reload takes it along in sessionStorage.

const PLOTLY_WITHIN_MS = 20_000;
const TICKET_WITHIN_MS = 5_000;
const TICKET_KEY = "wslive.ticket";

/** What cells of this page share; JupyterLab's renderer looks here for widgets of the kernel. */
export const page = (globalThis[Symbol.for("wslive.page.1")] ??= { kernels: new Map(), waiting: new Set() });

// All addresses: a notebook that adds one of its own to ours is given no ticket of ours.
const keyOf = ({ urls, room, actor }) => [...urls, room, actor].join(" ");

export function makeCells({ wire, client, lib: library, charts, layouts, views, styles, more, name, plotlySum }) {
  const tickets = new Map();
  const asking = new Map(); // key → the functions of those who wait for a ticket
  const lives = new Set();

  // ── the kernel's side: one widget model for each thing displayed ──

  /** Take in a widget's model; what it shows can now be drawn and fed. `watched`, {isGone, told}, is widget.js's. */
  function adopt(model, watched) {
    const about = describe(model);
    const send = (message) => {
      if (watched.isGone) return;
      try {
        model.send(message);
      } catch (error) {
        // JupyterLab throws where a kernel is dead, which it may know before we do.
        console.warn("wslive: the kernel hears nothing:", error.message);
      }
    };
    const kernel = { about, send, bridge: makeBridge(send), model, isGone: () => watched.isGone };
    const received = (message, buffers) => answer(kernel, message, buffers);
    watched.told = () => {
      for (const live of lives) live.redraw();
    };
    model.on("msg:custom", received);
    page.kernels.set(about.uid, kernel);
    kernel.send({ type: "ticket" });
    for (const waiting of [...page.waiting]) waiting();
    return () => {
      model.off("msg:custom", received);
      if (page.kernels.get(about.uid) === kernel) page.kernels.delete(about.uid);
    };
  }

  function answer(kernel, message, buffers) {
    if (message.type === "ticket") {
      keepTicket(keyOf(kernel.about), message.ticket, Date.now() + 1_000 * message.expires_in_s - 5_000);
    } else if (message.type === "frame") {
      kernel.bridge.onmessage?.(JSON.parse(message.frame));
    } else if (message.type === "plotly") {
      kernel.plotly?.(buffers[0]);
    } else if (message.type === "told") {
      kernel.told?.(message);
    }
  }

  function makeBridge(send) {
    return { onmessage: null, send: (frame) => send({ type: "frame", frame: JSON.stringify(frame) }) };
  }

  const kernelsFor = (about) => [...page.kernels.values()].filter((k) => !k.isGone() && keyOf(k.about) === keyOf(about));
  const kernelOf = (about) => page.kernels.get(about.uid) ?? kernelsFor(about)[0] ?? null;

  // ── tickets ──

  function keepTicket(key, ticket, until) {
    tickets.set(key, { ticket, until });
    for (const resolve of [...(asking.get(key) ?? [])]) resolve(ticket);
    for (const live of lives) if (live.key === key) live.retryNow();
  }

  function findTicket(about) {
    const key = keyOf(about);
    const kept = tickets.get(key) ?? recallTicket(about);
    if (kept?.until > Date.now()) return kept.ticket;
    for (const kernel of kernelsFor(about)) kernel.send({ type: "ticket" });
    if (!asking.has(key)) asking.set(key, new Set());
    const waiting = asking.get(key);
    return new Promise((resolve) => {
      const settle = (ticket) => {
        waiting.delete(settle); // a page may be open for days after its kernel has gone
        resolve(ticket);
      };
      waiting.add(settle);
      setTimeout(settle, TICKET_WITHIN_MS, null);
    });
  }

  // A ticket opens connections for some minutes; this tab's own storage holds it while the page reloads.
  addEventListener("pagehide", () => {
    for (const { key, ticket } of lives) {
      const kept = ticket() ?? tickets.get(key);
      if (!kept) continue;
      wire.safeStorage("sessionStorage").set(`${TICKET_KEY} ${key}`, JSON.stringify({ ...kept, cells: name }));
    }
  });

  // ── one cell ──

  /**
   * Draw into an element.
   *
   * @param about what to draw: {uid, urls, room, actor, role, part, activity, invite, cells}
   * @param shown called once there is something to see
   * @returns a function that ends it
   */
  function mount(el, about, shown = () => {}) {
    addStyles(styles);
    const kernel = () => kernelOf(about);
    const bridge = kernelOf(about)?.bridge;
    const { urls, room, role, actor } = about;
    const connection = client.connect({ wire, urls, room, role, actor, getTicket: () => findTicket(about), bridge });
    const lib = makeLib(about);
    // A host's poll is a chart: what draws it takes longest to come, and need not wait for the room.
    if (about.part === "poll" && about.role === "host") lib.plotly().catch(() => {});
    const root = lib.h("div.wslive-cell", { "data-part": about.part });
    const badge = lib.h("p.wslive-badge", { role: "status" });
    let end = null;
    const draw = () => {
      if (!end && connection.view) {
        const { h } = lib;
        const content = h("div.wslive-cell-content");
        root.replaceChildren(badge, content);
        el.append(root);
        const { activityModel, pollsToShow } = library;
        end = layouts.draw({ about, live: connection, el: content, lib, views, activityModel, pollsToShow, kernel });
        shown();
      }
      const words = end ? badgeWords(connection, kernel(), root) : "";
      lib.text(badge, words);
      lib.show(badge, Boolean(words));
    };
    const off = connection.subscribe(draw);
    const live = { key: keyOf(about), ticket: () => connection.ticket, retryNow: () => connection.retryNow(), redraw: draw };
    lives.add(live);
    draw();
    return () => {
      lives.delete(live);
      off();
      end?.();
      connection.close();
      root.remove();
    };
  }

  function badgeWords(connection, kernel, root) {
    if (connection.status !== "live") return library.statusWords(connection, "Stale since");
    if (!kernel?.isGone()) return "";
    // Visitors of a dashboard have no cell to run.
    const cure = root.closest(".jp-Notebook") ? " Run the cell again for the Python side." : "";
    return `Kernel gone, chart live.${cure}`;
  }

  function makeLib(about) {
    // From the server of a room only what the kernel would send, too: it may be somebody else's.
    const files = plotlySum ? about.urls.map((url) => `${url.replace(/\/$/, "")}/static/plotly.min.js`) : [];
    const fromServer = files.map((url) => () => charts.fetched(url, plotlySum));
    const sources = [...fromServer, () => plotlyFromKernel(kernelOf(about))];
    return library.makeLib({ ...more, plotly: charts.once(() => charts.bySource(sources)) });
  }

  async function plotlyFromKernel(kernel) {
    if (!kernel) throw new Error("there is no kernel to ask");
    const bytes = await new Promise((resolve, reject) => {
      kernel.plotly = resolve;
      kernel.send({ type: "plotly" });
      setTimeout(() => reject(new Error("the kernel did not send it")), PLOTLY_WITHIN_MS);
    });
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  return { adopt, mount };
}

/** What a widget's model stands for. */
export function describe(model) {
  const names = ["uid", "urls", "room", "actor", "role", "part", "activity", "invite", "cells"];
  return Object.fromEntries(names.map((name) => [name, model.get(name)]));
}

/** A ticket that this tab took along over a reload. */
export function recallTicket(about) {
  try {
    return JSON.parse(sessionStorage.getItem(`${TICKET_KEY} ${keyOf(about)}`));
  } catch {
    return null;
  }
}

function addStyles(styles) {
  if (document.getElementById("wslive-styles")) return;
  const element = document.createElement("style");
  element.id = "wslive-styles";
  element.textContent = styles;
  document.head.append(element);
}
