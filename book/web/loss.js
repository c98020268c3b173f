// The playground of the loss chapter: two Gaussians to drag, seven losses, gradient descent. The coefficients are those of
// vrnn3d.losses.VARIANTS, handed over as `data.variants` when the book is built; here is only the formula they belong to.

/** Values, slopes and gradient flow of the losses; no page needed. */
function vrnn3dLosses(variants) {
  "use strict";

  /** {value, delta, p, q}: a loss and its slopes in mu_p - mu_q, log s_p and log s_q at {mp, sp, mq, sq}. */
  function at(name, { mp, sp, mq, sq }) {
    const { a, b, c, w, mirrored, constant } = variants[name];
    const [mean1, std1, mean2, std2] = mirrored ? [mp, sp, mq, sq] : [mq, sq, mp, sp]; // 1 divides, 2 is divided
    const u = Math.log(std1), v = Math.log(std2), delta = mean2 - mean1;
    const ratio = c * Math.exp(2 * (v - u)), pull = w * (delta / std1) ** 2;
    const slopes = [a - ratio - pull, ratio - b], across = (w * delta) / std1 ** 2;
    return {
      value: a * u - b * v + (ratio + pull) / 2 - 0.5 + constant,
      delta: mirrored ? -across : across,
      p: slopes[mirrored ? 0 : 1],
      q: slopes[mirrored ? 1 : 0],
      stiffness: w / std1 ** 2,
    };
  }

  /**
   * Follow the gradient for `time`; the pair it leads to. What moves are the means and log(s - floor) of "both", of "p" or of
   * "q": as a softplus with a floor moves a deviation that is near the floor.
   *
   * By turns (Strang's splitting): half a step of the deviations by the midpoint rule, one of the means, which has a closed
   * form however stiff it is, and the other half. A step changes no deviation by more than a fiftieth.
   */
  function descend(name, pair, time, { moves = "both", floor = 0 } = {}) {
    const moving = { p: moves !== "q", q: moves !== "p" }, movers = moving.p + moving.q;
    const push = (at) => ({
      p: moving.p ? (-at.p * (at.sp - floor)) / at.sp : 0, // d loss / d log(s - floor) = d loss / d log s (s - floor) / s
      q: moving.q ? (-at.q * (at.sq - floor)) / at.sq : 0,
    });
    const slopes = (now) => push({ ...at(name, now), sp: now.sp, sq: now.sq });
    const widths = (now, by, step) => ({
      ...now,
      sp: floor + (now.sp - floor) * Math.exp(step * by.p),
      sq: floor + (now.sq - floor) * Math.exp(step * by.q),
    });
    const half = (now, step) => widths(now, slopes(widths(now, slopes(now), step / 4)), step / 2);
    const means = (now, step) => {
      const off = (now.mp - now.mq) * -Math.expm1(-movers * at(name, now).stiffness * step);
      return { ...now, mp: now.mp - (moving.p ? off / movers : 0), mq: now.mq + (moving.q ? off / movers : 0) };
    };
    let now = { ...pair };
    for (let left = time; left > 0; ) {
      const { p, q } = slopes(now), step = Math.min(left, 0.02 / Math.max(Math.abs(p), Math.abs(q), 0.2));
      now = half(means(half(now, step), step), step);
      left -= step;
    }
    return now;
  }

  return { at, descend };
}

function vrnn3dLossPage(root, data) {
  "use strict";
  const losses = vrnn3dLosses(data.variants), names = Object.keys(data.variants);
  const LEFT = -4, RIGHT = 4, THIN = 1e-3, LONG = 60;
  const { find, calm, clamp, make } = vrnn3dPage(root);
  const number = (v, digits = 2) => (Math.abs(v) < 0.5 * 10 ** -digits ? 0 : v).toFixed(digits).replace("-", "−");
  const width = (v) => (v >= 0.01 ? v.toFixed(2) : v.toPrecision(1));

  const state = { pair: { ...data.start }, from: { ...data.start }, loss: data.chosen, floor: 0, moves: "both", time: 0, running: false, traces: {} };

  // ---- the four numbers: sliders, and handles in the plot ----------------------------------------------------------

  const LOG = Math.log(10);
  const sliders = [
    ["mp", "p", "mean of the prior p"],
    ["mq", "q", "mean of the posterior q"],
    ["sp", "p", "deviation of the prior p"],
    ["sq", "q", "deviation of the posterior q"],
  ].map(([key, who, words]) => {
    const label = make("label", {}, find(".vl-numbers")), name = make("span", {}, label), log = key[0] === "s";
    make("span", { class: "vl-dot", style: `background:var(--${who})`, "aria-hidden": "true" }, name);
    name.append(words);
    const out = make("output", {}, label);
    const range = log ? { min: -1.5, max: 0.4, step: 0.01 } : { min: -3, max: 3, step: 0.05 }; // of log10
    const input = make("input", { type: "range", ...range, "aria-label": words }, label);
    input.addEventListener("input", () => put(key, log ? Math.exp(LOG * input.value) : Number(input.value)));
    return { key, log, input, out };
  });

  /** The reader sets a number: a descent that ran ends, and the next one starts here. */
  function put(key, value) {
    stop();
    state.pair = { ...state.pair, [key]: key[0] === "s" ? clamp(value, state.floor + 0.02, 3) : clamp(value, -3, 3) };
    restart(state.pair);
  }

  function restart(pair) {
    Object.assign(state, { pair: { ...pair }, from: { ...pair }, time: 0, traces: {} });
    draw();
  }

  const plot = make("svg:svg", {}, find(".vl-plot"));
  const parts = {};
  for (const who of ["p", "q"]) {
    const colour = `var(--${who})`;
    parts[who] = { curve: make("svg:path", { class: "vl-curve", stroke: colour, fill: colour }, plot), name: make("svg:text", { text: who, "text-anchor": "middle" }, plot) };
  }
  const axis = make("svg:g", {}, plot);
  for (const who of ["p", "q"]) {
    for (const kind of ["m", "s"]) {
      const push = make("svg:g", { class: "vl-push", stroke: `var(--${who})`, fill: `var(--${who})` }, plot);
      const dot = make("svg:circle", { class: "vl-handle", r: 7, fill: `var(--${who})` }, plot);
      const room = make("svg:circle", { class: "vl-room", r: 17 }, plot);
      parts[kind + who] = { push, dot, room };
      room.addEventListener("pointerdown", (event) => grab(event, kind + who, room));
    }
  }
  let scale = { x: (v) => v, back: (v) => v };

  function grab(event, key, room) {
    event.preventDefault();
    room.setPointerCapture(event.pointerId);
    const offset = scale.back(event.clientX) - (key[0] === "m" ? state.pair[key] : state.pair[`m${key[1]}`] + state.pair[key]);
    const moved = (e) => {
      const at = scale.back(e.clientX) - offset;
      put(key, key[0] === "m" ? at : at - state.pair[`m${key[1]}`]);
    };
    const end = () => {
      for (const kind of ["pointerup", "pointercancel"]) room.removeEventListener(kind, end);
      room.removeEventListener("pointermove", moved);
    };
    room.addEventListener("pointermove", moved);
    for (const kind of ["pointerup", "pointercancel"]) room.addEventListener(kind, end);
  }

  const density = (x, mean, std) => Math.exp(-(((x - mean) / std) ** 2) / 2) / (std * Math.sqrt(2 * Math.PI));

  function drawPlot() {
    const box = find(".vl-plot"), wide = box.clientWidth || 600, tall = 230, floor = tall - 22, pair = state.pair;
    plot.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
    const most = 1.15 * Math.max(0.6, density(0, 0, pair.sp), density(0, 0, pair.sq));
    const x = (v) => ((v - LEFT) / (RIGHT - LEFT)) * wide, y = (v) => floor - (v / most) * (floor - 14);
    scale = { x, back: (client) => LEFT + ((client - plot.getBoundingClientRect().left) / wide) * (RIGHT - LEFT) };
    axis.replaceChildren(make("svg:line", { x1: 0, x2: wide, y1: floor, y2: floor, stroke: "currentColor", opacity: 0.5 }));
    for (let v = LEFT + 1; v < RIGHT; v++) make("svg:text", { x: x(v), y: tall - 4, "text-anchor": "middle", text: number(v, 0) }, axis);
    const slopes = losses.at(state.loss, pair);
    for (const who of ["p", "q"]) {
      const mean = pair[`m${who}`], std = pair[`s${who}`], points = [];
      for (let k = -100; k <= 100; k++) points.push(`${x(mean + (k / 25) * std).toFixed(1)},${y(density((k / 25) * std, 0, std)).toFixed(1)}`);
      parts[who].curve.setAttribute("d", `M${x(LEFT)},${floor}L${x(clamp(mean - 4 * std, LEFT, RIGHT))},${floor}L${points.join("L")}L${x(RIGHT)},${floor}`);
      const peak = density(0, 0, std);
      parts[who].name.setAttribute("x", x(mean) + (who === "p" ? -14 : 14)); // apart, where both peaks are at one place
      parts[who].name.setAttribute("y", y(peak) - 10);
      const sign = who === "p" ? 1 : -1;
      pushed(`m${who}`, x(mean), y(peak), -sign * slopes.delta);
      pushed(`s${who}`, x(mean + std), y(density(std, 0, std)), -slopes[who]);
    }
  }

  /** A handle, and the arrow of descent on it: its length grows with the slope, up to a limit. */
  function pushed(key, cx, cy, force) {
    const { push, dot, room } = parts[key];
    for (const circle of [dot, room]) Object.entries({ cx, cy }).forEach(([name, value]) => circle.setAttribute(name, value));
    const moves = state.moves === "both" || state.moves === key[1], sign = Math.sign(force), long = Math.min(80, 15 * Math.log2(1 + Math.abs(force)));
    push.setAttribute("opacity", moves ? 1 : 0.25);
    push.replaceChildren();
    if (long < 2) return;
    const from = cx + 8 * sign, to = from + sign * long;
    make("svg:line", { x1: from, x2: to, y1: cy, y2: cy }, push);
    make("svg:path", { d: `M${to + sign * 8},${cy}L${to - sign * 2},${cy - 6}V${cy + 6}Z`, stroke: "none" }, push);
  }

  // ---- the table ---------------------------------------------------------------------------------------------------

  const rows = names.map((name) => {
    const row = make("tr", {}, find("tbody")), label = make("label", {}, make("td", {}, row));
    const input = make("input", { type: "radio", name: "vl-loss", value: name }, label);
    make("span", { class: "vl-key", style: `background:${data.variants[name].colour}`, "aria-hidden": "true" }, label);
    label.append(data.variants[name].label);
    input.addEventListener("change", () => {
      stop();
      Object.assign(state, { loss: name, pair: { ...state.from }, time: 0 });
      draw();
    });
    return { name, row, input, cells: [0, 1, 2, 3].map(() => make("td", {}, row)) };
  });

  function drawTable() {
    for (const { name, row, input, cells } of rows) {
      const { value, delta, p, q } = losses.at(name, state.pair);
      [value, delta, p, q].forEach((v, i) => { cells[i].textContent = Math.abs(v) < 1e4 ? number(v) : v.toExponential(0); });
      input.checked = name === state.loss;
      row.classList.toggle("vl-chosen", input.checked);
    }
  }

  // ---- descent -----------------------------------------------------------------------------------------------------

  function told() {
    const { pair, time, loss } = state, { value, delta, p, q } = losses.at(loss, pair);
    const label = data.variants[loss].label, thin = Math.min(pair.sp, pair.sq) < THIN;
    const excess = (who) => 1 - state.floor / pair[`s${who}`];
    const slopes = { both: [delta, p * excess("p"), q * excess("q")], p: [delta, p * excess("p")], q: [delta, q * excess("q")] }[state.moves];
    const still = slopes.every((v) => Math.abs(v) < 2e-3);
    const where = `loss ${number(value, 3)}, σ<sub>p</sub> ${width(pair.sp)}, σ<sub>q</sub> ${width(pair.sq)}`;
    if (!time) return [`${label}: ${where}.`, false];
    if (thin) return [`${label}, time ${time.toFixed(1)}: ${where}. Both go on shrinking and the loss goes on falling, without end.`, true];
    const most = Math.max(...(state.moves === "both" ? ["sp", "sq"] : [`s${state.moves}`]).map((key) => pair[key]));
    if (state.floor && most < state.floor + 0.02) return [`${label}, time ${time.toFixed(1)}: ${where}. Only the floor holds them.`, true];
    if (still) return [`${label}, time ${time.toFixed(1)}: ${where}. It has settled.`, true];
    return [`${label}, time ${time.toFixed(1)}: ${where}.`, time >= LONG];
  }

  function advance(time) {
    if (state.floor) for (const key of ["sp", "sq"]) state.pair[key] = Math.max(state.pair[key], state.floor + 1e-3);
    state.pair = losses.descend(state.loss, state.pair, time, state);
    state.time += time;
    (state.traces[state.loss] ??= []).push([state.time, losses.at(state.loss, state.pair).value]);
  }

  function tick() {
    if (!state.running) return;
    advance(0.06);
    if (told()[1]) stop();
    draw();
    if (state.running) requestAnimationFrame(tick);
  }

  function run() {
    if (told()[1] || !state.time) {
      Object.assign(state, { pair: { ...state.from }, time: 0 });
      state.traces[state.loss] = [[0, losses.at(state.loss, state.pair).value]];
    }
    if (calm) {
      do advance(0.06); while (!told()[1]);
      return draw();
    }
    state.running = true;
    draw();
    requestAnimationFrame(tick);
  }

  function stop() { state.running = false; }

  find(".vl-run").addEventListener("click", () => {
    if (!state.running) return run();
    stop();
    draw();
  });
  find(".vl-back").addEventListener("click", () => {
    stop();
    restart(data.start);
  });
  for (const input of root.querySelectorAll("[name=vl-floor], [name=vl-moves]")) {
    input.addEventListener("change", () => {
      stop();
      if (input.name === "vl-floor") state.floor = Number(input.value);
      else state.moves = input.value;
      restart(state.floor ? { ...state.from, sp: Math.max(state.from.sp, state.floor + 0.02), sq: Math.max(state.from.sq, state.floor + 0.02) } : state.from);
    });
  }

  function drawTrace() {
    const box = find(".vl-trace"), wide = box.clientWidth || 600, tall = 150, [left, right, top, bottom] = [40, 10, 8, 30];
    const lines = Object.entries(state.traces).filter(([, points]) => points.length > 1);
    const all = lines.flatMap(([, points]) => points), values = all.map(([, v]) => v);
    const until = Math.max(6, ...all.map(([t]) => t)), low = Math.min(-1, ...values), high = Math.max(1, ...values);
    const x = (t) => left + (t / until) * (wide - left - right), y = (v) => tall - bottom - ((v - low) / (high - low)) * (tall - top - bottom);
    const svg = make("svg:svg", { viewBox: `0 0 ${wide} ${tall}`, fill: "none" });
    if (!lines.length) {
      make("svg:text", { x: wide / 2, y: tall / 2, "text-anchor": "middle", opacity: 0.7, text: "the loss over the time of the descent" }, svg);
      return box.replaceChildren(svg);
    }
    for (const v of [low, 0, high]) {
      make("svg:line", { x1: left, x2: wide - right, y1: y(v), y2: y(v), stroke: "currentColor", opacity: v ? 0.15 : 0.5 }, svg);
      if (!v || Math.abs(y(v) - y(0)) > 12) make("svg:text", { x: left - 6, y: y(v) + 4, "text-anchor": "end", text: number(v, 1) }, svg);
    }
    make("svg:text", { x: wide - right, y: tall - 12, "text-anchor": "end", text: `time ${until.toFixed(0)}` }, svg);
    make("svg:text", { x: left, y: tall - 12, text: "loss over the time of the descent" }, svg);
    for (const [name, points] of lines) {
      const chosen = name === state.loss, path = points.map(([t, v]) => `${x(t).toFixed(1)},${y(v).toFixed(1)}`).join(" ");
      make("svg:polyline", { points: path, stroke: data.variants[name].colour, "stroke-width": chosen ? 3 : 1.5, opacity: chosen ? 1 : 0.7 }, svg);
    }
    box.replaceChildren(svg);
  }

  function draw() {
    for (const { key, log, input, out } of sliders) {
      const value = state.pair[key];
      input.value = log ? Math.log(value) / LOG : value;
      out.textContent = log ? width(value) : number(value);
      input.setAttribute("aria-valuetext", out.textContent);
    }
    find(".vl-run").textContent = state.running ? "Pause" : "Run gradient descent";
    const now = find(".vl-now");
    now.setAttribute("aria-live", state.running ? "off" : "polite"); // a screen reader is told the end, not every step
    now.innerHTML = told()[0];
    drawPlot();
    drawTable();
    drawTrace();
  }

  root.hidden = false;
  draw();
  new ResizeObserver(draw).observe(find(".vl-plot"));
  root.vrnn3d = { state, losses, run, stop };
}
