// The page "Try it": a scene that the reader arranges, and the model's continuations of it beside what really happens.
// Numbers are scene.js's and engine.js's; this file is the page. `data` is what book/_ext/playground.py gathers.
function vrnn3dTry(root, data) {
  "use strict";
  const SAMPLES = 3, PERIOD = 125, REACH = 3, FASTEST = 3; // samples drawn; ms a frame; frames an arrow reaches; pixels a frame
  const world = vrnn3dScene(data), { size, side, free, context, length } = world;
  const { find, calm, clamp, make } = vrnn3dPage(root);

  // ---- state: the scene, and what follows from it ------------------------------------------------------------------

  const bytes = Uint8Array.from(atob(data.sprite), (c) => c.charCodeAt(0));
  const sprites = data.labels.map((label, i) => ({ label, pixels: bytes.subarray(i * side * side, (i + 1) * side * side) }));
  const state = { digits: [], chosen: 0, frame: 0, playing: false, scale: 1, seed: 1, model: null, strokes: [] };
  let truth = [], base = { black: [], last: [] }, samples = [], question = 0;

  const digit = (sprite, motion) => ({ ...motion, pixels: sprites[sprite].pixels, sprite, name: `a ${sprites[sprite].label}` });
  const chosen = () => state.digits[state.chosen];
  /** Whether the model has no latent, and so one prediction and no samples. */
  const single = () => state.model?.latent === false;
  /** How many samples are drawn. */
  const drawn = () => (single() ? 1 : SAMPLES);

  function randomScene() {
    const one = () => {
      const angle = 2 * Math.PI * Math.random(), speed = data.low + (data.high - data.low) * Math.random();
      const motion = { y: free * Math.random(), x: free * Math.random(), vy: speed * Math.sin(angle), vx: speed * Math.cos(angle) };
      return digit(Math.floor(sprites.length * Math.random()), motion);
    };
    return Array.from({ length: data.digits }, one);
  }

  /** The scene has changed: everything that shows it follows, and the model is asked anew. */
  function changed() {
    truth = world.frames(state.digits);
    base = world.baselines(truth);
    drawStage();
    drawPalette();
    ask();
  }

  // ---- the model, in a worker --------------------------------------------------------------------------------------

  function connect(answer) {
    const source = `${vrnn3dEngine}\nconst ask = vrnn3dEngine().serve((m) => postMessage(m)); onmessage = (e) => ask(e.data);`;
    try {
      const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
      worker.onmessage = (event) => answer(event.data);
      worker.onerror = (event) => say(`The model has stopped: ${event.message}`);
      return (message) => worker.postMessage(message);
    } catch (error) {
      return vrnn3dEngine().serve(answer); // where workers are forbidden, the page computes by itself
    }
  }

  const say = (text) => { find(".vt-status").textContent = text; };
  let send = null;

  function heard(message) {
    if (message.ready) {
      state.ready = message.ready;
      ask();
    } else if (message.id === question && message.done !== undefined) {
      const count = drawn() * (length - context), seconds = message.done / 1000;
      root.dataset.rate = (count / seconds).toFixed(1);
      say(`${count} frames computed on your processor in ${seconds.toFixed(2)} s: ${Math.round(count / seconds)} frames a second.`);
    } else if (message.id === question) {
      samples[message.sample][message.index - context] = message.frame;
      drawErrors();
      if (state.frame >= context) drawFilm();
    }
  }

  function choose(model) {
    state.model = model;
    state.ready = null;
    tellNoise();
    const loaded = () => send({ model: self.vrnn3dModels[model.name] });
    say(`Loading ${model.label} (${(model.bytes / 1e6).toFixed(1)} MB) ...`);
    if (self.vrnn3dModels?.[model.name]) return loaded();
    const script = make("script", { src: model.file }, document.head);
    script.onload = loaded;
    script.onerror = () => say(`${model.file} cannot be read: build the book again.`);
  }

  let waiting = 0;
  function ask() {
    samples = Array.from({ length: drawn() }, () => []);
    question++;
    show();
    clearTimeout(waiting);
    if (!state.ready) return;
    const id = question, { scale, seed } = state, frames = truth.slice(0, context);
    waiting = setTimeout(() => send({ id, frames, context, length, samples: drawn(), scale, seed }), 60);
  }

  /** The samples' mean at a predicted frame, or undefined while they are computed. */
  function meanFrame(index) {
    const parts = samples.map((sample) => sample[index]);
    return parts.every(Boolean) ? parts[0].map((_, i) => parts.reduce((sum, part) => sum + clamp(part[i], 0, 1), 0) / parts.length) : undefined;
  }

  // ---- the stage ---------------------------------------------------------------------------------------------------

  function paint(canvas, frame, width = size) {
    const height = frame.length / width;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const image = new ImageData(width, height);
    frame.forEach((v, i) => image.data.set([255 * v, 255 * v, 255 * v, 255], 4 * i)); // clamped by the array
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  const stage = find(".vt-stage"), overlay = stage.querySelector("svg");
  const shapes = Array.from({ length: data.digits }, (_, n) => {
    const group = make("svg:g", { class: "vt-digit", tabindex: 0, role: "application", "aria-roledescription": "movable digit" }, overlay);
    const part = (name, kind, more = {}) => make(`svg:${name}`, { class: `vt-${kind}`, ...more }, group);
    const shape = {
      group,
      given: part("polyline", "path", { stroke: "#bbb" }),
      later: part("polyline", "path", { stroke: "var(--predicted)", "stroke-dasharray": "0.1 0.7", "stroke-linecap": "round" }),
      body: part("rect", "body", { width: side, height: side }),
      arrow: part("line", "arrow"),
      tip: part("circle", "tip", { r: 0.9 }),
      room: part("circle", "room", { r: 2.4 }),
    };
    group.addEventListener("keydown", (event) => steer(event, n));
    group.addEventListener("focus", () => select(n));
    shape.body.addEventListener("pointerdown", (event) => move(event, n));
    shape.room.addEventListener("pointerdown", (event) => aim(event, n));
    return shape;
  });

  function drawStage() {
    const first = new Float32Array(size * size);
    for (const d of state.digits) {
      const top = Math.trunc(d.y), left = Math.trunc(d.x);
      d.pixels.forEach((v, i) => {
        const to = (top + Math.floor(i / side)) * size + left + (i % side);
        first[to] = Math.max(first[to], v / 255);
      });
    }
    paint(stage.querySelector("canvas"), first);
    state.digits.forEach((d, n) => {
      const { group, given, later, body, arrow, tip, room } = shapes[n], half = side / 2;
      const centres = [[d.y, d.x], ...world.track(d)].map(([y, x]) => `${x + half},${y + half}`);
      given.setAttribute("points", centres.slice(0, context + 1).join(" "));
      later.setAttribute("points", centres.slice(context).join(" "));
      const set = (element, values) => Object.entries(values).forEach(([key, value]) => element.setAttribute(key, value));
      set(body, { x: d.x, y: d.y });
      const [x1, y1] = [d.x + half, d.y + half], [x2, y2] = [x1 + REACH * d.vx, y1 + REACH * d.vy];
      set(arrow, { x1, y1, x2, y2 });
      for (const circle of [tip, room]) set(circle, { cx: x2, cy: y2 });
      group.classList.toggle("vt-chosen", n === state.chosen);
      const words = `digit ${n + 1}, ${d.name}, at column ${d.x.toFixed(0)}, row ${d.y.toFixed(0)}; a frame takes it ${d.vx.toFixed(1)} to the right and ${d.vy.toFixed(1)} down`;
      group.setAttribute("aria-label", words);
    });
  }

  function select(n) {
    if (n === state.chosen) return;
    state.chosen = n;
    state.strokes = [];
    drawPad();
    drawStage();
    drawPalette();
  }

  function steer(event, n) {
    const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!way) return;
    event.preventDefault();
    if (event.shiftKey) push(n, state.digits[n].vy + 0.25 * way[0], state.digits[n].vx + 0.25 * way[1]);
    else put(n, state.digits[n].y + way[0], state.digits[n].x + way[1]);
    changed();
  }

  const put = (n, y, x) => Object.assign(state.digits[n], { y: clamp(y, 0, free), x: clamp(x, 0, free) });
  function push(n, vy, vx, low = 0, high = FASTEST) {
    const speed = Math.hypot(vy, vx), factor = speed ? clamp(speed, low, high) / speed : 0;
    Object.assign(state.digits[n], { vy: vy * factor, vx: vx * factor });
  }

  /** Where a pointer is on the stage, in pixels of the frame. */
  function at(event) {
    const box = stage.getBoundingClientRect();
    return { y: ((event.clientY - box.top) / box.height) * size, x: ((event.clientX - box.left) / box.width) * size };
  }

  /** Follow a pointer from its press to its release. */
  function follow(event, target, moved, released = () => {}) {
    event.preventDefault();
    target.setPointerCapture(event.pointerId);
    const end = (last) => {
      target.removeEventListener("pointermove", moved);
      target.removeEventListener("pointerup", end);
      target.removeEventListener("pointercancel", end);
      released(last);
    };
    target.addEventListener("pointermove", moved);
    target.addEventListener("pointerup", end);
    target.addEventListener("pointercancel", end);
  }

  function move(event, n) {
    const grip = at(event), { y, x } = state.digits[n];
    let trail = [];
    select(n);
    shapes[n].group.focus({ preventScroll: true });
    const moved = (e) => {
      const now = at(e);
      trail = [...trail, { ...now, time: e.timeStamp }].filter((p) => e.timeStamp - p.time < 100);
      put(n, y + now.y - grip.y, x + now.x - grip.x);
      changed();
    };
    follow(event, shapes[n].body, moved, (e) => {
      const old = trail.find((p) => e.timeStamp - p.time < 100), last = trail.at(-1);
      if (!old || last.time === old.time) return;
      const frames = (last.time - old.time) / PERIOD, [vy, vx] = [(last.y - old.y) / frames, (last.x - old.x) / frames];
      if (Math.hypot(vy, vx) > data.low / 2) push(n, vy, vx, data.low, data.high); // let go while moving: thrown
      changed();
    });
  }

  function aim(event, n) {
    select(n);
    shapes[n].group.focus({ preventScroll: true });
    follow(event, shapes[n].room, (e) => {
      const { y, x } = at(e), d = state.digits[n];
      push(n, (y - d.y - side / 2) / REACH, (x - d.x - side / 2) / REACH);
      changed();
    });
  }

  // ---- digits: chosen or drawn -------------------------------------------------------------------------------------

  const which = Array.from({ length: data.digits }, (_, n) => {
    const label = make("label", {}, find(".vt-which .vp-row"));
    const input = make("input", { type: "radio", name: "vt-which", value: n }, label);
    label.append(` digit ${n + 1}`);
    input.addEventListener("change", () => select(n));
    return input;
  });

  const columns = 10;
  const keys = sprites.map(({ label, pixels }, i) => {
    const button = make("button", { type: "button", "aria-label": `a ${label}, number ${Math.floor(i / columns) + 1}`, tabindex: -1 }, find(".vt-palette"));
    paint(make("canvas", { "aria-hidden": "true" }, button), Float32Array.from(pixels, (v) => v / 255), side);
    button.addEventListener("click", () => {
      Object.assign(chosen(), { pixels, sprite: i, name: `a ${label}` });
      state.strokes = [];
      drawPad();
      changed();
    });
    button.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      keys[i + by]?.focus();
    });
    return button;
  });

  function drawPalette() {
    which.forEach((input, n) => { input.checked = n === state.chosen; });
    keys.forEach((button, i) => button.setAttribute("aria-pressed", i === chosen().sprite));
    const entry = Math.max(0, chosen().sprite); // one stop of the Tab key; arrow keys go on from there
    keys.forEach((button, i) => { button.tabIndex = i === entry ? 0 : -1; });
  }

  const pad = find(".vt-pad canvas");
  function drawPad() {
    const pen = pad.getContext("2d");
    pen.clearRect(0, 0, pad.width, pad.height);
    Object.assign(pen, { strokeStyle: "#fff", lineWidth: 13, lineCap: "round", lineJoin: "round" });
    for (const stroke of state.strokes) {
      pen.beginPath();
      stroke.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : (pen.moveTo(x, y), pen.lineTo(x, y))));
      pen.stroke();
    }
  }

  pad.addEventListener("pointerdown", (event) => {
    const point = (e) => {
      const box = pad.getBoundingClientRect();
      return [((e.clientX - box.left) / box.width) * pad.width, ((e.clientY - box.top) / box.height) * pad.height];
    };
    const stroke = [point(event)];
    state.strokes.push(stroke);
    const redraw = () => {
      drawPad();
      Object.assign(chosen(), { pixels: world.digitOf(state.strokes), sprite: -1, name: "a drawn digit" });
      changed();
    };
    redraw();
    follow(event, pad, (e) => { stroke.push(point(e)); redraw(); });
  });
  find(".vt-clear").addEventListener("click", () => {
    state.strokes = [];
    drawPad();
  });
  find(".vt-again").addEventListener("click", () => {
    Object.assign(state, { digits: randomScene(), strokes: [] });
    drawPad();
    changed();
  });

  // ---- the film ----------------------------------------------------------------------------------------------------

  const names = ["what happens", ...Array.from({ length: SAMPLES }, (_, k) => `sample ${k + 1}`), `mean of ${SAMPLES}`];
  const films = names.map((name) => {
    const figure = make("figure", {}, find(".vt-film"));
    make("figcaption", { text: name }, figure);
    return { figure, name, canvas: make("canvas", { role: "img", "aria-label": name }, figure) };
  });
  /** Without a latent one film has the prediction, and those of further samples and of their mean are put away. */
  function nameFilms() {
    films.forEach(({ figure, name, canvas }, k) => {
      const shown = k === 1 && single() ? "prediction" : name;
      figure.hidden = k > 1 && single();
      figure.querySelector("figcaption").textContent = shown;
      canvas.setAttribute("aria-label", shown);
    });
  }

  function drawFilm() {
    const predicted = state.frame - context;
    films.forEach(({ figure, canvas }, k) => {
      const frame = k === 0 || predicted < 0 ? truth[state.frame] : k <= SAMPLES ? samples[k - 1]?.[predicted] : meanFrame(predicted);
      figure.classList.toggle("vt-predicted", predicted >= 0);
      figure.classList.toggle("vt-waiting", !frame);
      if (frame) paint(canvas, frame);
    });
  }

  function show() {
    const slider = find(".vt-slider"), number = state.frame + 1, kind = state.frame < context ? "given" : "to predict";
    slider.value = number;
    slider.setAttribute("aria-valuetext", `frame ${number}, ${kind}`);
    find(".vt-frame").textContent = `frame ${number}, ${kind}`;
    drawFilm();
    drawErrors();
  }

  let last = 0;
  function tick(now) {
    if (!state.playing) return;
    if (now - last >= PERIOD) {
      last = now;
      state.frame = (state.frame + 1) % length;
      show();
    }
    requestAnimationFrame(tick);
  }
  function play(on) {
    state.playing = on;
    find(".vt-play").textContent = on ? "Pause" : "Play";
    if (on) requestAnimationFrame(tick);
  }
  find(".vt-play").addEventListener("click", () => play(!state.playing));
  find(".vt-slider").addEventListener("input", (event) => {
    play(false);
    state.frame = event.target.value - 1;
    show();
  });

  // ---- errors ------------------------------------------------------------------------------------------------------

  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  /** Rows of the table: [name, error of each predicted frame (undefined while it is computed), look of its line]. */
  function errors() {
    const of = (frames) => Array.from({ length: length - context }, (_, t) => (frames(t) ? world.error(frames(t), truth[context + t]) : undefined));
    const each = samples.map((sample) => of((t) => sample[t]));
    const average = each[0].map((_, t) => (each.every((row) => row[t] !== undefined) ? mean(each.map((row) => row[t])) : undefined));
    return {
      each,
      rows: [
        [single() ? "the prediction" : `a sample (average of ${SAMPLES})`, average, { stroke: "var(--predicted)", "stroke-width": 2.5 }],
        [`the mean of the ${SAMPLES} samples`, of(meanFrame), { stroke: "var(--predicted)", "stroke-width": 2, "stroke-dasharray": "6 4" }],
        ["a black frame", base.black, { stroke: "currentColor", "stroke-width": 1.5, "stroke-dasharray": "2 4" }],
        ["the last given frame, repeated", base.last, { stroke: "currentColor", "stroke-width": 1.5 }],
      ],
    };
  }

  function drawErrors() {
    const { each, rows } = errors(), now = state.frame - context;
    find(".vt-at").textContent = now < 0 ? `frame ${context + 1}` : `frame ${state.frame + 1}`;
    const until = Math.max(0, now), number = (v) => (v === undefined || Number.isNaN(v) ? "..." : v.toFixed(1));
    find(".vt-so-far").textContent = until ? `frames ${context + 1} to ${context + until + 1}` : `so far`;
    const body = find("tbody");
    if (!body.children.length) {
      for (const [, , look] of rows) {
        const row = make("tr", {}, body), cell = make("td", {}, row);
        const key = make("svg:svg", { class: "vt-key", height: 8, "aria-hidden": "true", style: "display:inline-block" }, cell);
        make("svg:line", { x1: 0, x2: 26, y1: 4, y2: 4, ...look }, key);
        make("span", {}, cell);
        make("td", {}, row);
        make("td", {}, row);
      }
    }
    rows.forEach(([name, values], i) => {
      const [label, at, average] = body.children[i].children, seen = values.slice(0, until + 1);
      label.querySelector("span").textContent = name;
      body.children[i].hidden = i === 1 && single(); // the mean of one
      at.textContent = number(values[until]);
      average.textContent = seen.includes(undefined) ? "..." : number(mean(seen));
    });
    drawChart(each, rows, now);
  }

  function drawChart(each, rows, now) {
    const chart = find(".vt-chart"), width = chart.clientWidth || 600, height = 170, [left, right, top, bottom] = [36, 8, 8, 34];
    const all = rows.flatMap(([, values]) => values).filter((v) => v !== undefined);
    const most = 10 * Math.ceil(Math.max(10, ...all) / 10), count = length - context;
    const x = (t) => left + ((width - left - right) * t) / (count - 1), y = (v) => height - bottom - ((height - top - bottom) * Math.min(v, most)) / most;
    const svg = make("svg:svg", { viewBox: `0 0 ${width} ${height}`, width: "100%", height, fill: "none" });
    for (const v of [0, most / 2, most]) {
      make("svg:line", { x1: left, x2: width - right, y1: y(v), y2: y(v), stroke: "var(--line)" }, svg);
      make("svg:text", { x: left - 6, y: y(v) + 4, "text-anchor": "end", text: v }, svg);
    }
    for (let t = 0; t < count; t++) make("svg:text", { x: x(t), y: height - bottom + 16, "text-anchor": "middle", text: context + t + 1 }, svg);
    make("svg:text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle", text: "frame (MSE, summed over its pixels)" }, svg);
    if (now >= 0) make("svg:line", { x1: x(now), x2: x(now), y1: top, y2: height - bottom, stroke: "currentColor", opacity: 0.5 }, svg);
    const line = (values, look) => {
      const points = values.map((v, t) => (v === undefined ? "" : `${x(t)},${y(v)}`)).filter(Boolean);
      make("svg:polyline", { points: points.join(" "), ...look }, svg);
    };
    each.forEach((values) => line(values, { stroke: "var(--predicted)", "stroke-width": 1, opacity: 0.5 }));
    rows.forEach(([, values, look]) => line(values, look));
    chart.replaceChildren(svg);
  }

  // ---- models and noise --------------------------------------------------------------------------------------------

  const noise = find(".vt-noise");
  function tellNoise() {
    nameFilms();
    noise.disabled = find(".vt-seed").disabled = single();
    if (noise.disabled) {
      find(".vt-scale").textContent = "none: this model has no latent";
      return;
    }
    const words = { 0: "the mean, no noise", 1: "as the prior has it" }[state.scale] ?? (state.scale < 1 ? "less than the prior's" : "more than the prior's");
    find(".vt-scale").textContent = `${state.scale.toFixed(1)}: ${words}`;
    noise.setAttribute("aria-valuetext", find(".vt-scale").textContent);
  }
  noise.addEventListener("input", () => {
    state.scale = Number(noise.value);
    tellNoise();
    ask();
  });
  find(".vt-seed").addEventListener("click", () => {
    state.seed = Math.floor(2 ** 31 * Math.random());
    ask();
  });

  function begin() {
    root.hidden = false;
    state.digits = data.start.map(({ sprite, ...motion }) => digit(sprite, motion));
    data.models.forEach((model, i) => {
      const label = make("label", {}, find(".vt-models .vp-row"));
      const input = make("input", { type: "radio", name: "vt-model", value: model.name }, label);
      input.checked = i === 0;
      label.append(` ${model.label}`);
      input.addEventListener("change", () => choose(model));
    });
    send = connect(heard);
    tellNoise();
    drawPad();
    changed();
    choose(data.models[0]);
    if (calm) state.frame = length - 1;
    show();
    play(!calm);
    new ResizeObserver(drawErrors).observe(find(".vt-chart"));
  }

  begin();
  root.vrnn3d = { state, world, truth: () => truth, samples: () => samples, errors };
}
