// JupyterLab's renderer for outputs of wslive, written by hand in the form in which prebuilt extensions are loaded.
//
// Widgets alone would not do: after a reload JupyterLab asks the kernel for every widget's state, so a kernel that is
// computing shows nothing, and a saved notebook that is opened again shows "model not found". This renderer draws
//
//   the live view     once the kernel's widget is there, or at once with the ticket that this tab took over the reload
//   the saved result  until then, and where nothing is live: the same escaped table that text/html holds
//
// Code is loaded only from the kernel's widget, or from a server for which the kernel gave this very tab a ticket: a
// notebook from somebody else cannot name a server of its own.

(() => {
  const MIME = "application/vnd.wslive.v1+json";
  const RANK_BEFORE_WIDGETS = -20;
  const CELLS = Symbol.for("wslive.cells.1");
  const page = (globalThis[Symbol.for("wslive.page.1")] ??= { kernels: new Map(), waiting: new Set() });
  let scope = null;

  const loadFrom = async ({ urls }) => {
    const files = `${urls[0].replace(/\/$/, "")}/static/`;
    return (await import(`${files}cell.js`)).loadFrom(files);
  };

  function hasTicket({ urls, room, actor }) {
    try {
      const kept = JSON.parse(sessionStorage.getItem(`wslive.ticket ${[...urls, room, actor].join(" ")}`));
      return kept.until > Date.now();
    } catch {
      return false;
    }
  }

  /** The code that draws: what a widget has loaded, else from the server that this tab has a ticket for. */
  function cells(about) {
    if (!globalThis[CELLS] && hasTicket(about)) {
      globalThis[CELLS] = loadFrom(about).catch((error) => {
        delete globalThis[CELLS];
        throw error;
      });
    }
    return globalThis[CELLS];
  }

  function makeRenderer(Widget, options) {
    return class extends Widget {
      constructor() {
        super();
        this.addClass("wslive-output");
        this.saved = document.createElement("div");
        this.place = document.createElement("div");
        this.node.append(this.saved, this.place);
        this.waiting = () => this.begin();
        this.end = null;
        this.key = null;
      }

      async renderModel(model) {
        const about = model.data[MIME];
        const html = String(model.data["text/html"] ?? "");
        // As JupyterLab shows any HTML; without trust its sanitizer takes the bars out and leaves the numbers.
        this.saved.innerHTML = model.trusted ? html : options.sanitizer.sanitize(html);
        const key = JSON.stringify([about.uid, about.activity]);
        if (key === this.key) return; // only the saved result has changed; what is live goes on
        this.stop();
        this.key = key;
        this.about = about;
        page.waiting.add(this.waiting);
        await this.begin();
      }

      async begin() {
        if (this.end || this.isDisposed) return;
        const { about } = this;
        const mayStart = page.kernels.has(about.uid) || (about.part !== "figure" && hasTicket(about));
        if (!mayStart) return;
        let loaded;
        try {
          loaded = await cells(about);
        } catch (error) {
          console.warn("wslive: the server cannot be reached, so the saved result is shown:", error.message);
          return;
        }
        if (!loaded || this.end || this.isDisposed || about !== this.about) return;
        this.end = loaded.mount(this.place, about, () => (this.saved.hidden = true));
      }

      stop() {
        page.waiting.delete(this.waiting);
        this.end?.();
        this.end = null;
        this.saved.hidden = false;
      }

      dispose() {
        if (!this.isDisposed) this.stop();
        super.dispose();
      }
    };
  }

  async function extension() {
    const [found] = Object.values(scope["@lumino/widgets"]);
    const { Widget } = (await found.get())();
    const rendererFactory = {
      safe: true, // what is not trusted is sanitized, and data is drawn as text
      mimeTypes: [MIME],
      createRenderer: (options) => new (makeRenderer(Widget, options))(),
    };
    const renderer = { id: "wslive:renderer", rendererFactory, rank: RANK_BEFORE_WIDGETS, dataType: "json" };
    return { __esModule: true, default: renderer };
  }

  (globalThis._JUPYTERLAB ??= {}).wslive = {
    init: async (shared) => {
      scope = shared;
    },
    get: async () => {
      const module = await extension();
      return () => module;
    },
  };
})();
