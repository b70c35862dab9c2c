(function () {
  const colours = ["#0060b0", "#c04000", "#208040", "#8040a0", "#a08000", "#008090", "#d03080", "#606060"];
  const pages = document.getElementById("charts");
  const short = v => {
    if (v == null) return "";
    const size = Math.abs(v);
    if (size >= 1e6) return (v / 1e6).toLocaleString("en", { maximumFractionDigits: 2 }) + "M";
    if (size >= 1e4) return (v / 1e3).toLocaleString("en", { maximumFractionDigits: 1 }) + "k";
    if (size > 0 && size < 1e-3) return v.toExponential(1);
    return v.toLocaleString("en", { maximumSignificantDigits: 4 });
  };
  for (const chart of JSON.parse(document.getElementById("data").textContent)) {
    const element = document.createElement("div");
    element.className = "chart";
    pages.appendChild(element);
    const format = v => (v == null ? "" : short(v) + (chart.unit || ""));
    const options = {
      title: chart.title,
      width: Math.max(240, element.clientWidth),
      height: 270,
      scales: { x: { time: false }, y: chart.fromZero ? { range: (u, low, high) => [0, high > 0 ? high * 1.05 : 1] } : {} },
      axes: [
        { label: chart.x, labelSize: 22, values: (u, splits) => splits.map(short), space: 60 },
        { size: 64, values: (u, splits) => splits.map(format), space: 32 },
      ],
      series: [{ label: chart.x, value: (u, v) => short(v) }].concat(
        chart.series.map((series, k) => ({
          label: series.name,
          stroke: colours[(series.colour === undefined ? k : series.colour) % colours.length],
          width: series.thin ? 1 : 2,
          dash: series.thin ? [4, 3] : undefined,
          spanGaps: true,
          points: { show: chart.xs.length < 40 },
          value: (u, v) => format(v),
        }))
      ),
      cursor: { drag: { x: true, y: false } },
    };
    const plot = new uPlot(options, [chart.xs].concat(chart.series.map(series => series.values)), element);
    new ResizeObserver(() => plot.setSize({ width: Math.max(240, element.clientWidth), height: 270 })).observe(element);
  }
})();
