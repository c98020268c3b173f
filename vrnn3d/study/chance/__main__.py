"""``python -m vrnn3d.study.chance``: see ``command``."""

from vrnn3d.study.chance.command import main

if __name__ == "__main__":
    main()
