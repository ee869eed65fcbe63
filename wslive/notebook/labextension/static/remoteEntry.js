// JupyterLab's renderer for outputs of wslive, and a card in its launcher; written by hand in the form in which
// prebuilt extensions are loaded.
//
// Widgets alone would not do: after a reload JupyterLab asks the kernel for every widget's state, so a kernel that is
// computing shows nothing, and a saved notebook that is opened again shows "model not found". This renderer draws
//
//   the live view     once the kernel's widget is there, or at once with the ticket that this tab took over the reload
//   the saved result  until then, and where nothing is live: the same escaped table that text/html holds
//
// Code is loaded only by the kernel's widget, or after a reload from a server for which the kernel gave this very tab a
// ticket, and then only what the widget had loaded: neither a notebook from somebody else nor somebody else's server
// brings code of its own.

(() => {
  const MIME = "application/vnd.wslive.v1+json";
  const RANK_BEFORE_WIDGETS = -20;
  const CELLS = Symbol.for("wslive.cells.1");
  const CELLS_NAME = /^cells-([\w-]{43})\.js$/; // by the SHA-256 of its content
  const page = (globalThis[Symbol.for("wslive.page.1")] ??= { kernels: new Map(), waiting: new Set() });
  let scope = null;

  async function loadFrom(url, name) {
    const sum = CELLS_NAME.exec(name)[1].replaceAll("-", "+").replaceAll("_", "/");
    const file = new URL(`${url.replace(/\/$/, "")}/static/${name}`, location.href);
    const source = await (await fetch(file, { integrity: `sha256-${sum}=` })).text();
    const blob = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    return (await import(blob).finally(() => URL.revokeObjectURL(blob))).load(name);
  }

  /** What this tab took over a reload: a ticket, and the name of what drew here before. */
  function kept({ urls, room, actor }) {
    try {
      const found = JSON.parse(sessionStorage.getItem(`wslive.ticket ${[...urls, room, actor].join(" ")}`));
      return found.until > Date.now() && CELLS_NAME.test(found.cells) ? found : null;
    } catch {
      return null;
    }
  }

  /** The code that draws: what a widget has loaded, else from the server that this tab has a ticket for. */
  function cells(about) {
    const found = kept(about);
    if (!globalThis[CELLS] && found) {
      globalThis[CELLS] = loadFrom(about.urls[0], found.cells).catch((error) => {
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
        const mayStart = page.kernels.has(about.uid) || (about.part !== "figure" && kept(about));
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

  /** A package of JupyterLab's own; an empty one where this front end has it not. */
  async function shared(name) {
    const [found] = Object.values(scope[name] ?? {});
    return found ? (await found.get())() : {};
  }

  async function mimeExtension() {
    const { Widget } = await shared("@lumino/widgets");
    const rendererFactory = {
      safe: true, // what is not trusted is sanitized, and data is drawn as text
      mimeTypes: [MIME],
      createRenderer: (options) => new (makeRenderer(Widget, options))(),
    };
    const renderer = { id: "wslive:renderer", rendererFactory, rank: RANK_BEFORE_WIDGETS, dataType: "json" };
    return { __esModule: true, default: renderer };
  }

  // ── the card "Live room" ──

  const COMMAND = "wslive:host";
  const FIRST_CELLS = [
    `import wslive

room = wslive.host("My room")  # what people see; audience="network" lets phones in
room`,
    `poll = room.poll("Which sort is stable?", ["quick", "merge", "heap"])
poll`,
  ];
  const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="24" height="24">
    <g class="jp-icon3" fill="#616161"><rect x="3" y="11" width="4.5" height="10" rx="1"/>
    <rect x="9.75" y="4" width="4.5" height="17" rx="1"/><rect x="16.5" y="8" width="4.5" height="13" rx="1"/></g></svg>`;

  /** A new notebook whose first cells host a room; nothing runs before its author does. */
  async function openRoom({ commands, serviceManager }, cwd) {
    await serviceManager.kernelspecs.ready;
    const kernelName = serviceManager.kernelspecs.specs?.default;
    const panel = await commands.execute("notebook:create-new", { cwd, kernelName });
    await panel.context.ready;
    const notebook = panel.content.model.sharedModel;
    const [first, ...others] = FIRST_CELLS;
    notebook.getCell(0).setSource(first); // the empty one that every new notebook has
    notebook.insertCells(1, others.map((source) => ({ cell_type: "code", source, metadata: {} })));
    panel.content.activeCellIndex = 0;
    return panel;
  }

  async function extension() {
    const [{ ILauncher }, { ICommandPalette }, { LabIcon }] = await Promise.all(
      ["@jupyterlab/launcher", "@jupyterlab/apputils", "@jupyterlab/ui-components"].map(shared),
    );
    const activate = (app, ...found) => {
      app.commands.addCommand(COMMAND, {
        label: ({ isPalette }) => (isPalette ? "New Live Room" : "Live room"),
        caption: "A notebook that asks a room a question",
        icon: LabIcon ? new LabIcon({ name: "wslive:room", svgstr: ICON }) : undefined,
        execute: ({ cwd }) => openRoom(app, cwd),
      });
      const at = (token) => (token ? found[tokens.indexOf(token)] : null);
      at(ILauncher)?.add({ command: COMMAND, category: "Other", rank: 0.5 }); // the first one's icon is also that of the category
      at(ICommandPalette)?.addItem({ command: COMMAND, category: "Notebook Operations", args: { isPalette: true } });
    };
    const tokens = [ILauncher, ICommandPalette].filter(Boolean);
    return { __esModule: true, default: [{ id: "wslive:launcher", autoStart: true, optional: tokens, activate }] };
  }

  const MODULES = { "./mimeExtension": mimeExtension, "./extension": extension };

  (globalThis._JUPYTERLAB ??= {}).wslive = {
    init: async (theirs) => {
      scope = theirs;
    },
    get: async (name) => {
      const module = await MODULES[name]();
      return () => module;
    },
  };
})();
