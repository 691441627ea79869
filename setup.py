"""Packaging of cauce: the import packages `pipeline` and `components`, and the command `cauce`.

The ranges are wide enough for the newest versions with Python 3.11 wheels (pinned in constraints.txt) and for the current stack
on newer Pythons. Why each dependency is here stands in CONTRIBUTING.md.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "pipeline" / "version.py").read_text()).group(1)

# The newest versions with Python 3.11 wheels, and what they need of others. Without the latter pip looks at hundreds of releases
# before it finds that TensorFlow 2.16 wants protobuf 4.
NEWEST_ON_PYTHON_311 = [
    "tensorflow==2.16.*",
    "tensorflow-data-validation==1.16.1",
    "tensorflow-metadata==1.16.1",
    "tensorflow-model-analysis==0.47.1",
    "tensorflow-serving-api==2.16.*",
    "tensorflow-transform==1.16.0",
    "tf-keras==2.16.*",
    "tfx-bsl==1.16.1",
    "ml-metadata==1.17.1",
    "apache-beam==2.72.*",
    "google-cloud-storage<3",
    "grpcio-status==1.62.*",
    "numpy<2",
    "pandas<2",
    "protobuf==4.25.*",
    "pyarrow<11",
    # The Google Cloud clients that TFDV's wish for Beam's `gcp` extra brings: the newest that work with protobuf 4.
    "cloud-sql-python-connector<=1.22.0",
    "google-cloud-bigquery<=3.42.3",
    "google-cloud-bigquery-storage<=2.39.0",
    "google-cloud-bigtable<=2.39.0",
    "google-cloud-build<=3.37.0",
    "google-cloud-core<=2.6.0",
    "google-cloud-datastore<=2.25.0",
    "google-cloud-dlp<=3.38.0",
    "google-cloud-kms<=3.14.0",
    "google-cloud-language<=2.21.0",
    "google-cloud-monitoring<=2.31.0",
    "google-cloud-pubsub<=2.39.0",
    "google-cloud-resource-manager<=1.18.0",
    "google-cloud-secret-manager<=2.29.0",
    "google-cloud-spanner<=3.68.0",
    "google-cloud-videointelligence<=2.20.0",
    "google-cloud-vision<=3.15.0",
    "googleapis-common-protos<=1.75.0",
    "grpc-google-iam-v1<=0.14.4",
    "proto-plus<=1.28.2",
]

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
    package_data={"": ["*.pyi"], "pipeline": ["cli/template/**/*", "cli/template/*", "ui/templates/**/*", "ui/static/**/*"]},
    entry_points={"console_scripts": ["cauce=pipeline.cli.main:main"]},
    install_requires=[
        "apache-beam>=2.72,<3",
        "click>=8.1,<9",
        "cloudpickle>=3",
        "cronsim>=2.6,<3",
        # TFDV and TFT import dill; Beam no longer brings it.
        "dill",
        "fastavro>=1.9",
        # From 2.26 on it scans all distributions and warns at each import.
        "google-api-core<2.26",
        "google-crc32c>=1.5",
        "jinja2>=3.1,<4",
        "keras>=3.4,<4",
        "lazy-loader>=0.4,<1",
        "matplotlib>=3.8",
        "ml-metadata>=1.17,<2",
        "numpy",
        "pandas",
        "pg8000>=1.31,<2",
        "pillow>=10",
        "prometheus-client>=0.20,<1",
        "psutil>=5.9",
        "pyarrow>=10",
        "pymysql>=1.1,<2",
        "rich>=13",
        # TFMA brings it; ExampleValidator takes a distribution function from it.
        "scipy",
        "setuptools<81",
        "soundfile>=0.12",
        "sqlalchemy>=2.0.30,<3",
        "starlette>=0.46,<2",
        "tensorflow>=2.16,<3",
        "tensorflow-data-validation>=1.16.1,<2",
        "tensorflow-metadata>=1.16.1,<2",
        "tensorflow-model-analysis>=0.47.1,<1",
        "tensorflow-transform>=1.16,<2",
        "tfx-bsl>=1.16.1,<2",
        "typeguard>=4.3,<5",
        "tzdata",
        "uvicorn>=0.30,<1",
        "watchfiles>=0.22,<2",
        *(f"{requirement}; python_version < '3.12'" for requirement in NEWEST_ON_PYTHON_311),
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.16,<3"],
        # 0.4.30 is the newest that lives with the ml-dtypes of TensorFlow 2.16.
        "jax": ["jax==0.4.30; python_version < '3.12'", "jax>=0.4.30; python_version >= '3.12'"],
        "test": [
            "axe-playwright-python>=0.1.4,<1",
            "httpx2>=2,<3",
            "import-linter>=2",
            "jax==0.4.30; python_version < '3.12'",
            "jsonschema>=4",
            "mypy>=1.10",
            "openlineage-python>=1.54,<2",
            "playwright>=1.45,<2",
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.5",
            "ruff>=0.6",
            "scikit-learn>=1.4",
        ],
    },
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
