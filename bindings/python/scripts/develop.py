"""Makes src/agentassert usable in place, without installing it: puts the module and its hash there, and
the extension, if one was compiled.

python scripts/develop.py [--extension FILE]
"""

import argparse
import hashlib
import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent.parent
MODULE = HERE.parent.parent / "wasm" / "agentassert.wasm"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--extension", type=pathlib.Path, help="the compiled _native extension")
    arguments = parser.parse_args()
    package = HERE / "src" / "agentassert"
    place_module(package)
    if arguments.extension:
        shutil.copy(arguments.extension, package)


def place_module(package: pathlib.Path) -> None:
    """Put the module into the package's folder, as CMakeLists.txt does when the package is built."""
    module = MODULE.read_bytes()
    (package / MODULE.name).write_bytes(module)
    (package / "_module.py").write_text(
        '"""The module that this package was made with."""\n\n'
        f'SHA256 = "{hashlib.sha256(module).hexdigest()}"\n'
    )


if __name__ == "__main__":
    main()
