"""What pyproject.toml cannot say: the published weights, which lie in weights/ of a clone, go into the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithWeights(build_py):
    """Copies weights/NAME/ of the clone to vrnn3d/weights/NAME/ of what is built; an editable installation reads the clone."""

    def run(self):
        super().run()
        source = Path(__file__).resolve().parent / "weights"
        if source.is_dir() and not self.editable_mode:
            target = Path(self.build_lib) / "vrnn3d" / "weights"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"))


setup(cmdclass={"build_py": WithWeights})
