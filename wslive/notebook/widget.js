// The anywidget: what ipywidgets loads for each thing that is displayed. The sources of all other modules come with
// it, so it works where the page cannot reach the server; each becomes a module once a page.

const SOURCES = __SOURCES__;

const LOADED = Symbol.for("wslive.cells.1");

function asModule(source) {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return import(url).finally(() => URL.revokeObjectURL(url));
}

async function load() {
  const { styles, template, views, ...files } = SOURCES;
  const loaded = {};
  for (const [name, source] of Object.entries(files)) loaded[name] = await asModule(source);
  const drawn = {};
  for (const [kind, source] of Object.entries(views)) drawn[kind] = (await asModule(source)).default;
  const { cell, wire, client, lib, layouts, chart } = loaded;
  const made = cell.makeCells({ wire, client, lib, layouts, views: drawn, styles, chart: () => ({ ...chart, template }) });
  return { ...made, describe: cell.describe };
}

const cells = () => (globalThis[LOADED] ??= load());

export default {
  async initialize({ model }) {
    return (await cells()).adopt(model);
  },
  async render({ model, el }) {
    const { mount, describe } = await cells();
    return mount(el, describe(model));
  },
};
