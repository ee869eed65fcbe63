// A poll's tally as Plotly data: the twin of chart.py's fill(); a test compares what both make of the same views.
// Only what draws charts loads this file: the projector and cells. No import.

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
  const chars = Math.floor((width_px * 0.94) / Math.max(1, texts.length) / (font_px * rules.char_width));
  if (chars < rules.min_chars && texts.some((text) => [...text].length > chars)) {
    return [texts.map((text) => escape(wrap(text, rules.tilted_chars, 1)[0])), rules.tilt];
  }
  return [texts.map((text) => wrap(text, chars, rules.max_lines).map(escape).join("<br>")), 0];
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
  const [ticktext, tickangle] = labels(texts, width_px, font_px, template.labels);
  const rounds = tally.counts ? [...tally.earlier, tally].slice(-2).reverse() : [];
  const counts = rounds.map((round) => options.map((o) => round.counts[o.id] ?? 0));
  const [top, step] = axisTop(Math.max(0, ...counts.flat()), template);
  const data = rounds.map((round, i) => {
    const shares = counts[i].map((n) => percent(n, round.answered));
    const both = rounds.length === 2;
    return {
      ...template.data[i],
      name: `Round ${tally.earlier.length + 1 - i}`,
      x: options.map((o) => o.text),
      y: counts[i],
      hovertext: texts.map((text, n) => `${escape(text)}: ${counts[i][n]} (${shares[n]})`),
      ...(i === 0 ? { text: counts[i].map((n, k) => `${n}<br>${shares[k]}`) } : {}),
      ...(both ? { width: 0.38, offset: i === 0 ? 0.02 : -0.4 } : { width: 0.64 }),
    };
  });
  const { xaxis, yaxis } = template.layout;
  const layout = {
    ...template.layout,
    showlegend: rounds.length === 2,
    xaxis: { ...xaxis, tickvals: options.map((_, i) => i), ticktext, tickangle, range: [-0.5, options.length - 0.5] },
    yaxis: { ...yaxis, range: [0, top], dtick: step },
  };
  return { data, layout };
}
