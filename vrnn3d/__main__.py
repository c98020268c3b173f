"""``python -m vrnn3d`` is the command ``vrnn3d``."""

from vrnn3d.cli import main

raise SystemExit(main())
