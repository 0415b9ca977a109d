"""Makes src/agentassert usable in place, without installing it: puts the module and its hash there.

python scripts/develop.py [--extension FILE]
"""

import argparse
import hashlib
import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = HERE / "src" / "agentassert"
MODULE = HERE.parent.parent / "wasm" / "agentassert.wasm"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extension", type=pathlib.Path, help="the compiled _native extension")
    args = parser.parse_args()
    module = MODULE.read_bytes()
    (PACKAGE / "agentassert.wasm").write_bytes(module)
    (PACKAGE / "_module.py").write_text(
        '"""The module that this package was made with."""\n\n'
        f'SHA256 = "{hashlib.sha256(module).hexdigest()}"\n'
    )
    if args.extension:
        shutil.copy(args.extension, PACKAGE / args.extension.name)


if __name__ == "__main__":
    main()
