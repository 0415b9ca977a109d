"""Write the vectors, or with --check compare them with the files that are there.

Every run makes the same bytes. Nothing here calls agentassert.
"""

import argparse
import pathlib
import sys

import vectors
from areas import (
    assertions,
    base_urls,
    credentials,
    decisions,
    envelopes,
    files,
    flows,
    hosts,
    identity_jwts,
    instances,
    key_forms,
    keys,
    registrations,
    requests,
    sealed_boxes,
    surfaces,
    threads,
)

AREAS = [
    ("keys", keys),
    ("key-forms", key_forms),
    ("assertions", assertions),
    ("envelopes", envelopes),
    ("instances", instances),
    ("registrations", registrations),
    ("sealed-boxes", sealed_boxes),
    ("base-urls", base_urls),
    ("decisions", decisions),
    ("credentials", credentials),
    ("identity-jwts", identity_jwts),
    ("surfaces", surfaces),
    ("flows", flows),
    ("files", files),
    ("threads", threads),
    ("requests", requests),
]

# In a folder of their own: they are no calls of the module.
HOSTS = [("effects", hosts)]


DIRECTORY = pathlib.Path(__file__).resolve().parent.parent


def texts():
    """Yield the name, the text and the number of vectors of each file."""
    seen = set()
    folders = [("", AREAS), ("hosts/", HOSTS)]
    for folder, area, module in [(f, *a) for f, areas in folders for a in areas]:
        entries = module.vectors()
        for entry in entries:
            assert entry["id"] not in seen, entry["id"]
            seen.add(entry["id"])
        yield f"{folder}{area}.json", vectors.file_text(area, entries), len(entries)


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    different = []
    for name, text, count in texts():
        path, data = DIRECTORY / name, text.encode("ascii")
        if not check:
            path.write_bytes(data)
        elif not path.exists() or path.read_bytes() != data:
            different.append(name)
        print(f"{count:4} {name}")
    if different:
        sys.exit(f"these differ from what the generator makes: {' '.join(different)}")


if __name__ == "__main__":
    main()
