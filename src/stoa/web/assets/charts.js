// Draws the charts of a page with uPlot, from what ui.chart wrote into their attributes.
import uPlot from "./uplot.js";

const HEIGHT = 220;
const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4]];
// What stands at the ticks, by the seconds between them; where the year or the day is another, that stands below.
const DAY = "\n{YYYY}-{MM}-{DD}";
const MOMENTS = [
  [31_536_000, "{YYYY}", null, null, null, null, null, null, 1],
  [2_419_200, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
  [86_400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", DAY, null, DAY, null, null, null, 1],
];
const drawn = new Map();

const styled = new Promise((resolve) => {
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = new URL("./uplot.css", import.meta.url);
  sheet.addEventListener("load", resolve);
  sheet.addEventListener("error", resolve);
  document.head.append(sheet);
});

// A canvas takes a colour, not a variable that depends on the scheme.
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function axis(more) {
  return {
    stroke: colour("muted"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line"), width: 1 },
    font: "12px system-ui, sans-serif",
    ...more,
  };
}

function options(chart, width) {
  const names = chart.labels;
  const bars = uPlot.paths.bars({ size: [0.7, 48] });
  const series = chart.series.map((one, index) => ({
    label: one.label,
    stroke: colour(one.tone ?? "accent"),
    width: 2,
    dash: chart.timed ? DASHES[index % DASHES.length] : undefined,
    points: { show: chart.timed && names.length < 40, size: 5 },
    paths: chart.timed ? undefined : bars,
    fill: chart.timed ? undefined : colour(one.tone ?? "accent"),
    value: (_, value) => (value == null ? "–" : `${value.toLocaleString(document.documentElement.lang)}${chart.unit ? ` ${chart.unit}` : ""}`),
  }));
  const named = { values: (_, splits) => splits.map((at) => names[at] ?? ""), splits: () => names.map((_, at) => at) };
  return {
    width,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), chart.zone),
    scales: {
      x: { time: chart.timed, range: chart.timed ? undefined : [-0.5, names.length - 0.5] },
      y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(1, (high ?? 1) * 1.1)] },
    },
    axes: [axis(chart.timed ? { values: MOMENTS } : named), axis({ size: 56 })],
    series: [chart.timed ? { label: chart.axis, value: "{YYYY}-{MM}-{DD} {HH}:{mm}" } : { label: chart.axis, value: (_, at) => names[at] ?? "–" }, ...series],
    cursor: { drag: { x: false, y: false } },
  };
}

function drawOne(figure) {
  const area = figure.querySelector(".chart-area");
  const chart = JSON.parse(figure.dataset.chart);
  const at = chart.timed ? chart.labels : chart.labels.map((_, index) => index);
  drawn.get(figure)?.destroy();
  drawn.set(figure, new uPlot(options(chart, area.clientWidth), [at, ...chart.series.map((one) => one.values)], area));
}

const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    drawn.get(target.closest("[data-chart]"))?.setSize({ width: target.clientWidth, height: HEIGHT });
  }
});

/** Draws every chart of the scope that is not drawn yet. */
export async function draw(scope) {
  await styled;
  for (const figure of scope.querySelectorAll("[data-chart]")) {
    if (!drawn.has(figure)) {
      drawOne(figure);
      widths.observe(figure.querySelector(".chart-area"));
    }
  }
}

function redraw() {
  for (const figure of [...drawn.keys()]) {
    if (figure.isConnected) {
      drawOne(figure);
    } else {
      drawn.get(figure).destroy();
      drawn.delete(figure);
    }
  }
}

document.addEventListener("stoa:theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
