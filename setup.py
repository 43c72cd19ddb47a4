"""Headrace's one list of requirements; also Beam's `--setup_file` for remote workers.

`make lock` turns it into requirements.lock, which `make setup` installs.
"""

from setuptools import find_packages, setup

REQUIREMENTS = [
    "tfx==1.21.0",
    "tensorflow==2.21.0",
    "keras>=3.12,<3.16",
    "apache-beam==2.77.0",
    "ml-metadata==1.21.0",
    "tensorflow-data-validation==1.21.0",
    "tensorflow-transform==1.21.0",
    "tensorflow-model-analysis==0.52.0",
    "tensorflow-datasets==4.9.10",
    "importlib-resources>=5",  # TensorFlow Datasets imports it and does not ask for it
    "tensorboard>=2.19,<2.22",
    "scikit-learn==1.5.2",
    "threadpoolctl>=3",
    "numpy>=2,<3",
    "pandas>=2,<3",
    "pyarrow>=14",
    "regex>=2024.5",  # words of any script: re has no properties of Unicode
    "rdata>=0.11",  # reads the tables inside R packages
    # TF Serving's stubs; 2.19.1 is the newest that TFX 1.21 takes.
    "tensorflow-serving-api==2.19.1",
    "grpcio>=1.60",
    "grpcio-health-checking>=1.60",
    "aiohttp>=3.9,<4",
    "uvloop>=0.19",  # a sixth less CPU a gRPC request than asyncio's own loop
    "python-rapidjson>=1.20",  # TF Serving's JSON parser: its messages are RapidJSON's
    "click>=8.1,<9",
    "rich>=13",
    "pydantic>=2.9,<3",
    "pyyaml>=6",
    "pillow>=10",
    "matplotlib>=3.9",
    "xxhash>=3.4",  # digests of rows: as fast as they can be read
    "openpyxl>=3.1",  # .xlsx
    "charset-normalizer>=3.4",  # names the encoding of a file that is not UTF-8
    "platformdirs>=4",
    "psutil>=5.9",
    "jinja2>=3.1,<4",
    "cronsim>=2.7",  # cron fields across daylight-saving changes, as Debian's cron takes them
    "tzdata>=2024.1",
    "xprof>=2.20,<3",  # TensorBoard's profile tab
]

setup(
    name="headrace",
    version="0.1.0",
    description="Raw data to a served Keras model, in one gated TFX pipeline.",
    python_requires=">=3.11,<3.13",
    # Said, though it is the default: an editable install then puts this folder on sys.path. The finder that it would
    # make otherwise comes after all folders, such as a checkout named headrace below a person's PYTHONPATH.
    package_dir={"": "."},
    py_modules=["headrace"],
    packages=find_packages(include=["pipeline*", "components*", "models*", "data*"]),
    package_data={"pipeline": ["configs/*.yaml", "templates/*"], "data": ["schemas/*.pbtxt"]},
    install_requires=REQUIREMENTS,
    extras_require={
        "gpu": ["tensorflow[and-cuda]==2.21.0"],
        "dev": [
            "aiosmtpd",
            "atheris",
            "import-linter",
            "mypy",
            "playwright",
            "pytest",
            "pytest-xdist",
            "ruff",
            "setuptools<81",
            "types-PyYAML",
            "types-openpyxl",
        ],
    },
    entry_points={"console_scripts": ["headrace=headrace:main"]},
)
