// A poll's tally as Plotly data, the twin of chart.py's fill() (a test compares what both make of the same views), and
// the chart that shows it. Only what draws charts loads this file: the projector and cells. No import.

const MAX_ROWS = 1_000;
const CELL_HEIGHT_PX = 280;

export function wrap(text, chars, maxLines) {
  const lines = [""];
  for (const word of text.split(" ")) {
    let rest = [...word];
    while (rest.length) {
      const line = lines[lines.length - 1];
      const joined = line ? `${line} ${rest.join("")}` : rest.join("");
      if ([...joined].length <= chars) {
        lines[lines.length - 1] = joined;
        break;
      }
      if (!line) {
        lines[lines.length - 1] = rest.splice(0, chars).join("");
        if (!rest.length) break;
      }
      lines.push("");
    }
  }
  if (lines.length > maxLines) {
    const last = [...lines[maxLines - 1]].slice(0, Math.max(1, chars - 1)).join("");
    lines.splice(maxLines - 1, lines.length, `${last.trimEnd()}…`);
  }
  return lines;
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", $: "&#36;" };
const escape = (text) => text.replace(/[&<>$]/g, (symbol) => ENTITIES[symbol]);

function labels(texts, width_px, font_px, rules) {
  const joined = (rows) => rows.map((lines) => lines.map(escape).join("<br>"));
  const longest = (rows) => Math.max(0, ...rows.map((lines) => lines.length));
  const chars = Math.floor((width_px * 0.94) / Math.max(1, texts.length) / (font_px * rules.char_width));
  const upright = texts.map((text) => wrap(text, Math.max(1, chars), MAX_ROWS));
  const most = longest(upright);
  const isNarrow = chars < rules.min_chars && most > 1;
  if (texts.length <= rules.most_upright && most <= rules.max_lines && !isNarrow) return [joined(upright), 0];
  const beside = Math.max(rules.min_chars, Math.floor((width_px * rules.lying_share) / (font_px * rules.char_width)));
  const lying = texts.map((text) => wrap(text, beside, MAX_ROWS));
  return [joined(lying), texts.length * longest(lying)];
}

function axisTop(most, template) {
  const wanted = most * template.headroom;
  const small = template.tops.find(([top]) => top >= wanted);
  if (small) return small;
  for (let scale = 1; ; scale *= 10) {
    const found = template.tops_by_ten.find(([top]) => top * scale >= wanted);
    if (found) return [found[0] * scale, found[1] * scale];
  }
}

export function fill(view, template, { width_px, font_px }, { plain, percent }) {
  const { options } = view.definition;
  const { tally } = view;
  const texts = options.map((o) => plain(o.math, o.text));
  const names = options.map((o) => o.text);
  const [ticktext, rows] = labels(texts, width_px, font_px, template.labels);
  const rounds = tally.counts ? [...tally.earlier, tally].slice(-2).reverse() : [];
  const counts = rounds.map((round) => options.map((o) => round.counts[o.id] ?? 0));
  const [top, step] = axisTop(Math.max(0, ...counts.flat()), template);
  const data = rounds.map((round, i) => {
    const shares = counts[i].map((n) => percent(n, round.answered));
    const both = rounds.length === 2;
    return {
      ...template.data[i],
      name: `Round ${tally.earlier.length + 1 - i}`,
      ...(rows ? { orientation: "h", x: counts[i], y: names } : { x: names, y: counts[i] }),
      hovertext: texts.map((text, n) => `${escape(text)}: ${counts[i][n]} (${shares[n]})`),
      ...(i === 0 ? { text: counts[i].map((n, k) => (rows ? `${n} · ${shares[k]}` : `${n}<br>${shares[k]}`)) } : {}),
      ...(both ? { width: 0.38, offset: i === 0 ? 0.02 : -0.4 } : { width: 0.64 }),
    };
  });
  const { xaxis, yaxis } = template.layout;
  const ends = [-0.5, options.length - 0.5];
  const named = { ...xaxis, tickvals: options.map((_, i) => i), ticktext, range: rows ? ends.reverse() : ends };
  const counted = { ...yaxis, range: [0, top], dtick: step };
  const layout = { ...template.layout, showlegend: rounds.length === 2, xaxis: named, yaxis: counted };
  if (rows) {
    const margin = { ...template.layout.margin, r: 12 + Math.floor(4 * font_px) };
    Object.assign(layout, { xaxis: counted, yaxis: named, meta: { rows }, margin });
  }
  return { data, layout };
}

/**
 * The same for a box on a page: the letters of many options become smaller where the height is given, not too small to
 * read; beyond that the chart is higher than its box.
 */
export function fit(view, template, { width, height, size, least }, lib) {
  for (let font_px = size; ; font_px = Math.max(least, font_px - 1)) {
    const made = fill(view, template, { width_px: width - 60, font_px }, lib);
    const rows = made.layout.meta?.rows ?? 0;
    const needed = rows ? template.rows_margin_px + Math.ceil(rows * font_px * template.row_height) : 0;
    if (needed <= height || font_px <= least) return { ...made, size: font_px, height: Math.max(height, needed) };
  }
}

// ── the chart on a page ───────────────────────────────────────────────────────────────────────────────────────────

/**
 * A chart that follows a poll's view, for `lib.charts`.
 *
 * @param lib what views are handed, with `plotly` and `template`
 * @param place "cell" or "screen"
 * @param onFailure called where plotly.js cannot be loaded
 */
export function makeChart(lib, place, onFailure) {
  const box = lib.h("div.wslive-chart", { role: "img" });
  let view = null;
  let shown = null;
  let queued = false;
  let plotly = null;
  let template = null;
  const draw = async () => {
    queued = false;
    if (!view || !box.clientWidth) return; // folded away; the observer calls again
    try {
      [plotly, template] = await Promise.all([lib.plotly(), template ?? lib.template("poll")]);
    } catch (error) {
      return onFailure(error);
    }
    const [width, given] = [box.clientWidth, box.clientHeight];
    if (!view || !width) return;
    const isScreen = place === "screen";
    const wanted = isScreen ? Math.max(17, Math.min(width / 44, given / 17)) : 13;
    const room = { width, height: isScreen ? given : CELL_HEIGHT_PX, size: wanted, least: isScreen ? 11 : 13 };
    const { data, layout, size, height } = fit(view, template, room, lib);
    if (!isScreen) box.style.setProperty("height", `${height}px`);
    box.style.setProperty("overflow-y", height > box.clientHeight ? "auto" : "hidden");
    const font = { size, family: getComputedStyle(box).fontFamily };
    const look = { width, height, font, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" };
    const margin = { ...layout.margin, t: layout.showlegend ? size * 2.2 : 8 };
    await plotly.react(box, data, { ...layout, ...look, margin }, template.config);
  };
  const queue = () => {
    if (queued) return;
    queued = true;
    requestAnimationFrame(draw); // a hidden tab has no frames: it draws once, when it is looked at again
  };
  const observer = new ResizeObserver(queue);
  observer.observe(box);
  return {
    box,
    show(next) {
      const key = JSON.stringify([next.definition, next.tally]);
      if (view && key === shown) return; // somebody said something in the chat, and the like
      shown = key;
      view = next;
      lib.attr(box, { "aria-label": spoken(next, lib) });
      queue();
    },
    remove() {
      view = null;
      observer.disconnect();
      plotly?.purge(box);
    },
  };
}

/** The tally as a sentence, the most chosen first. */
function spoken({ definition, tally }, lib) {
  if (!tally.counts) return "";
  const rows = definition.options.map((o) => [tally.counts[o.id] ?? 0, lib.plain(o.math, o.text)]);
  const said = rows.sort((a, b) => b[0] - a[0]).map(([n, text]) => `${text}: ${n}, ${lib.percent(n, tally.answered)}`);
  return `Result: ${said.join("; ")}.`;
}
