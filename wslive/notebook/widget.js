// The anywidget: what ipywidgets loads for each thing that is displayed. It is sent with each, so it is small: all that
// draws is one file, which a page loads once, from the server, or else from the kernel.

const LOADED = Symbol.for("wslive.cells.1");
const FROM_KERNEL_WITHIN_MS = 20_000;
const GONE = new Set(["restarting", "autorestarting", "dead"]);

async function load(model) {
  const name = model.get("cells");
  for (const url of model.get("urls")) {
    try {
      return await start(await fromServer(url, name), name);
    } catch {
      // Not to be reached from this page, or of another version, or not what it should be.
    }
  }
  const bytes = await new Promise((resolve, reject) => {
    const heard = (message, buffers) => message.type === "cells" && resolve(buffers[0]);
    model.on("msg:custom", heard);
    model.send({ type: "cells" });
    setTimeout(() => {
      model.off("msg:custom", heard);
      reject(new Error("neither the server nor the kernel has sent what draws wslive's views"));
    }, FROM_KERNEL_WITHIN_MS);
  });
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return start(await new Response(plain).text(), name);
}

/** Only what the name stands for: whoever runs the server of a room is not to run code of theirs in this page. */
async function fromServer(url, name) {
  const sum = name.slice(6, -3).replaceAll("-", "+").replaceAll("_", "/");
  const file = new URL(`${url.replace(/\/$/, "")}/static/${name}`, location.href);
  return (await fetch(file, { integrity: `sha256-${sum}=` })).text();
}

async function start(source, name) {
  const blob = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return (await import(blob).finally(() => URL.revokeObjectURL(blob))).load(name);
}

function cells(model) {
  globalThis[LOADED] ??= load(model).catch((error) => {
    delete globalThis[LOADED]; // the next one that is drawn may have better luck
    throw error;
  });
  return globalThis[LOADED];
}

/** Whether a model's kernel is gone; heard from the beginning, since what draws may come later. */
function watchKernel(model) {
  const watched = { isGone: false, told: () => {} };
  const gone = () => {
    if (watched.isGone) return;
    watched.isGone = true;
    watched.told();
  };
  // ipywidgets hears of a person's restarts alone; JupyterLab's own kernel also of a death and of a shutdown.
  const theirs = model.widget_manager?.kernel;
  const changed = (_, status) => GONE.has(status) && gone();
  model.on("comm_live_update", gone);
  theirs?.statusChanged.connect(changed);
  theirs?.disposed.connect(gone);
  watched.end = () => {
    model.off("comm_live_update", gone);
    theirs?.statusChanged.disconnect(changed);
    theirs?.disposed.disconnect(gone);
  };
  return watched;
}

export default {
  // Nothing is awaited here: JupyterLab hands out the kernel's next message when this has returned, and what draws may
  // have to come in one.
  initialize({ model }) {
    const watched = watchKernel(model);
    const adopted = cells(model).then(({ adopt }) => adopt(model, watched));
    adopted.catch((error) => console.error(error));
    return () => {
      watched.end();
      adopted.then((end) => end(), () => {});
    };
  },
  async render({ model, el }) {
    const { mount, describe } = await cells(model);
    return mount(el, describe(model));
  },
};
