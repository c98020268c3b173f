// What the page "Try it" shows the model: digits that fly through a small frame and bounce off its walls, as
// vrnn3d/data/moving_mnist.py moves them, and digits that a reader draws. No outer names, no page: numbers only.
function vrnn3dScene(settings) {
  "use strict";
  const { size, side, context, length } = settings, free = size - side;

  /** Upper left corners [y, x] of a digit {y, x, vy, vx} in each frame, whole pixels; the first is one step after the start. */
  function track({ y, x, vy, vx }) {
    const corners = [];
    for (let t = 0; t < length; t++) {
      [y, x] = [y + vy, x + vx];
      if (y <= 0 || y >= free) vy = -vy;
      if (x <= 0 || x >= free) vx = -vx;
      [y, x] = [y, x].map((v) => Math.min(free, Math.max(0, v)));
      corners.push([Math.trunc(y), Math.trunc(x)]);
    }
    return corners;
  }

  /** The frames of a scene: Float32Arrays in [0, 1]; where digits overlap, the brighter pixel is in front. */
  function frames(digits) {
    const made = Array.from({ length }, () => new Float32Array(size * size));
    for (const digit of digits) {
      track(digit).forEach(([top, left], t) => {
        for (let i = 0; i < side * side; i++) {
          const to = (top + Math.floor(i / side)) * size + left + (i % side);
          made[t][to] = Math.max(made[t][to], digit.pixels[i] / 255);
        }
      });
    }
    return made;
  }

  const distance = (px, py, [ax, ay], [bx, by]) => {
    const dx = bx - ax, dy = by - ay, along = ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy || 1);
    const t = Math.min(1, Math.max(0, along));
    return Math.hypot(px - ax - t * dx, py - ay - t * dy);
  };

  /** Strokes (lists of points [x, y] of any unit) as MNIST would have them: in 20 of 28 pixels, their ink's centre in the middle. */
  function digitOf(strokes) {
    const pixels = new Uint8Array(side * side), points = strokes.flat();
    if (!points.length) return pixels;
    const low = [0, 1].map((k) => Math.min(...points.map((p) => p[k]))), high = [0, 1].map((k) => Math.max(...points.map((p) => p[k])));
    const radius = side / 17, room = (side * 20) / 28 - 2 * radius;
    const scale = room / (Math.max(high[0] - low[0], high[1] - low[1]) || Infinity);
    const fitted = strokes.map((stroke) => stroke.map((p) => p.map((v, k) => (v - (low[k] + high[k]) / 2) * scale)));
    const draw = ([cx, cy]) => {
      let sum = 0, sumX = 0, sumY = 0;
      for (let i = 0; i < pixels.length; i++) {
        const x = (i % side) + 0.5 - cx, y = Math.floor(i / side) + 0.5 - cy;
        let nearest = Infinity;
        for (const stroke of fitted) stroke.forEach((p, n) => { nearest = Math.min(nearest, distance(x, y, stroke[Math.max(0, n - 1)], p)); });
        pixels[i] = Math.round(255 * Math.min(1, Math.max(0, radius + 0.5 - nearest)));
        sum += pixels[i]; sumX += pixels[i] * x; sumY += pixels[i] * y;
      }
      return [sumX / sum, sumY / sum];
    };
    const middle = [side / 2, side / 2], [offX, offY] = draw(middle);
    draw([middle[0] - offX, middle[1] - offY]);
    return pixels;
  }

  /** Squared error of a frame, clipped to [0, 1] first, summed over its pixels: the book's MSE. */
  function error(frame, truth) {
    let sum = 0;
    for (let i = 0; i < truth.length; i++) sum += (Math.min(1, Math.max(0, frame[i])) - truth[i]) ** 2;
    return sum;
  }

  /** Errors of each predicted frame: of a black frame, and of the last given frame repeated. */
  function baselines(truth) {
    const black = new Float32Array(size * size), last = truth[context - 1];
    const each = (frame) => truth.slice(context).map((t) => error(frame, t));
    return { black: each(black), last: each(last) };
  }

  return { size, side, free, context, length, track, frames, digitOf, error, baselines };
}
