"""``vrnn3d bench``: speed and memory of every model, the plain form against the fast one, in one run.

The plain form computes as the equations are written: every step encodes and decodes by itself, nothing is hoisted, every
convolution is ``nn.Conv3d``. Both forms have the same parameters and the same results.
"""
