// Makes a page's figures answer. A figure has its numbers beside its picture; this draws them in the picture's place.
// Pointing, tapping and the arrow keys read values, dragging zooms, the buttons of the legend switch series on and off.
// It loads nothing. If anything goes wrong, the picture stays.
"use strict";
(() => {
  const EDGE = { left: 58, right: 8, top: 6, bottom: 40 }; // pixels around what is drawn
  const REACH = 12; // pixels: a series without a point so near to the one that is read says nothing
  const ROWS = 12; // most that are read at once
  const DASHES = { "-": "none", "--": "7 3", "-.": "7 3 1.5 3", ":": "1.5 3" };

  const holder = document.createElement("div");
  holder.innerHTML = "<svg></svg>";
  const SVG = holder.firstChild.namespaceURI; // its name is an address, and the page names none

  function add(parent, name, attributes = {}, text = "") {
    const made = document.createElementNS(name === "svg" ? SVG : parent.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return parent.appendChild(made);
  }

  // ---- numbers ------------------------------------------------------------------------------------------------------

  function told(value) { // all the digits that the page has
    return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e15 ? value.toLocaleString("en", { maximumFractionDigits: 10 })
      : String(value);
  }

  function ticks(low, high, most) {
    const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough) || 10 * power;
    const first = Math.ceil(low / step - 1e-9), count = Math.floor(high / step + 1e-9) - first + 1;
    const values = Array.from({ length: Math.max(0, count) }, (_, k) => Number(((first + k) * step).toPrecision(12)));
    const largest = Math.max(...values.map(Math.abs));
    const [size, unit] = [[1e9, "G"], [1e6, "M"], [1e4, "k"], [0, ""]].find(([least]) => largest >= least);
    const part = { G: 1e9, M: 1e6, k: 1e3, "": 1 }[unit];
    return values.map((value) => [value, value ? Number((value / part).toPrecision(6)) + unit : "0"]);
  }

  function ends(values, room) { // the least and the greatest with some room, or some around the only one
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) return [0, 1];
    const more = low === high ? Math.abs(low) / 2 || 0.5 : (high - low) * room;
    return [low - more, high + more];
  }

  function nearest(series, x) { // the place of the measured point that is nearest
    const { known, xs } = series;
    let low = 0, high = known.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (xs[known[middle]] < x) low = middle + 1;
      else high = middle;
    }
    if (low > 0 && x - xs[known[low - 1]] <= xs[known[low]] - x) low -= 1;
    return known[low];
  }

  // ---- shapes -------------------------------------------------------------------------------------------------------

  function pieces(series, values) { // places of measured neighbours
    const found = [[]];
    values.forEach((value, k) => {
      if (value === null) found.push([]);
      else found[found.length - 1].push(k);
    });
    return found.filter((piece) => piece.length);
  }

  function drawLine(parent, series, scale) {
    const at = (k) => `${scale.x(series.xs[k]).toFixed(1)} ${scale.y(series.y[k]).toFixed(1)}`;
    const parts = series.dots ? series.known.map((k) => [k]) : pieces(series, series.y);
    const joined = parts.filter((piece) => piece.length > 1), alone = parts.filter((piece) => piece.length === 1);
    const look = { fill: "none", stroke: series.colour, "stroke-opacity": series.opacity, "stroke-linejoin": "round" };
    add(parent, "path", {
      ...look, "stroke-width": series.width, "stroke-dasharray": DASHES[series.dashes],
      d: joined.map((piece) => "M" + piece.map(at).join("L")).join(""),
    });
    // A line of no length with round ends is a dot.
    const d = alone.map(([k]) => `M${at(k)}h0`).join("");
    add(parent, "path", { ...look, "stroke-width": Math.max(4.5, series.width), "stroke-linecap": "round", d });
  }

  function drawBand(parent, series, scale) {
    const side = (values) => (k) => `${scale.x(series.xs[k]).toFixed(1)} ${scale.y(values[k]).toFixed(1)}`;
    const d = pieces(series, series.low).map((piece) =>
      `M${piece.map(side(series.low)).join("L")}L${[...piece].reverse().map(side(series.high)).join("L")}Z`).join("");
    add(parent, "path", { d, fill: series.colour, "fill-opacity": 0.17 });
  }

  function drawAxes(svg, plot, scale) {
    const { left, top } = EDGE, { width, height } = scale;
    for (const [value, text] of ticks(...scale.domain, Math.max(2, width / 80))) {
      const x = left + scale.x(value);
      add(svg, "line", { x1: x, x2: x, y1: top, y2: top + height, class: "grid" });
      add(svg, "text", { x, y: top + height + 15, "text-anchor": "middle" }, text);
    }
    for (const [value, text] of ticks(...scale.range, Math.max(2, height / 36))) {
      const y = top + scale.y(value);
      add(svg, "line", { x1: left, x2: left + width, y1: y, y2: y, class: "grid" });
      add(svg, "text", { x: left - 6, y: y + 4, "text-anchor": "end" }, text);
    }
    add(svg, "text", { x: left + width / 2, y: top + height + 33, "text-anchor": "middle" }, plot.x_label);
    const turned = `rotate(-90 12 ${top + height / 2})`;
    add(svg, "text", { x: 12, y: top + height / 2, transform: turned, "text-anchor": "middle" }, plot.y_label);
  }

  function drawLevels(parent, plot, scale) {
    for (const { name, value, colour, dashes } of plot.levels) {
      const y = scale.y(value);
      if (y < 0 || y > scale.height) continue;
      const look = { stroke: colour, "stroke-width": 1.2, "stroke-dasharray": DASHES[dashes] };
      add(parent, "line", { x1: 0, x2: scale.width, y1: y, y2: y, ...look });
      const below = y < 14 ? y + 13 : y - 4;
      add(parent, "text", { x: scale.width - 4, y: below, "text-anchor": "end", class: "level" }, name);
    }
  }

  // ---- a panel ------------------------------------------------------------------------------------------------------

  class Panel {
    constructor(box, plot, off) {
      Object.assign(this, { plot, off, view: null, at: null, from: null });
      const panel = add(box, "div", { class: "panel" });
      const head = add(panel, "div", { class: "head" });
      add(head, "strong", {}, plot.title);
      this.whole = add(head, "button", { type: "button" }, "whole range");
      this.whole.addEventListener("click", () => this.zoom(null));
      this.frame = add(panel, "div", { class: "plot", tabindex: 0, role: "slider" });
      const keys = "Arrow keys read values, plus and minus zoom, Escape shows the whole range.";
      this.frame.setAttribute("aria-label", `${plot.title || plot.y_label} against ${plot.x_label}. ${keys}`);
      this.svg = add(this.frame, "svg");
      this.tip = add(this.frame, "div", { class: "tip" });
      this.listen();
    }

    draw() {
      const { plot, svg, frame } = this, { left, top } = EDGE;
      this.shown = plot.series.filter((series) => !series.keys.some((key) => this.off.has(key)));
      this.whole.hidden = this.view === null;
      this.scale = this.scaled(frame.clientWidth - left - EDGE.right, frame.clientHeight - top - EDGE.bottom);
      const { width, height } = this.scale;
      svg.replaceChildren();
      drawAxes(svg, plot, this.scale);
      const inner = add(svg, "svg", { x: left, y: top, width, height }); // cuts off what is outside
      for (const series of this.shown) if (series.low) drawBand(inner, series, this.scale);
      for (const series of this.shown) drawLine(inner, series, this.scale);
      drawLevels(inner, plot, this.scale);
      this.layer = add(inner, "g");
      this.points = [...new Set(this.shown.flatMap((series) => series.known.map((k) => series.xs[k])))]
        .filter((x) => this.inView(x)).sort((a, b) => a - b);
      this.frame.setAttribute("aria-valuemin", this.scale.domain[0]);
      this.frame.setAttribute("aria-valuemax", this.scale.domain[1]);
      this.read(this.at);
    }

    inView(x) {
      return x >= this.scale.domain[0] && x <= this.scale.domain[1];
    }

    scaled(width, height) {
      const { plot, shown } = this;
      const domain = this.view || this.all();
      const seen = this.view ? [] : plot.levels.map((level) => level.value);
      for (const { xs, y, low, high, known } of shown) {
        for (const k of known) {
          if (xs[k] < domain[0] || xs[k] > domain[1]) continue;
          seen.push(y[k]);
          if (low && low[k] !== null) seen.push(low[k], high[k]);
        }
      }
      let [bottom, top] = ends(seen, 0.05);
      if (plot.bottom !== null && plot.bottom < top) bottom = plot.bottom;
      if (plot.top !== null && bottom < plot.top) top = plot.top;
      return {
        width, height, domain, range: [bottom, top],
        x: (value) => ((value - domain[0]) / (domain[1] - domain[0])) * width,
        y: (value) => height - ((value - bottom) / (top - bottom)) * height,
        value: (x) => domain[0] + (x / width) * (domain[1] - domain[0]),
      };
    }

    all() { // steps of all that is measured
      return ends(this.plot.series.flatMap((series) => series.known.map((k) => series.xs[k])), 0.02);
    }

    zoom(view) { // to a part of the steps, or to null, the whole
      const [low, high] = this.all(), wide = view ? (view[1] - view[0]) / (high - low) : 1;
      if (wide > 1e-6) this.view = wide < 1 ? view : null;
      this.draw();
    }

    // ---- reading

    read(x) { // at a step, or null: nowhere
      this.at = x === null || !this.shown.length || !this.inView(x) ? null : x;
      this.layer.replaceChildren();
      this.tip.replaceChildren();
      this.tip.hidden = this.at === null;
      if (this.at === null) return this.say("nothing is read", this.scale.domain[0]);
      const { scale, layer } = this, place = scale.x(x);
      add(layer, "line", { x1: place, x2: place, y1: 0, y2: scale.height, class: "cross" });
      const near = this.shown.filter((series) => series.known.length)
        .map((series) => ({ series, k: nearest(series, x) }))
        .filter(({ series, k }) => Math.abs(scale.x(series.xs[k]) - place) <= REACH);
      for (const { series, k } of near) {
        const look = { cx: scale.x(series.xs[k]), cy: scale.y(series.y[k]), r: 4, fill: series.colour };
        add(layer, "circle", { ...look, stroke: "#ffffff" });
      }
      this.write(near, x);
      this.tip.classList.toggle("right", place < scale.width / 2); // in the other half
      return this.say([...this.tip.children].map((line) => line.textContent).join("; "), x);
    }

    write(near, x) {
      add(this.tip, "b", {}, `${this.plot.x_label} ${told(x)}`);
      for (const { series, k } of near.slice(0, ROWS)) {
        const line = add(this.tip, "div");
        add(line, "i", { style: `background: ${series.colour}` });
        const band = series.low && series.low[k] !== null ? ` (${told(series.low[k])} to ${told(series.high[k])})` : "";
        const where = series.xs[k] === x ? "" : ` at ${told(series.xs[k])}`;
        add(line, "span", {}, `${series.name}: ${told(series.y[k])}${band}${where}`);
      }
      if (near.length > ROWS) add(this.tip, "div", {}, `and ${near.length - ROWS} more: switch some off to see them`);
    }

    say(text, now) {
      this.frame.setAttribute("aria-valuetext", text);
      this.frame.setAttribute("aria-valuenow", now);
    }

    nearestTo(event) { // the step of a point of any series
      const x = this.scale.value(this.place(event));
      let best = null;
      for (const series of this.shown) {
        const near = series.known.length ? series.xs[nearest(series, x)] : null;
        if (near === null || !this.inView(near)) continue;
        if (best === null || Math.abs(near - x) < Math.abs(best - x)) best = near;
      }
      return best;
    }

    place(event) { // pixels from the left end of the axis
      const x = event.clientX - this.frame.getBoundingClientRect().left - EDGE.left;
      return Math.min(this.scale.width, Math.max(0, x));
    }

    // ---- what the reader does

    listen() {
      const { frame } = this, on = (name, act) => frame.addEventListener(name, act);
      on("pointerdown", (event) => {
        if (event.pointerType === "touch") this.read(this.nearestTo(event));
        else if (event.button === 0) this.from = this.place(event);
      });
      on("pointermove", (event) => {
        if (this.from !== null && event.buttons & 1) this.mark(this.from, this.place(event));
        else this.read(this.nearestTo(event));
      });
      on("pointerup", (event) => this.release(this.place(event)));
      on("pointercancel", () => { this.from = null; });
      on("pointerleave", (event) => {
        if (event.pointerType === "touch") return;
        if (this.from !== null && event.buttons & 1) this.release(this.place(event));
        this.read(null);
      });
      on("dblclick", () => this.zoom(null));
      on("focusout", () => this.read(null));
      on("keydown", (event) => {
        if (!event.ctrlKey && !event.metaKey && !event.altKey && this.key(event.key)) event.preventDefault();
      });
    }

    mark(from, to) { // what a drag would zoom to
      this.layer.replaceChildren();
      this.tip.hidden = true;
      const look = { y: 0, height: this.scale.height, class: "marked" };
      add(this.layer, "rect", { x: Math.min(from, to), width: Math.abs(to - from), ...look });
    }

    release(to) {
      const from = this.from;
      this.from = null;
      if (from === null || Math.abs(to - from) < 6) return;
      this.zoom([Math.min(from, to), Math.max(from, to)].map(this.scale.value));
    }

    key(name) { // whether it was one of ours
      const { points, at } = this, here = at === null ? -1 : points.indexOf(at);
      const steps = { ArrowRight: here + 1, ArrowLeft: at === null ? points.length - 1 : here - 1 };
      const ways = { ...steps, Home: 0, End: points.length - 1, PageUp: here + 10, PageDown: here - 10 };
      if (name in ways && points.length) this.read(points[Math.min(points.length - 1, Math.max(0, ways[name]))]);
      else if (name === "+" || name === "-") this.closer(name === "+" ? 0.5 : 2);
      else if (name === "Escape") this.zoom(null);
      else return name in ways;
      return true;
    }

    closer(times) {
      const [from, to] = this.scale.domain, middle = this.at === null ? (from + to) / 2 : this.at;
      this.zoom([middle - (middle - from) * times, middle + (to - middle) * times]);
    }
  }

  // ---- a figure -----------------------------------------------------------------------------------------------------

  function legend(box, chart, off, changed) {
    const line = add(box, "div", { class: "legend", role: "group", "aria-label": "series: switch on and off" });
    chart.keys.forEach((key, number) => {
      const button = add(line, "button", { type: "button", "aria-pressed": true });
      const svg = add(button, "svg", { width: 26, height: 10, "aria-hidden": true });
      const strong = Math.max(0.75, key.opacity); // to be seen, being so short
      const look = { stroke: key.colour, "stroke-opacity": strong, "stroke-dasharray": DASHES[key.dashes] };
      if (key.dots) add(svg, "circle", { cx: 13, cy: 5, r: 4, fill: key.colour });
      else add(svg, "line", { x1: 1, x2: 25, y1: 5, y2: 5, "stroke-width": key.width, ...look });
      add(button, "span", {}, key.name);
      button.addEventListener("click", () => {
        if (!off.delete(number)) off.add(number);
        button.setAttribute("aria-pressed", !off.has(number));
        changed();
      });
    });
  }

  function enliven(figure, data) {
    const chart = JSON.parse(data.textContent), off = new Set();
    for (const series of chart.plots.flatMap((plot) => plot.series)) {
      series.xs = chart.xs[series.x];
      series.known = [...series.y.keys()].filter((k) => series.y[k] !== null);
    }
    const box = document.createElement("div");
    figure.insertBefore(box, figure.querySelector("figcaption") || data);
    box.className = "chart";
    const grid = add(box, "div", { class: `panels ${chart.columns > 1 ? "several" : "one"}` });
    const panels = chart.plots.map((plot) => new Panel(grid, plot, off));
    const draw = () => panels.forEach((panel) => panel.draw());
    if (chart.keys.length > 1) legend(box, chart, off, draw);
    figure.classList.add("live");
    try {
      draw();
    } catch (error) {
      figure.classList.remove("live");
      box.remove();
      throw error;
    }
    let width = grid.clientWidth;
    new ResizeObserver(() => {
      if (grid.clientWidth && grid.clientWidth !== width) draw();
      width = grid.clientWidth;
    }).observe(grid);
  }

  for (const data of document.querySelectorAll("figure > script")) enliven(data.parentElement, data);
})();
