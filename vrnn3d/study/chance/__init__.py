"""A world with chance: Moving MNIST whose digits leave walls at random, so that the right distribution of futures is known.

There the generator itself is a forecaster, the oracle, and every score can be asked whether it puts the oracle first.

    python -m vrnn3d.study.chance --oracle half        the oracle at a profile
    python -m vrnn3d.study.chance RUN ...              runs that have no analysis yet, by their folders
"""
