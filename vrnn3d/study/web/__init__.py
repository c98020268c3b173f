"""A trained model as one small JavaScript file, which the book's page "Try it" runs in the reader's browser.

The file holds a list of 2D convolutions and a few other operations rather than an architecture, so that the page's
JavaScript (``book/web/engine.js``) knows nothing of encoders and decoders. On the way there

- 3D convolutions become 2D ones over depth x channels, as in :mod:`vrnn3d.layers.depth_folding`: taps that only ever
  meet padding are dropped;
- batch norms are folded into the convolutions before them, in float64;
- a transposed convolution of stride 2 becomes a plain one that makes all four phases of its output as channels;
- what serves training alone (the posterior and its encoder) is left out.

Up to here nothing is rounded beyond float32. Only then are the weights rounded to half precision.
"""

from vrnn3d.study.web.file import write
from vrnn3d.study.web.network import graph_of

__all__ = ["graph_of", "write"]
