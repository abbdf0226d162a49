"""Metadata of minigen; tool settings stand in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "minigen/__init__.py").read_text("utf-8")).group(1)

CUDA = "numba-cuda[cu13]>=0.30.4,<0.31"
NOTEBOOKS = [
    "jupyter>=1.0",
    "jupytext>=1.16",
    "nbclient>=0.10",
    "ipywidgets>=8.1",
    "pytest>=8",  # each chapter names the tests that prove it
    "hypothesis>=6.100",
]

setup(
    name="minigen",
    version=VERSION,
    description="GANs and VAEs for recommendation from scratch: NumPy gradients by hand, proved by machine",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE", "minigen/data/sets/*/LICENSE*"],
    python_requires=">=3.11",
    packages=find_packages(include=["minigen", "minigen.*"]),
    include_package_data=True,
    package_data={"minigen": ["py.typed", "data/sets/*/*", "plots/*.html"]},
    install_requires=[
        "numpy>=1.26",
        "scipy>=1.11.4",
        "numba>=0.59.0",
        "polars>=1.20",
        "safetensors>=0.4.3",
        "typer>=0.15.4",
        "rich>=13.7",
        "matplotlib>=3.8",
        "threadpoolctl>=3.2",
    ],
    extras_require={
        "notebooks": NOTEBOOKS,
        "cuda": [CUDA],
        "cuda-compile": [CUDA, "cuda-toolkit[nvcc,nvvm,nvrtc,cudart]==13.0.*"],
        "dev": [
            *NOTEBOOKS,
            "setuptools>=77",
            "pytest-xdist>=3.5",
            "coverage>=7.10",
            "ruff==0.17.*",  # a new release of a linter must not turn an old checkout red
            "mypy==2.4.*",
            "scipy-stubs>=1.17",
            "codespell>=2.4",
            "ranx>=0.3.20",
            "ir-measures>=0.3.6",
            "pytrec-eval-terrier>=0.5.6",
        ],
        "oracle": ["torch==2.13.0"],
    },
    entry_points={"console_scripts": ["minigen = minigen.cli:main"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Education",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
