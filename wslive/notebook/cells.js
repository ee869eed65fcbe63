// All that draws in cells, in one file: the sources of the other modules, each of which becomes a module once a page.
// The server fills them in.

const SOURCES = __SOURCES__;

function asModule(source) {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return import(url).finally(() => URL.revokeObjectURL(url));
}

/** {adopt, mount, describe}, see cell.js; `name` is that of this file. */
export async function load(name) {
  const { styles, template, views, plotlySum, ...files } = SOURCES;
  const loaded = {};
  for (const [file, source] of Object.entries(files)) loaded[file] = await asModule(source);
  const drawn = {};
  for (const [kind, source] of Object.entries(views)) drawn[kind] = (await asModule(source)).default;
  const { cell, wire, client, lib, charts, layouts, chart, controls } = loaded;
  const more = { template: () => template, charts: { poll: chart.makeChart }, controls: { poll: controls.makeControls } };
  const made = cell.makeCells({ wire, client, lib, charts, layouts, views: drawn, styles, more, name, plotlySum });
  return { ...made, describe: cell.describe };
}
