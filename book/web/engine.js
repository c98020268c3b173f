// Runs a network that `vrnn3d export --web` wrote (vrnn3d/study/web.py) on the reader's processor. No dependencies.
//
// Measured before it was written this way, on the half-scale network (133 million multiply-adds for ten frames after ten
// given ones), in headless Chromium 150 without a GPU, on one of two AMD EPYC cores shared with two trainings; best of a few,
// predicted frames a second:
//
//   this file                                        49    15 KB
//   TensorFlow.js 4.22, WebAssembly with SIMD       170   1.8 MB, where it must open from disk
//   TensorFlow.js 4.22, plain JavaScript             14   1.1 MB
//   TensorFlow.js 4.22, WebGL on a software GPU      14   1.1 MB
//   onnxruntime-web 1.30                                  14.3 MB at least: over the page's 4 MB, not tried
//
// All agree with PyTorch to a mean absolute difference of 2e-4, which is the rounding of the weights. What makes plain
// JavaScript fast is `multiply`: eight sums in local variables, so that each number read is used four times or twice. The
// same loop with one sum in memory for each output made 0.4 instead of 1.5 to 1.9 thousand million multiply-adds a second;
// rounding the sums to float32 (Math.fround) halved it.
//
// The whole of it is one function without outer names, so that its text can start a Web Worker from a Blob URL: a page that
// was opened from disk may load no other kind of worker.
function vrnn3dEngine() {
  "use strict";
  const VERSION = 1;

  // ---- reading a file ----------------------------------------------------------------------------------------------

  /** The value of every half-precision number, by its 16 bits. */
  function halfTable() {
    const table = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits++) {
      const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
      table[bits] = sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
    }
    return table;
  }

  /** {name: {shape, values}} of a file's weights. */
  function unpack(file) {
    const text = atob(file.data), table = halfTable(), weights = {};
    for (const [name, [offset, scale, ...shape]] of Object.entries(file.weights)) {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      for (let i = 0, j = 2 * offset; i < values.length; i++, j += 2) {
        values[i] = scale * table[text.charCodeAt(j) | (text.charCodeAt(j + 1) << 8)];
      }
      weights[name] = { shape, values };
    }
    return weights;
  }

  /** A kernel (height, width, inputs, outputs) as the multiplication reads it: for each four outputs, all taps x 4. */
  function tiled({ shape, values }) {
    const outputs = shape[3], taps = values.length / outputs, tiles = Math.ceil(outputs / 4);
    const tiledValues = new Float32Array(tiles * taps * 4);
    for (let k = 0; k < taps; k++) {
      for (let o = 0; o < outputs; o++) tiledValues[((o >> 2) * taps + k) * 4 + (o & 3)] = values[k * outputs + o];
    }
    return { kernel: tiledValues, taps, outputs, tiles, height: shape[0], width: shape[1], inputs: shape[2] };
  }

  /**
   * A network, ready to start: the file's facts, its pictures and its operations with their weights.
   * Throws where the file is of another version than this script.
   */
  function network(file) {
    if (file.version !== VERSION) throw new Error(`the model is of format ${file.version}, and this page reads ${VERSION}`);
    const weights = unpack(file), steps = {};
    for (const [part, ops] of Object.entries(file.steps)) {
      steps[part] = ops.map((op) => {
        if (op.op === "conv") return { ...op, ...tiled(weights[op.w]), bias: weights[op.b].values };
        return op.op === "norm" ? { ...op, gain: weights[op.w].values, bias: weights[op.b].values } : op;
      });
    }
    const { data, weights: _, ...facts } = file;
    return { ...facts, steps, scratch: scratchFor(file.pictures, steps) };
  }

  /** Room for the patches and the sums of the largest convolution, shared by all of them. */
  function scratchFor(pictures, steps) {
    let patches = 0, sums = 0;
    for (const op of Object.values(steps).flat().filter((op) => op.op === "conv")) {
      const [height, width] = pictures[op.y[0]];
      const pixels = (height * width) / op.up ** 2 + 1; // two at a time: one to spare
      patches = Math.max(patches, pixels * op.taps);
      sums = Math.max(sums, pixels * op.tiles * 4);
    }
    return { patches: new Float32Array(patches), sums: new Float32Array(sums) };
  }

  // ---- operations --------------------------------------------------------------------------------------------------
  // A picture is {height, width, channels, values}, channels last. [name, at] are the channels from `at` on.

  /** Copy what each output pixel sees into a row of its own. */
  function gather(op, x, height, width, patches) {
    const { inputs, stride, pad } = op, { values, channels } = x, at = op.x[1];
    let to = 0;
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        for (let ky = 0; ky < op.height; ky++) {
          const iy = row * stride - pad + ky;
          for (let kx = 0; kx < op.width; kx++) {
            const ix = column * stride - pad + kx, end = to + inputs;
            if (iy < 0 || ix < 0 || iy >= x.height || ix >= x.width) {
              while (to < end) patches[to++] = 0;
            } else {
              let from = (iy * x.width + ix) * channels + at;
              while (to < end) patches[to++] = values[from++];
            }
          }
        }
      }
    }
  }

  /** sums = patches x kernel, two pixels and four outputs at a time: their eight sums stay in registers. */
  function multiply({ kernel, taps, tiles }, pixels, patches, sums) {
    const step = tiles * 4;
    for (let tile = 0; tile < tiles; tile++) {
      for (let n = 0; n < pixels; n += 2) {
        let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
        let p = n * taps, q = p + taps, j = tile * taps * 4;
        for (const end = q; p < end; p++, q++, j += 4) {
          const a = patches[p], b = patches[q];
          const k0 = kernel[j], k1 = kernel[j + 1], k2 = kernel[j + 2], k3 = kernel[j + 3];
          a0 += a * k0; a1 += a * k1; a2 += a * k2; a3 += a * k3;
          b0 += b * k0; b1 += b * k1; b2 += b * k2; b3 += b * k3;
        }
        let to = n * step + tile * 4;
        sums[to] = a0; sums[to + 1] = a1; sums[to + 2] = a2; sums[to + 3] = a3;
        to += step;
        sums[to] = b0; sums[to + 1] = b1; sums[to + 2] = b2; sums[to + 3] = b3;
      }
    }
  }

  /** Add the bias and the shortcut, rectify, and store; an `up` of 2 spreads the four phases over pixels. */
  function place(op, sums, height, width, y, plus) {
    const { up, outputs, bias, relu } = op, each = outputs / up ** 2, step = op.tiles * 4;
    const at = op.y[1], plusAt = plus ? op.plus[1] : 0;
    for (let n = 0; n < height * width; n++) {
      const row = Math.floor(n / width) * up, column = (n % width) * up;
      for (let phase = 0, o = 0; phase < up ** 2; phase++) {
        const pixel = (row + (phase >> 1)) * y.width + column + (phase & 1);
        for (let c = 0; c < each; c++, o++) {
          let value = sums[n * step + o] + bias[o];
          if (plus) value += plus.values[pixel * plus.channels + plusAt + c];
          y.values[pixel * y.channels + at + c] = relu && value < 0 ? 0 : value;
        }
      }
    }
  }

  function convolve(op, pictures, { patches, sums }) {
    const x = pictures[op.x[0]], y = pictures[op.y[0]];
    const height = y.height / op.up, width = y.width / op.up;
    gather(op, x, height, width, patches);
    multiply(op, height * width, patches, sums);
    place(op, sums, height, width, y, op.plus && pictures[op.plus[0]]);
  }

  /** Group norm, in place: channel c of slice d is at + d * channels + c. */
  function normalise(op, pictures) {
    const { values, channels: step } = pictures[op.x[0]], at = op.x[1];
    const plus = op.plus && pictures[op.plus[0]], each = op.channels / op.groups, pixels = values.length / step;
    const visit = (group, use) => {
      for (let pixel = 0; pixel < pixels; pixel++) {
        for (let d = 0; d < op.depth; d++) {
          for (let c = group * each; c < (group + 1) * each; c++) use(pixel * step + at + d * op.channels + c, c, pixel, d);
        }
      }
    };
    for (let group = 0; group < op.groups; group++) {
      const count = pixels * op.depth * each;
      let sum = 0, squares = 0;
      visit(group, (i) => { sum += values[i]; });
      const mean = sum / count;
      visit(group, (i) => { squares += (values[i] - mean) ** 2; });
      const scale = 1 / Math.sqrt(squares / count + op.eps);
      visit(group, (i, c, pixel, d) => {
        let value = (values[i] - mean) * scale * op.gain[c] + op.bias[c];
        if (plus) value += plus.values[pixel * plus.channels + op.plus[1] + d * op.channels + c];
        values[i] = op.relu && value < 0 ? 0 : value;
      });
    }
  }

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const softplus = (x) => (x > 20 ? x : Math.log1p(Math.exp(x)));

  /** Shi et al. (2015), eq. 3, without peepholes: gates are i, f, o, g. */
  function lstm(op, pictures) {
    const gates = pictures[op.gates].values, cell = pictures[op.cell].values, n = pictures[op.cell].channels;
    const places = op.to.map(([name, at]) => ({ ...pictures[name], at }));
    for (let i = 0, pixel = 0; i < cell.length; pixel++) {
      for (let c = 0, g = pixel * 4 * n; c < n; c++, g++, i++) {
        cell[i] = sigmoid(gates[g + n]) * cell[i] + sigmoid(gates[g]) * Math.tanh(gates[g + 3 * n]);
        const h = sigmoid(gates[g + 2 * n]) * Math.tanh(cell[i]);
        for (let k = 0; k < places.length; k++) places[k].values[pixel * places[k].channels + places[k].at + c] = h;
      }
    }
  }

  /** z = mean + deviation * noise (eqs. 1 and 3); noise is (channels, depth, height, width), as PyTorch draws it. */
  function sample(op, pictures, noise) {
    const raw = pictures[op.raw], n = raw.channels / 2, latent = n / op.depth, pixels = raw.height * raw.width;
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let k = 0; k < n; k++) {
        const mean = raw.values[pixel * 2 * n + k], deviation = op.floor + softplus(raw.values[pixel * 2 * n + n + k]);
        const z = mean + deviation * noise[((k % latent) * op.depth + Math.floor(k / latent)) * pixels + pixel];
        for (const [name, at] of op.to) pictures[name].values[pixel * pictures[name].channels + at + k] = z;
      }
    }
  }

  // ---- running -----------------------------------------------------------------------------------------------------

  /** A run of a network from its zero state: {advance(frames, noise), decode()}. Runs share weights, not state. */
  function start(net) {
    const pictures = {};
    for (const [name, [height, width, channels]] of Object.entries(net.pictures)) {
      pictures[name] = { height, width, channels, values: new Float32Array(height * width * channels) };
    }
    const run = (part, noise) => {
      for (const op of net.steps[part]) {
        if (op.op === "conv") convolve(op, pictures, net.scratch);
        else if (op.op === "norm") normalise(op, pictures);
        else if (op.op === "lstm") lstm(op, pictures);
        else sample(op, pictures, noise);
      }
    };
    const pixels = net.height * net.width, colours = net.channels;
    return {
      /** One step in time: `frames` are the window's M frames, (channels, height, width) each. */
      advance(frames, noise) {
        const { values, channels } = pictures.clip;
        frames.forEach((frame, t) => {
          for (let c = 0; c < colours; c++) {
            for (let i = 0; i < pixels; i++) values[i * channels + t * colours + c] = frame[c * pixels + i];
          }
        });
        run("encode");
        run("advance", noise);
      },
      /** The predicted clip: M frames, not clipped to [0, 1]. */
      decode() {
        run("decode");
        const { values, channels } = pictures.prediction;
        return Array.from({ length: net.window }, (_, t) => {
          const frame = new Float32Array(colours * pixels);
          for (let c = 0; c < colours; c++) {
            for (let i = 0; i < pixels; i++) frame[c * pixels + i] = values[i * channels + t * colours + c];
          }
          return frame;
        });
      },
    };
  }

  /**
   * Continue a video, as vrnn3d.rollout does: frames context ... length - 1, one after another.
   * `frames` are at least `context` given ones; `noise(step)` is what `sample` takes.
   */
  function* rollout(net, frames, context, length, noise) {
    const { window: m, horizon: h } = net, fed = frames.slice(0, context), run = start(net);
    for (let s = 0; s < Math.ceil((length - m) / h); s++) {
      run.advance(fed.slice(s * h, s * h + m), noise(s));
      const first = m + s * h;
      if (first + h <= context) continue; // known frames only
      for (const [j, frame] of run.decode().slice(m - h).entries()) {
        if (first + j < context) continue;
        fed.push(frame);
        if (first + j < length) yield frame;
      }
    }
  }

  /** A generator of N(0, 1) noise that starts anew from a seed: uniform numbers of mulberry32, turned by Box and Muller. */
  function gaussian(seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  }

  /**
   * Answer {model} with {ready}, and {id, frames, context, length, samples, scale, seed} with a {id, sample, index, frame}
   * for each predicted frame and {id, done: milliseconds of computing} at the end. A new question ends the one before.
   */
  function serve(answer) {
    let net, latest;
    const breath = () => new Promise((go) => { const { port1, port2 } = new MessageChannel(); port2.onmessage = go; port1.postMessage(0); });
    async function predict({ id, frames, context, length, samples, scale, seed }) {
      const size = net.noise.reduce((a, b) => a * b, 1);
      const futures = Array.from({ length: samples }, (_, k) => {
        const draw = gaussian(seed + 7919 * k);
        return rollout(net, frames, context, length, () => (net.noise.length ? Float32Array.from({ length: size }, () => scale * draw()) : null));
      });
      let busy = 0;
      for (let index = context; index < length; index++) {
        for (let k = 0; k < samples; k++) {
          const since = performance.now(), { value } = futures[k].next();
          busy += performance.now() - since;
          answer({ id, sample: k, index, frame: value });
          await breath();
          if (latest !== id) return;
        }
      }
      answer({ id, done: busy });
    }
    return (message) => {
      if (message.model) {
        net = network(message.model);
        latest = null;
        answer({ ready: net.name });
      } else {
        latest = message.id;
        predict(message);
      }
    };
  }

  return { network, start, rollout, gaussian, serve };
}
