// plotly.js, once a page, and only where a chart is drawn: fifty times the size of all the rest, it is no phone's
// business. No import.

const PLOTLY = Symbol.for("wslive.plotly.1");

/** `load`, called once a page, however many ask; after a failure the next chart tries again. */
export function once(load) {
  return () => {
    globalThis[PLOTLY] ??= load().catch((error) => {
      globalThis[PLOTLY] = null;
      throw error;
    });
    return globalThis[PLOTLY];
  };
}

/** By a script element: pages of ours, whose policy runs our files and no strings. */
export function byScript(url) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(globalThis.Plotly);
    script.onerror = () => reject(new Error("plotly.js could not be loaded"));
    document.head.append(script);
  });
}

/**
 * By its source: pages of a notebook, where a global `define` or `Plotly` may be somebody else's.
 *
 * @param sources functions that resolve to it, the best one first
 */
export async function bySource(sources) {
  for (const source of sources) {
    try {
      const code = await source();
      const module = { exports: {} };
      new Function("module", "exports", "define", code)(module, module.exports, undefined);
      return module.exports;
    } catch (error) {
      console.warn("wslive: plotly.js from another place:", error.message);
    }
  }
  throw new Error("plotly.js could not be loaded");
}

/** What lies at an address, if it has that sum (of SHA-256, in base64): the server may be somebody else's. */
export async function fetched(url, sum) {
  const response = await fetch(url, { integrity: `sha256-${sum}` });
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.text();
}
