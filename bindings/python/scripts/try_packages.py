"""Installs each package into an empty environment, and runs the README's calls there.

python scripts/try_packages.py [--dist FOLDER] [--python PROGRAM]... [--sources]

The wheel with the native engine is installed without a network.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

from develop import HERE

sys.path.insert(0, str(HERE / "tests"))
from snippets import snippets

CHECK = """
import hashlib, importlib.metadata, pathlib, sys
import agentassert
assert agentassert.__version__ == importlib.metadata.version("agentassert")
assert agentassert.AgentAssert.load().engine == sys.argv[1], agentassert.AgentAssert.load().engine
folder = pathlib.Path(agentassert.__file__).parent
assert hashlib.sha256((folder / "agentassert.wasm").read_bytes()).hexdigest() == agentassert.MODULE_SHA256
assert (folder / "py.typed").exists()
assert not list(folder.glob("*.c"))
for name in agentassert.__all__:
    getattr(agentassert, name)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dist", type=pathlib.Path, default=HERE / "dist")
    parser.add_argument("--python", action="append", help="which Python; may be given more than once")
    parser.add_argument("--sources", action="store_true", help="the sources, too, which takes minutes")
    arguments = parser.parse_args()
    dist = arguments.dist.resolve()
    kinds: list[tuple[str, str, list[str]]] = [
        ("native", "*-abi3-*.whl", ["--no-index"]),
        ("wasmtime", "*-py3-none-any.whl", []),
    ]
    if arguments.sources:
        kinds.append(("native", "agentassert-[0-9]*.tar.gz", []))
    for python in arguments.python or [sys.executable]:
        for engine, pattern, options in kinds:
            (package,) = dist.glob(pattern)
            with tempfile.TemporaryDirectory() as folder:
                try_package(python, package, engine, options, folder)
            print(f"{python}: {package.name}: {engine}", flush=True)


def try_package(python: str, package: pathlib.Path, engine: str, options: list[str], folder: str) -> None:
    run([python, "-m", "venv", folder + "/venv"], folder)
    own = folder + "/venv/bin/python"
    run(
        [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, str(package)],
        folder,
    )
    for program in (CHECK, *snippets("Assertions")):
        run([own, "-I", "-W", "error", "-c", program, engine], folder)


def run(command: list[str], folder: str) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
