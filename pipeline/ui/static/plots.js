// Draws the plots of a page with uPlot, in the colours of the page. The values are in the page, in a table below each plot.
const styles = () => getComputedStyle(document.documentElement);
const drawn = new Map();
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8];

const heightOf = (box) => (box.closest(".small") ? 165 : 225); // the legend below takes what it needs

function options(plot, box) {
  const style = styles();
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = (label, extra) => ({
    label: label || undefined, labelSize: 16, labelFont: "11px Inter, sans-serif", font: "11px Inter, sans-serif", labelGap: 2,
    stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, ...extra,
  });
  const whole = plot.x.every(Number.isInteger);
  const range = plot.unit ? [-0.02, 1.02] : undefined;
  return {
    width: box.clientWidth, height: heightOf(box), cursor: { y: false, points: { size: 6 } }, legend: { live: true },
    scales: { x: { time: false, ...(range && { range }) }, y: { ...(range && { range }) } },
    axes: [axis(plot.x_name, { size: 30, ...(whole && { incrs: WHOLE }) }), axis(plot.y_name, { size: plot.y_name ? 48 : 56 })],
    series: [
      { label: plot.x_name },
      ...plot.lines.map((line, index) => ({
        label: line.name, stroke: line.guide ? colour("--strong-line") : colour(`--plot-${(index % 6) + 1}`), width: line.guide || plot.x.length > 300 ? 1.2 : 2,
        dash: line.guide ? [4, 4] : undefined, spanGaps: true, points: { show: !line.guide && plot.x.length <= 40, size: 5 },
      })),
    ],
  };
}

function draw(box) {
  drawn.get(box)?.destroy();
  drawn.delete(box);
  if (!box.clientWidth) return;
  const plot = JSON.parse(box.dataset.plot);
  drawn.set(box, new uPlot(options(plot, box), [plot.x, ...plot.lines.map((line) => line.values)], box));
}

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const known = drawn.get(target);
    if (!known) draw(target);
    else if (known.width !== target.clientWidth) known.setSize({ width: target.clientWidth, height: heightOf(target) });
  }
});

export function drawAll(root = document) {
  for (const box of drawn.keys()) if (!box.isConnected) drawn.delete(box);
  for (const box of root.querySelectorAll("[data-plot]")) resized.observe(box);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => [...drawn.keys()].forEach(draw));
drawAll();
document.addEventListener("cauce:changed", () => drawAll());
