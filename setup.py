"""Packaging of cauce: the import packages `pipeline` and `components`, and the command `cauce`.

The ranges are wide enough for the newest versions with Python 3.11 wheels (pinned in constraints.txt) and for the current stack
on newer Pythons. Why each dependency is here stands in CONTRIBUTING.md.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "pipeline" / "version.py").read_text()).group(1)

setup(
    name="cauce",
    version=VERSION,
    description="Machine-learning pipelines that say why: TFX-style components on Apache Beam with ML Metadata, without the tfx package.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["pipeline", "pipeline.*", "components", "components.*"]),
    package_data={"pipeline": ["cli/template/**/*", "cli/template/*"]},
    entry_points={"console_scripts": ["cauce=pipeline.cli.main:main"]},
    install_requires=[
        "apache-beam>=2.72,<3",
        "click>=8.1,<9",
        "cloudpickle>=3",
        # TFDV and TFT import dill; Beam no longer brings it.
        "dill",
        # From 2.26 on it scans all distributions and warns at each import.
        "google-api-core<2.26",
        "keras>=3.4,<4",
        "ml-metadata>=1.17,<2",
        "numpy",
        "psutil>=5.9",
        "pyarrow>=10",
        "rich>=13",
        "setuptools<81",
        "tensorflow>=2.16,<3",
        "tensorflow-data-validation>=1.16.1,<2",
        "tensorflow-metadata>=1.16.1,<2",
        "tensorflow-model-analysis>=0.47.1,<1",
        "tensorflow-transform>=1.16,<2",
        "tfx-bsl>=1.16.1,<2",
        "typeguard>=4.3,<5",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.16,<3"],
        "test": ["import-linter>=2", "mypy>=1.10", "pytest>=8", "pytest-timeout>=2.3", "ruff>=0.6", "scikit-learn>=1.4", "jsonschema>=4"],
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
