"""The format of the vectors, version 1. README.md describes it."""

import json

VERSION = 1


def hexadecimal(data):
    """Return a byte string, written in hexadecimal."""
    return {"hex": data.hex()}


def utf8(text):
    """Return a byte string that is text."""
    return {"utf8": text}


def call(name, comment, source, method, params, *, ok=None, error=None):
    """Return a vector for one call: ok is the result, or error the code."""
    assert (ok is None) != (error is None), name
    vector = {
        "id": name,
        "comment": comment,
        "source": source,
        "method": method,
        "params": params,
    }
    if error is None:
        vector["ok"] = ok
    else:
        vector["error"] = {"code": error}
    return vector


def flow(name, comment, source, steps):
    """Return a vector for a flow."""
    return {"id": name, "comment": comment, "source": source, "steps": steps}


def file_text(area, vectors):
    """Return the text of an area's file: a line for each member of a vector."""
    lines = ["{", f'  "version": {VERSION},', f'  "area": {json.dumps(area)},']
    lines.append('  "vectors": [')
    for vector in vectors:
        lines.append("    {")
        for name, value in vector.items():
            if name == "steps":
                lines.append('      "steps": [')
                for step in value:
                    members = ",\n         ".join(map(member, step, step.values()))
                    lines.append(f"        {{{members}}},")
                lines[-1] = lines[-1].removesuffix(",")
                lines.append("      ],")
            else:
                lines.append(f"      {member(name, value)},")
        lines[-1] = lines[-1].removesuffix(",")
        lines.append("    },")
    lines[-1] = lines[-1].removesuffix(",")
    lines += ["  ]", "}", ""]
    return "\n".join(lines)


def member(name, value):
    """Return a member of an object as JSON, in ASCII."""
    return f"{json.dumps(name)}: {json.dumps(value)}"


def protocol(section):
    """Return the source of a value that follows from the protocol page."""
    return f"protocol page: {section}"


def capture(name, *lines):
    """Return the source of a value that the real client or its test backend sent."""
    place = {0: "", 1: ", line ", 2: ", lines "}[len(lines)]
    return f"captures/{name}{place}" + " to ".join(map(str, lines))
