"""Speed and memory: the benchmark suite behind ``vrnn3d bench``."""
