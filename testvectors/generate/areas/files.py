"""file.step: what becomes of an auth.json and the files beside it.

The flow is written here a second time, as generators that ask for an effect and get
its answer, and so is a folder that a host carries the effects out in. A scenario is
a folder, what fails in it, and what others do to it meanwhile.
"""

import base64
import dataclasses
import itertools
import json
import os

import captured
from primitives import MAX_TIME, MIN_TIME, compact, timestamp
from vectors import call, hexadecimal, protocol, utf8

LOCKS = protocol("Later clients, locks")
RECORD = protocol("Later clients, the record in auth.json")
OURS = "this project's protocol for files that others share"

NOW = captured.TIME
NANOSECOND = 10**9
ROOM = 16384
LOCK_TIMEOUT = 5000
SETTLE = 5
MOST_SETTLING = 200
MOST_ATTEMPTS = 8
FEW = 16
LARGEST_IN_PLACE = 128 << 10
LARGEST = 192 << 10

READ_CODES = {"folder": "auth_file_folder", "not-regular": "auth_file_not_regular"}
WRITE_CODES = READ_CODES | {
    "read-only": "store_read_only",
    "denied": "store_read_only",
}


class Failed(Exception):
    """What an operation ends with."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def read_failed(failure):
    """Return the end of an operation that could not read."""
    return Failed(READ_CODES.get(failure, "auth_file_unreadable"))


def write_failed(failure):
    """Return the end of an operation that could not write."""
    return Failed(WRITE_CODES.get(failure, "auth_file_write_failed"))


def ask(kind, name, **members):
    """Ask for an effect, and return its answer."""
    answer = yield {"type": kind, "name": name} | members
    return answer


def parse(document):
    """Return what a document holds, or nothing if it is no JSON."""
    try:
        return json.loads(document)
    except ValueError:
        return None


def root(document):
    """Return the object that a document is."""
    if document.startswith("\ufeff"):
        raise Failed("auth_json_byte_order_mark")
    value = parse(document)
    if not isinstance(value, dict):
        raise Failed("invalid_auth_json")
    return value


def identity(document):
    """Return the record of the identity in a document, or an empty one."""
    record = root(document).get("agent_identity")
    return "" if record is None else compact(record)


def with_identity(document, record):
    """Return a compact document with another identity, or without."""
    text = document.rstrip()
    members = root(document)
    assert compact(members) == text
    members.pop("agent_identity") if not record else members.update(
        agent_identity=json.loads(record)
    )
    return compact(members) + document[len(text) :]


def journal(old, new):
    """Return what a journal holds."""

    def encoded(text):
        return base64.b64encode(text.encode()).decode()

    return compact({"old": encoded(old), "new": encoded(new)})


def parse_journal(content):
    """Return what a journal says, or nothing if that is no JSON to be restored."""
    parts = parse(content)
    try:
        old, new = (
            base64.b64decode(parts[name], validate=True).decode()
            for name in ["old", "new"]
        )
    except (TypeError, KeyError, ValueError):
        return None
    return None if parse(new) is None else (old, new)


def is_torn(content, old, new):
    """Return whether a write of new over old, or its undo, can have left this."""
    if content in [old, new]:
        return False
    if content.startswith(new) and not content[len(new) :].strip(" "):
        return True
    padded = new.ljust(len(old))
    for undone in range(len(old) + 1):
        if content[:undone] != old[:undone]:
            break
        for written in range(undone, len(padded) + 1):
            left = old[:undone] + padded[undone:written]
            if content == left + old[written:]:
                return True
            if content == left and written >= len(new):
                return True
    return False


@dataclasses.dataclass
class Seen:
    """The target as it was read."""

    stat: dict | None
    content: str = ""

    @classmethod
    def of(cls, answer):
        """Return what an answer says."""
        if "stat" not in answer:
            return cls(None)
        return cls(answer["stat"], answer.get("content", {}).get("utf8", ""))

    def is_unchanged(self, answer, content):
        """Return whether an answer says the same."""
        if "failure" in answer:
            return False
        now = Seen.of(answer)
        if self.stat is None or now.stat is None:
            return self.stat is now.stat
        parts = ["id", "size", "modified"]
        same = all(self.stat[part] == now.stat[part] for part in parts)
        return same and now.content == content


class Operation:
    """One operation on the files of a store."""

    def __init__(self, start):
        self.kind, self.slot = start["operation"], start.get("slot", "")
        self.record = start.get("record", {}).get("utf8", "")
        self.expected = start.get("expected", {}).get("utf8", "")
        self.beside = start.get("beside", False)
        self.reads = self.kind in ["credentials", "load"]
        self.now = start["now"]
        self.locks, self.temporary, self.journal = [], False, False
        self.others = self.mended = self.in_place = self.padded = False
        self.yielded = False
        self.waits = self.attempts = 0

    def effects(self):
        """Ask for everything, and return the result."""
        try:
            result = yield from self.body()
        except Failed as end:
            result = {"error": {"code": end.code}}
        if self.temporary:
            yield from ask("discard", "target")
        if self.journal:
            yield from ask("remove", "journal")
        for name in reversed(self.locks):
            yield from ask("unlock", name)
        return result

    def body(self):
        """Do what the operation is for."""
        if self.kind == "credentials" or self.slot == "identity" and not self.beside:
            return (yield from self.read() if self.reads else self.change())
        if self.slot.startswith("thread/"):
            return (yield from self.thread())
        return (yield from self.own_file())

    # auth.json.

    def read(self):
        """Read who is signed in, or the identity."""
        seen = yield from self.document()
        if seen.stat is not None and not seen.content:
            raise Failed("invalid_auth_json")
        if self.kind == "load":
            record = identity(seen.content) if seen.stat else ""
            return {"record": utf8(record)} if record else {}
        if seen.stat is None:
            problem = {"code": "auth_file_missing"}
            return {"credentials": {"kind": "none", "problem": problem}}
        tokens = root(seen.content)["tokens"]
        return {"credentials": {"kind": "chatgpt"} | tokens}

    def target(self):
        """Read the target."""
        answer = yield from ask("read", "target")
        if "failure" in answer:
            raise read_failed(answer["failure"])
        return Seen.of(answer)

    def document(self):
        """Read the target, once nobody is in the middle of writing it."""
        seen = yield from self.target()
        if not self.mended:
            answer = yield from ask("look", "journal")
            if "stat" in answer:
                mended = yield from self.mend()
                return mended or (yield from self.document())
        if not (yield from self.settles(seen)):
            return seen
        return (yield from self.document())

    def settles(self, seen):
        """Wait for a document to be whole, and return whether that can have helped."""
        if seen.stat is None or parse(seen.content) is not None:
            return False
        age = self.now * NANOSECOND - seen.stat["modified"]
        # A truncation can be seen before its time is.
        if self.waits > 0 and abs(age) >= 2 * NANOSECOND:
            return False
        return (yield from self.wait())

    def wait(self):
        """Wait for a moment, unless that was too often, and return whether it was."""
        if self.waits == MOST_SETTLING:
            return False
        self.waits += 1
        answer = yield {"type": "wait", "wait_ms": SETTLE}
        return "failure" not in answer

    def lock(self, name):
        """Take a lock."""
        answer = yield from ask("lock", name, timeout_ms=LOCK_TIMEOUT)
        failure = answer.get("failure")
        if failure is None:
            self.locks.append(name)
        elif failure not in ["missing", "denied", "read-only"]:
            if not self.reads:
                none = failure == "unsupported"
                raise Failed(
                    "auth_file_lock_unavailable" if none else "auth_file_locked"
                )
            self.others = True

    def mend(self):
        """End a write that did not end, and return what cannot be written."""
        self.mended = True
        yield from self.lock("client-lock")
        yield from self.lock("target-lock")
        answer = yield from ask("read", "journal")
        if "stat" not in answer:
            return None
        parts = parse_journal(Seen.of(answer).content)
        if parts:
            old, new = parts
            seen = yield from self.target()
            if seen.stat and is_torn(seen.content, old, new):
                if self.others:
                    return Seen(seen.stat, new)
                end = yield from self.restore(seen, old, new)
                if end:
                    return end
        if not self.others:
            yield from ask("remove", "journal")
        return None

    def restore(self, seen, old, new):
        """Bring the target to the new content or, on a full disk, to the old."""
        failure = yield from self.over(new, len(seen.content))
        left = new
        if failure == "no-room" and old != new:
            failure = yield from self.over(old, 0)
            left = old
        if failure is None:
            return None
        if self.reads:
            return Seen(seen.stat, left)
        raise write_failed(failure)

    def over(self, content, cover, cut=True):
        """Write over the target, and return what failed."""
        for kind, members in [
            ("write", {"content": utf8(content.ljust(cover))}),
            ("truncate", {"size": len(content)}),
            ("sync", {}),
        ]:
            if kind == "truncate" and not cut:
                continue
            answer = yield from ask(kind, "target", **members)
            if "failure" in answer:
                return answer["failure"]
        return None

    def change(self):
        """Swap the identity, or find out whether that would work."""
        yield from self.mend()
        seen, over = (yield from self.document()), None
        while True:
            if seen.stat is None and self.attempts:
                raise Failed("record_changed")
            if seen.stat is not None and not seen.content:
                raise Failed("invalid_auth_json")
            wanted = self.wanted(seen, over)
            if wanted is None:
                break
            again = yield from self.put(seen, over, wanted)
            if again is None:
                break
            seen, over = again
        if self.kind == "probe" and seen.stat is None:
            return {}
        yield from self.clean()
        if self.yielded:
            raise Failed("record_changed")
        return {}

    def wanted(self, seen, over):
        """Return what the target is to be, or nothing where it is good as it is."""
        if self.kind == "probe":
            if seen.stat is not None:
                root(seen.content)
            return seen.content
        try:
            current = identity(seen.content) if seen.stat else ""
        except Failed:
            if over is None:
                raise
            current = None
        if over is None and self.yielded:
            return None
        # White space between tokens makes no other identity.
        known = [compact(json.loads(x or '""')) for x in [self.expected, self.record]]
        if (current or '""') not in known:
            if over is None:
                raise Failed("record_changed")
            self.yielded = True
            return seen.content
        if over is None and current == self.record:
            return None
        return with_identity(seen.content if seen.stat else "{}\n", self.record)

    def put(self, seen, over, wanted):
        """Put it there, and return what to begin with again, or nothing."""
        base = seen.content if over is None else over
        probes = self.kind == "probe"
        size = max(len(wanted) + (ROOM if probes else 0), len(base))
        if size > LARGEST:
            raise Failed("auth_file_write_failed")
        if seen.stat and not seen.stat["mode"] & 0o200:
            raise Failed("store_read_only")
        if self.in_place or seen.stat and seen.stat["links"] > 1:
            return (yield from self.put_over(seen, over, wanted, size))
        if probes and not self.padded:
            self.padded = True
            content = utf8(wanted + " " * ROOM)
            answer = yield from ask("create", "target", content=content)
            if "failure" not in answer:
                yield from ask("discard", "target")
                if seen.stat is None:
                    return None
        else:
            answer = {}
        if "failure" not in answer:
            answer = yield from ask("create", "target", content=utf8(wanted))
        failure = answer.get("failure")
        if failure:
            if seen.stat is None or over is None and failure in ["no-room", "canceled"]:
                raise write_failed(failure)
            self.in_place = True
            return (yield from self.put_over(seen, over, wanted, size))
        self.temporary = True
        kept = {}
        if seen.stat is not None:
            kept = yield from ask("own", "target")
        if "failure" not in kept:
            answer = yield from ask("read", "target")
            if not seen.is_unchanged(answer, base):
                return (yield from self.overtaken(answer))
            answer = yield from ask("install", "target")
            failure = answer.get("failure")
            if failure is None:
                self.temporary = False
                yield from ask("sync", "home")
                return (yield from self.after_install(base, wanted))
            if seen.stat is None or over is None and failure == "no-room":
                raise write_failed(failure)
        self.in_place = True
        yield from ask("discard", "target")
        self.temporary = False
        return (yield from self.put_over(seen, over, wanted, size))

    def overtaken(self, answer):
        """Begin again, because somebody else has changed the target."""
        self.attempts += 1
        if "failure" not in answer and "stat" not in answer:
            raise Failed("record_changed")
        self.not_too_often()
        if self.temporary:
            yield from ask("discard", "target")
            self.temporary = False
        elif self.journal:
            yield from ask("remove", "journal")
            self.journal = False
        return (yield from self.document()), None

    def not_too_often(self):
        """End where others do not leave the target alone."""
        if self.attempts >= MOST_ATTEMPTS:
            raise Failed("auth_file_busy")

    def after_install(self, base, wanted):
        """Look for what somebody wrote to the file that was replaced."""
        while True:
            answer = yield from ask("read", "previous")
            foreign = Seen.of(answer)
            if foreign.stat is None or foreign.content == base:
                break
            if parse(foreign.content) is not None:
                self.attempts += 1
                self.not_too_often()
                seen = yield from self.target()
                if seen.stat is None or seen.content != wanted:
                    return (yield from self.begin_with(seen)), None
                return Seen(seen.stat, foreign.content), wanted
            if not (yield from self.wait()):
                break
        return (yield from self.check(wanted))

    def begin_with(self, seen):
        """Begin with what was read just now, once it is whole."""
        if (yield from self.settles(seen)):
            return (yield from self.document())
        return seen

    def check(self, wanted):
        """Look whether what was written has stayed."""
        answer = yield from ask("read", "target")
        seen = Seen.of(answer)
        if "failure" in answer or seen.content == wanted:
            return None
        if seen.stat is None:
            raise Failed("record_changed")
        self.attempts += 1
        self.not_too_often()
        return (yield from self.begin_with(seen)), None

    def put_over(self, seen, over, wanted, size):
        """Write over the target, with a journal beside it where there can be one."""
        base = seen.content if over is None else over
        if size > LARGEST_IN_PLACE:
            raise Failed("auth_file_write_failed")
        content = utf8(journal(base, wanted))
        answer = yield from ask("create", "journal", content=content)
        if answer.get("failure") == "no-room" and over is None:
            raise write_failed("no-room")
        if "failure" not in answer:
            answer = yield from ask("install", "journal")
            self.journal = "failure" not in answer
            if self.journal:
                yield from ask("sync", "home")
            else:
                yield from ask("discard", "journal")
        answer = yield from ask("read", "target")
        if not seen.is_unchanged(answer, base):
            return (yield from self.overtaken(answer))
        # Where there is nothing of the old to cut off, somebody's writing since is whole.
        cover = max(size, len(base))
        failure = yield from self.over(wanted, cover, cut=cover > len(wanted))
        if failure:
            yield from self.undo(base)
            raise write_failed(failure)
        if self.journal:
            yield from ask("remove", "journal")
            self.journal = False
        return (yield from self.check(wanted))

    def undo(self, base):
        """Write the old content again; the journal stays if that fails."""
        answer = yield from ask("write", "target", content=utf8(base))
        if "failure" in answer:
            seen = Seen.of((yield from ask("read", "target")))
            self.journal = self.journal and seen.content == base
            return
        yield from ask("truncate", "target", size=len(base))
        yield from ask("sync", "target")

    def clean(self):
        """Remove what killed processes have left."""
        answer = yield from ask("list", "leftovers", limit=FEW, older_than=3600)
        for name in answer.get("names", []):
            yield from ask("remove", f"leftovers/{name}")

    # Files of our own.

    def own_file(self):
        """Carry out an operation on a slot with a file of its own."""
        name = f"record/{self.slot}"
        if self.kind == "load":
            return (yield from self.loaded(name))
        if self.kind == "swap":
            yield from self.lock("target-lock")
            answer = yield from ask("read", name)
            if "failure" in answer:
                raise read_failed(answer["failure"])
            current = Seen.of(answer).content
            if current == self.record:
                return {}
            if current != self.expected:
                raise Failed("record_changed")
        if self.kind == "delete" or self.kind == "swap" and not self.record:
            yield from self.removed(name)
            return {}
        yield from self.saved(name, "home")
        return {}

    def loaded(self, name):
        """Return the record in a file."""
        answer = yield from ask("read", name)
        if "failure" in answer:
            raise read_failed(answer["failure"])
        return {"record": answer["content"]} if "stat" in answer else {}

    def removed(self, name):
        """Remove a file that need not be there."""
        answer = yield from ask("remove", name)
        if answer.get("failure", "missing") != "missing":
            raise write_failed(answer["failure"])

    def saved(self, name, folder):
        """Save a record, or try to; return whether one was saved."""
        probes = self.kind == "probe"
        content = utf8(" " * ROOM if probes else self.record)
        answer = yield from ask("create", name, content=content)
        if "failure" in answer:
            raise write_failed(answer["failure"])
        if probes:
            yield from ask("discard", name)
            return False
        answer = yield from ask("install", name)
        if "failure" in answer:
            yield from ask("discard", name)
            raise write_failed(answer["failure"])
        yield from ask("sync", folder)
        return True

    def months(self):
        """Return this month and the three before."""
        year, month = timestamp(self.now).split("-")[:2]
        count = int(year) * 12 + int(month) - 1
        # There is no year before 0.
        counts = [max(n, 0) for n in range(count, count - 4, -1)]
        return [f"{n // 12:04}-{n % 12 + 1:02}" for n in counts]

    def thread(self):
        """Carry out an operation on a thread's record."""
        months = self.months()
        if self.kind == "load":
            for month in months:
                result = yield from self.loaded(f"thread/{month}")
                if result:
                    if month != months[0]:
                        yield from self.moved(month, months[0])
                    return result
            return {}
        if self.kind == "delete":
            for month in months:
                yield from self.removed(f"thread/{month}")
            return {}
        for folder in ["threads", f"threads/{months[0]}"]:
            answer = yield from ask("make-folder", folder)
            if "failure" in answer:
                raise write_failed(answer["failure"])
        if (yield from self.saved(f"thread/{months[0]}", folder)):
            yield from self.forget(months[-1])
        return {}

    def moved(self, old, new):
        """Keep a record where it was last used."""
        answer = yield from ask("make-folder", f"threads/{new}")
        if "failure" not in answer:
            yield from ask("move", f"thread/{old}", to=f"thread/{new}")

    def forget(self, oldest):
        """Remove a few records of a month that is over for long."""
        answer = yield from ask("list", "threads", limit=64)
        for month in answer.get("names", []):
            year, _, rest = month.partition("-")
            if not (year + rest).isdigit() or len(month) != 7 or month >= oldest:
                continue
            answer = yield from ask("list", f"threads/{month}", limit=FEW)
            names = answer.get("names", [])
            if not names and "failure" not in answer:
                yield from ask("remove", f"threads/{month}")
            for name in names:
                yield from ask("remove", f"threads/{month}/{name}")
            return


# The folder, and who else is in it.


@dataclasses.dataclass
class File:
    """A file in a folder."""

    content: str
    inode: int
    modified: int
    mode: int = 0o600
    links: int = 1

    def stat(self):
        """Return what is known of it."""
        return {
            "id": f"1:{self.inode}",
            "size": len(self.content),
            "modified": self.modified,
            "mode": self.mode,
            "links": self.links,
        }


class Folder:
    """A folder, and a host that carries effects out in it."""

    def __init__(self, target=None, age=60, **attributes):
        self.clock = NOW * NANOSECOND
        self.inodes = itertools.count(100)
        self.files, self.temporaries, self.previous = {}, {}, None
        if target is not None:
            self.files["target"] = self.file(target)
            self.files["target"].modified -= age * NANOSECOND
            for name, value in attributes.items():
                setattr(self.files["target"], name, value)

    @property
    def now(self):
        """The time in seconds."""
        return self.clock // NANOSECOND

    def file(self, content):
        """Return a new file."""
        self.clock += 1000
        return File(content, next(self.inodes), self.clock)

    def write(self, file, content):
        """Change what a file holds."""
        self.clock += 1000
        file.content, file.modified = content, self.clock

    def replace(self, content):
        """Put another file in the target's place, as new clients do."""
        self.files["target"] = self.file(content)

    def rewrite(self, content):
        """Write into the target, as old clients do."""
        self.write(self.files["target"], content)

    def carry_out(self, effect):
        """Return the answer to an effect."""
        kind, name = effect["type"], effect.get("name")
        file = self.previous if name == "previous" else self.files.get(name)
        answer = {}
        if kind in ["read", "look"] and file:
            answer["stat"] = file.stat()
            if kind == "read" and file.content:
                answer["content"] = utf8(file.content)
        elif kind == "create":
            self.temporaries[name] = self.file(effect["content"]["utf8"])
        elif kind == "install":
            if name == "target":
                self.previous = file
            self.files[name] = self.temporaries.pop(name)
        elif kind == "discard":
            self.temporaries.pop(name, None)
        elif kind == "write":
            content = effect["content"]["utf8"]
            self.write(file, content + file.content[len(content) :])
        elif kind == "truncate":
            self.write(file, file.content[: effect["size"]])
        elif kind == "move":
            self.files[effect["to"]] = self.files.pop(name)
        elif kind == "remove":
            if self.files.pop(name, None) is None and not name.startswith("threads/"):
                return {"failure": "missing"}
        elif kind == "list":
            start = name + "/"
            below = [x[len(start) :] for x in self.files if x.startswith(start)]
            names = [x for x in dict.fromkeys(x.partition("/")[0] for x in below) if x]
            if names:
                answer["names"] = names[: effect["limit"]]
        elif kind == "wait":
            self.clock += effect["wait_ms"] * 10**6
        return answer


def label(effect):
    """Name an effect, for what happens before it."""
    return f"{effect['type']} {effect.get('name', '')}".strip()


def run(folder, start, fails=None, meanwhile=None, stop=None, forgets=()):
    """Return the steps of an operation, up to its end or the effect to stop before.

    What fails is by the effect's label; what happens meanwhile is by its label, or
    by the label and a number, counted from 1, and happens just before it. What the
    host forgets is what it knows of a file beside its content.
    """
    event = {"type": "start", "now": folder.now} | start
    operation = Operation(event)
    asked = operation.effects()
    counts, steps, answer = {}, [], None
    while True:
        try:
            effect = asked.send(answer)
        except StopIteration as end:
            done = {"type": "done", "result": end.value}
            steps.append({"event": event, "effect": done})
            return steps
        steps.append({"event": event, "effect": effect})
        name = label(effect)
        counts[name] = counts.get(name, 0) + 1
        places = [name, (name, counts[name])]
        if stop in places:
            return steps
        for place in places:
            if place in (meanwhile or {}):
                meanwhile[place](folder)
        failure = next((fails[x] for x in places if x in (fails or {})), None)
        answer = {"failure": failure} if failure else folder.carry_out(effect)
        if any(place in forgets for place in places):
            del answer["stat"]
        operation.now = folder.now
        kind = "failed" if "failure" in answer else "done"
        event = {"type": kind, "now": folder.now} | answer


# The scenarios.

A = compact({"agent_runtime_id": "agent-a", "agent_private_key": "key-a"})
B = compact({"agent_runtime_id": "agent-b", "agent_private_key": "a longer key-b"})
C = compact({"agent_runtime_id": "agent-c", "agent_private_key": "key-c"})


def document(token="token-1", record=A):
    """Return an auth.json."""
    tokens = {"access_token": token, "account_id": "acct-1"}
    text = compact({"auth_mode": "chatgpt", "tokens": tokens})
    return with_identity(text, record) if record else text


def swap(expected=A, record=B, slot="identity", **members):
    """Return the start of a swap."""
    start = {"operation": "swap", "slot": slot}
    if expected:
        start["expected"] = utf8(expected)
    if record:
        start["record"] = utf8(record)
    return start | members


CREDENTIALS = {"operation": "credentials"}
LOAD = {"operation": "load", "slot": "identity"}
PROBE = {"operation": "probe", "slot": "identity"}


def scenario(name, comment, folder, start, source=OURS, **circumstances):
    """Return a vector."""
    steps = run(folder, start, **circumstances)
    return {
        "id": f"file-{name}",
        "comment": comment,
        "source": source,
        "method": "file.step",
        "steps": steps,
    }


def vectors():
    """Return the area's vectors."""
    return [
        *reading(),
        *mounts(),
        *locks(),
        *others(),
        *kills(),
        *records(),
        *threads(),
        *refused(),
        *borders(),
    ]


def reading():
    """Yield what is read, and what is no auth.json."""
    for operation, start in [("credentials", CREDENTIALS), ("load", LOAD)]:
        yield scenario(f"{operation}", "it is read", Folder(document()), start)
        yield scenario(f"{operation}-missing", "there is no auth.json", Folder(), start)
        for failure in ["denied", "folder", "not-regular", "too-large", "failed"]:
            yield scenario(
                f"{operation}-{failure}",
                f"auth.json cannot be read: {failure}",
                Folder(document()),
                start,
                fails={"read target": failure},
            )
        for name, content in [
            ("empty", ""),
            ("cut-off", document()[:40]),
            ("list", "[]"),
            ("byte-order-mark", "\ufeff{}"),
        ]:
            yield scenario(
                f"{operation}-{name}",
                "it is no auth.json, and nobody is writing it",
                Folder(content),
                start,
            )
    yield scenario("load-none", "it has no identity", Folder(document(record="")), LOAD)
    for name, content in [("empty", ""), ("cut-off", document("token-2")[:50])]:
        yield scenario(
            f"young-{name}",
            "an old client is in the middle of writing it: its document is waited for",
            Folder(content, age=0),
            CREDENTIALS,
            source=LOCKS,
            meanwhile={("wait", 3): lambda f: f.rewrite(document("token-2"))},
        )
    yield scenario(
        "young-swap",
        "the same before a swap, which keeps the new token",
        Folder("", age=0),
        swap(),
        source=LOCKS,
        meanwhile={("wait", 2): lambda f: f.rewrite(document("token-2"))},
    )
    yield scenario(
        "young-canceled",
        "whoever waits gives up",
        Folder("", age=0),
        CREDENTIALS,
        fails={"wait": "canceled"},
    )
    yield scenario(
        "young-forever",
        "it is still empty after 200 looks",
        Folder("", age=-1),
        CREDENTIALS,
    )


# The mounts on which a probe ends in its own way.
PROBED = [
    "plain",
    "bind-mount",
    "hard-link",
    "folder",
    "read-only-mount",
    "read-only-file",
    "read-only-mode",
    "full",
    "full-write",
]


def mounts():
    """Yield a swap and a probe on each kind of mount."""
    lock_denied = {"lock client-lock": "denied", "lock target-lock": "denied"}
    all_read_only = {
        f"{kind} {name}": "read-only"
        for kind, name in [
            ("lock", "client-lock"),
            ("lock", "target-lock"),
            ("create", "target"),
            ("create", "journal"),
            ("write", "target"),
        ]
    }
    for name, comment, attributes, fails in [
        ("plain", "a file like any other", {}, {}),
        (
            "bind-mount",
            "a file that cannot be renamed over",
            {},
            {"install target": "busy"},
        ),
        ("hard-link", "a file with two names", {"links": 2}, {}),
        (
            "owner",
            "an owner or an ACL that cannot be kept",
            {},
            {"own target": "denied"},
        ),
        (
            "acl-unknown",
            "a file system that does not tell its ACLs",
            {},
            {"own target": "unsupported"},
        ),
        (
            "folder",
            "a folder that cannot be written, not even for locks",
            {},
            lock_denied | {"create target": "denied", "create journal": "denied"},
        ),
        ("read-only-mount", "a mount that cannot be written", {}, all_read_only),
        (
            "read-only-file",
            "a file that is mounted read-only in a folder that is not",
            {},
            {"install target": "busy", "write target": "read-only"},
        ),
        ("read-only-mode", "a file without write permission", {"mode": 0o400}, {}),
        ("group-mode", "a file that its group can read", {"mode": 0o640}, {}),
        ("full", "a disk that is full", {}, {"create target": "no-room"}),
        ("full-later", "a disk that is full by now", {}, {"install target": "no-room"}),
        (
            "full-journal",
            "a disk without room for the journal",
            {"links": 2},
            {"create journal": "no-room"},
        ),
        (
            "full-write",
            "a disk that is full in the middle",
            {"links": 2},
            {("write target", 1): "no-room"},
        ),
        (
            "full-sync",
            "a disk that turns out to be full",
            {"links": 2},
            {("sync target", 1): "no-room"},
        ),
        (
            "undo-fails",
            "a write that fails, and so does its undo",
            {"links": 2},
            {"write target": "failed"},
        ),
        (
            "no-journal",
            "a folder in which nothing can be renamed",
            {"links": 2},
            {"install journal": "failed"},
        ),
        (
            "no-sync",
            "a folder that cannot be brought to the disk",
            {},
            {"sync home": "unsupported"},
        ),
        (
            "no-previous",
            "a host that cannot keep the replaced file",
            {},
            {"read previous": "missing"},
        ),
    ]:
        for operation, start in [("swap", swap()), ("probe", PROBE)]:
            if operation == "probe" and name not in PROBED:
                continue
            yield scenario(
                f"{operation}-{name}",
                comment,
                Folder(document(), **attributes),
                start,
                fails=fails,
            )
    for operation, start in [("swap", swap(expected="")), ("probe", PROBE)]:
        yield scenario(
            f"{operation}-missing", "there is no auth.json yet", Folder(), start
        )
        yield scenario(
            f"{operation}-missing-folder",
            "there is no folder either",
            Folder(),
            start,
            fails={
                "lock client-lock": "missing",
                "lock target-lock": "missing",
                "create target": "missing",
            },
        )
        yield scenario(
            f"{operation}-not-json", "it is no auth.json", Folder("{"), start
        )
    yield scenario(
        "swap-shorter",
        "written in place, what is shorter covers the rest with spaces before it is cut off",
        Folder(document(record=B), links=2),
        swap(B, A),
    )
    yield scenario(
        "swap-first", "there was no identity", Folder(document(record="")), swap("")
    )
    yield scenario(
        "swap-drop", "the identity is dropped", Folder(document()), swap(A, "")
    )
    yield scenario(
        "swap-same", "it is there already", Folder(document(record=B)), swap()
    )
    yield scenario(
        "swap-changed",
        "another one is there",
        Folder(document(record=C)),
        swap(),
    )
    leftovers = Folder(document())
    for name in [".tmp-auth.json1", ".tmp-auth.json.journal2"]:
        leftovers.files[f"leftovers/{name}"] = leftovers.file(document())
    yield scenario(
        "swap-leftovers",
        "temporaries that a killed process has left are removed",
        leftovers,
        swap(),
    )


def locks():
    """Yield what the client's locks do."""
    for lock in ["client-lock", "target-lock"]:
        for failure in ["locked", "unsupported", "canceled", "failed", "not-regular"]:
            yield scenario(
                f"swap-{lock}-{failure}",
                f"without the lock nothing is changed: {failure}",
                Folder(document()),
                swap(),
                source=LOCKS,
                fails={f"lock {lock}": failure},
            )
    yield scenario(
        "swap-no-lock-file",
        "where no lock can be made nobody has one, and a file can be written",
        Folder(document()),
        swap(),
        source=LOCKS,
        fails={"lock client-lock": "denied", "lock target-lock": "read-only"},
    )


def others():
    """Yield what others do to the file meanwhile."""
    renewed = document("token-2")
    for name, comment, meanwhile in [
        (
            "overtaken",
            "a new token before the rename: begin again",
            {("read target", 2): lambda f: f.replace(renewed)},
        ),
        (
            "overtaken-in-place",
            "an old client's new token before the rename: begin again",
            {("read target", 2): lambda f: f.rewrite(renewed)},
        ),
        (
            "overtaken-touched",
            "a file that somebody has only touched is another, too",
            {("read target", 2): lambda f: f.rewrite(document())},
        ),
        (
            "overtaken-registered",
            "another identity before the rename: theirs stays",
            {("read target", 2): lambda f: f.replace(document("token-2", C))},
        ),
        (
            "overtaken-removed",
            "somebody signs out before the rename",
            {("read target", 2): lambda f: f.files.pop("target")},
        ),
        (
            "changed-after",
            "a new token after the rename, by whoever knew of ours",
            {("read target", 3): lambda f: f.replace(document("token-2", B))},
        ),
        (
            "changed-after-without",
            "a new token after the rename, without ours: once more",
            {("read target", 3): lambda f: f.replace(renewed)},
        ),
        (
            "changed-after-torn",
            "an old client is writing after the rename",
            {
                ("read target", 3): lambda f: f.rewrite(""),
                ("wait", 2): lambda f: f.rewrite(renewed),
            },
        ),
        (
            "removed-after",
            "somebody signs out after the rename",
            {("read target", 3): lambda f: f.files.pop("target")},
        ),
        (
            "previous",
            "an old client that had the file open writes to the replaced one: both are merged",
            {"read previous": lambda f: f.previous and once(f, renewed)},
        ),
        (
            "previous-slow",
            "the same, while it is still writing",
            {
                ("read previous", 1): lambda f: f.write(f.previous, ""),
                ("wait", 3): lambda f: f.write(f.previous, renewed),
            },
        ),
        (
            "previous-registered",
            "the same with another identity: theirs takes the place of ours",
            {
                ("read previous", 1): lambda f: f.write(
                    f.previous, document("token-2", C)
                )
            },
        ),
        (
            "previous-no-object",
            "the same with what is no auth.json: it is theirs to mend",
            {("read previous", 1): lambda f: f.write(f.previous, "[]")},
        ),
        (
            "previous-and-target",
            "the same, and somebody else has replaced ours by then",
            {
                ("read previous", 1): lambda f: f.write(f.previous, renewed),
                ("read target", 3): lambda f: f.replace(document("token-3", B)),
            },
        ),
        (
            "previous-and-removed",
            "the same, and somebody signs out",
            {
                ("read previous", 1): lambda f: f.write(f.previous, renewed),
                ("read target", 3): lambda f: f.files.pop("target"),
            },
        ),
        (
            "always-overtaken",
            "others do not leave it alone: eight attempts are enough",
            {("read target", n): change(n) for n in range(2, 20, 2)},
        ),
    ]:
        yield scenario(
            f"swap-{name}", comment, Folder(document()), swap(), meanwhile=meanwhile
        )
    yield scenario(
        "swap-previous-full",
        "what was written to the replaced file is kept on a full disk, too",
        Folder(document()),
        swap(),
        fails={("create target", 2): "no-room", "create journal": "no-room"},
        meanwhile={("read previous", 1): lambda f: f.write(f.previous, renewed)},
    )
    yield scenario(
        "probe-previous",
        "a probe loses nothing either",
        Folder(document()),
        PROBE,
        meanwhile={("read previous", 1): lambda f: f.write(f.previous, renewed)},
    )
    yield scenario(
        "swap-missing-overtaken",
        "somebody signs in before the first document is there",
        Folder(),
        swap(""),
        meanwhile={("read target", 2): lambda f: f.replace(document(record=""))},
    )
    yield scenario(
        "swap-hard-link-overtaken",
        "a new token before the write over the file",
        Folder(document(), links=2),
        swap(),
        meanwhile={("read target", 2): lambda f: f.rewrite(renewed)},
    )
    yield scenario(
        "swap-unreadable-meanwhile",
        "it can no longer be read",
        Folder(document()),
        swap(),
        fails={("read target", 2): "denied", ("read target", 3): "denied"},
    )
    yield scenario(
        "swap-unreadable-after",
        "it can no longer be read, and was written",
        Folder(document()),
        swap(),
        fails={("read target", 3): "failed"},
    )


def once(folder, content):
    """Write to the replaced file, unless its content is that of before a merge."""
    if '"agent-a"' in folder.previous.content:
        folder.write(folder.previous, content)


def change(number):
    """Return a change to yet another token."""
    return lambda folder: folder.replace(document(f"token-{number}"))


def kills():
    """Yield what the next reader finds after a write that did not end."""
    old, new = document(), document(record=B)
    at = len(os.path.commonprefix([old, new])) + 10

    def left(content, old=old, new=new, age=60):
        folder = Folder(content, age, links=2)
        folder.files["journal"] = folder.file(journal(old, new))
        return folder

    # The process is killed before each of these effects of a write over the file.
    for place in [
        "create journal",
        "install journal",
        "sync home",
        ("read target", 2),
        "write target",
        "truncate target",
        "sync target",
        "remove journal",
        ("read target", 3),
        "unlock client-lock",
    ]:
        before = place if isinstance(place, str) else f"{place[0]} {place[1]}"
        name = before.replace(" ", "-")
        # There is something to cut off only where the new content is shorter.
        shrinks = place == "truncate target"
        folder = Folder(new if shrinks else old, links=2)
        run(folder, swap(B, A) if shrinks else swap(), stop=place)
        folder.temporaries.clear()
        yield scenario(
            f"killed-before-{name}",
            f"a write over the file was killed before: {before}",
            folder,
            CREDENTIALS,
        )
    # And in the middle of one.
    states = [
        ("first-byte", new[: at - 9] + old[at - 9 :], old, new),
        ("middle", new[:at] + old[at:], old, new),
        ("grown", new[: len(old) + 5], old, new),
        ("last-byte", new[:-1], old, new),
        ("shorter", old[:at] + new[at:], new, old),
        ("uncut", old.ljust(len(new)), new, old),
        ("undone", old + new[len(old) :], old, new),
        ("undone-half", old[: at + 5] + new[at + 5 :], old, new),
        ("undone-after-cut", new[: len(old) + 4], new, old),
        ("probe", old + " " * ROOM, old, old),
    ]
    for name, content, was, becomes in states:
        assert is_torn(content, was, becomes), name
        for operation, start in [("load", LOAD), ("swap", swap())]:
            yield scenario(
                f"torn-{name}-{operation}",
                f"a write over the file that did not end is ended: {name}",
                left(content, was, becomes),
                start,
            )
    torn = new[:at] + old[at:]
    foreign = document("token-2")
    for name, content in [
        ("old", old),
        ("new", new),
        ("foreign", foreign),
        ("foreign-torn", foreign[:at]),
    ]:
        for operation, start in [("load", LOAD), ("swap", swap())]:
            yield scenario(
                f"journal-{name}-{operation}",
                "what is not on the way from the old to the new content is left alone",
                left(content),
                start,
            )
    unreadable = left(old)
    unreadable.files["journal"] = unreadable.file("{")
    yield scenario(
        "journal-damaged", "a journal that cannot be read is removed", unreadable, LOAD
    )
    gone = left(old)
    del gone.files["target"]
    yield scenario("journal-alone", "there is no auth.json any more", gone, LOAD)
    for name, comment, fails in [
        (
            "reader-denied",
            "who may only read takes it from the journal",
            {"write target": "denied"},
        ),
        (
            "reader-cut-denied",
            "the same when it fails later",
            {"truncate target": "denied"},
        ),
        (
            "reader-no-locks-made",
            "the same where no locks can be made",
            {
                "lock client-lock": "denied",
                "lock target-lock": "denied",
                "write target": "denied",
            },
        ),
        (
            "reader-locked",
            "whoever writes has the locks: nothing is changed",
            {"lock client-lock": "locked"},
        ),
        (
            "reader-unsupported",
            "there are no locks: nothing is changed",
            {"lock target-lock": "unsupported"},
        ),
        (
            "full",
            "the disk is too full for the new content: the old one is put back",
            {("write target", 1): "no-room"},
        ),
        (
            "full-for-both",
            "it is too full for anything",
            {"write target": "no-room"},
        ),
    ]:
        yield scenario(f"torn-{name}", comment, left(torn), LOAD, fails=fails)
    yield scenario(
        "torn-writer-denied",
        "who cannot mend it cannot write either",
        left(torn),
        swap(),
        fails={"write target": "denied"},
    )
    for name, content in [("old", old), ("foreign", foreign)]:
        yield scenario(
            f"journal-{name}-locked",
            "a journal stays that may be whose has the locks",
            left(content),
            CREDENTIALS,
            fails={"lock target-lock": "locked"},
        )
    yield scenario(
        "journal-unreadable",
        "a journal that cannot be opened is as good as none",
        left(old),
        CREDENTIALS,
        fails={"read journal": "denied"},
    )


def records():
    """Yield the slots with files of their own."""

    def holding(slot, content):
        folder = Folder(document())
        folder.files[f"record/{slot}"] = folder.file(content)
        return folder

    for slot in ["backoff", "backend", "set-aside"]:
        load = {"operation": "load", "slot": slot}
        save = {"operation": "save", "slot": slot, "record": utf8('{"a":1}')}
        yield scenario(f"{slot}-load", "it is read", holding(slot, "{}"), load)
        yield scenario(f"{slot}-load-missing", "there is none", Folder(), load)
        yield scenario(f"{slot}-save", "it is replaced", holding(slot, "{}"), save)
        yield scenario(
            f"{slot}-delete",
            "it is removed",
            holding(slot, "{}"),
            {"operation": "delete", "slot": slot},
        )
    load = {"operation": "load", "slot": "backoff"}
    save = {"operation": "save", "slot": "backoff", "record": utf8("{}")}
    for failure in ["not-regular", "folder", "denied", "too-large"]:
        yield scenario(
            f"backoff-load-{failure}",
            f"it cannot be read: {failure}",
            Folder(),
            load,
            fails={"read record/backoff": failure},
        )
    for kind in ["create", "install"]:
        for failure in ["denied", "read-only", "no-room", "folder", "missing"]:
            yield scenario(
                f"backoff-save-{kind}-{failure}",
                f"it cannot be saved: {failure}",
                Folder(),
                save,
                fails={f"{kind} record/backoff": failure},
            )
    for failure in ["missing", "denied"]:
        yield scenario(
            f"backoff-delete-{failure}",
            f"it cannot be removed: {failure}",
            Folder(),
            {"operation": "delete", "slot": "backoff"},
            fails={"remove record/backoff": failure},
        )
    beside = {"beside": True}
    for name, comment, folder, start, fails in [
        (
            "load",
            "the identity is in a file of its own",
            holding("identity", A),
            LOAD,
            {},
        ),
        (
            "load-missing",
            "there is none, whatever is in auth.json",
            Folder(document()),
            LOAD,
            {},
        ),
        (
            "swap",
            "it is swapped under the lock, and auth.json left alone",
            holding("identity", A),
            swap(),
            {},
        ),
        ("swap-first", "there was none", Folder(document()), swap(""), {}),
        ("swap-drop", "it is dropped", holding("identity", A), swap(A, ""), {}),
        ("swap-same", "it is there already", holding("identity", B), swap(), {}),
        ("swap-changed", "another one is there", holding("identity", C), swap(), {}),
        (
            "swap-locked",
            "somebody else is swapping it",
            holding("identity", A),
            swap(),
            {"lock target-lock": "locked"},
        ),
        (
            "swap-no-lock-file",
            "no lock can be made",
            holding("identity", A),
            swap(),
            {"lock target-lock": "denied"},
        ),
        (
            "swap-unreadable",
            "it cannot be read",
            holding("identity", A),
            swap(),
            {"read record/identity": "denied"},
        ),
        (
            "swap-full",
            "the disk is full",
            holding("identity", A),
            swap(),
            {"create record/identity": "no-room"},
        ),
        (
            "probe",
            "it is tried whether there is room",
            holding("identity", A),
            PROBE,
            {},
        ),
        (
            "probe-denied",
            "the folder cannot be written",
            Folder(document()),
            PROBE,
            {"create record/identity": "denied"},
        ),
        (
            "credentials",
            "who is signed in is in auth.json all the same",
            Folder(document()),
            CREDENTIALS,
            {},
        ),
    ]:
        yield scenario(
            f"beside-{name}",
            comment,
            folder,
            start | beside,
            source=RECORD,
            fails=fails,
        )


def threads():
    """Yield the records of threads."""
    slot = {"slot": "thread/thread-1"}
    load, delete = {"operation": "load"} | slot, {"operation": "delete"} | slot
    save = {"operation": "save", "record": utf8('{"task_id":"t"}')} | slot
    probe = {"operation": "probe"} | slot

    def holding(*months, old=(), count=1):
        folder = Folder()
        for month in months:
            folder.files[f"thread/{month}"] = folder.file('{"task_id":"old"}')
        for month in [*months, *old]:
            for n in range(count if month in old else 1):
                folder.files[f"threads/{month}/{n:02}.json"] = folder.file("{}")
        return folder

    for name, comment, months in [
        ("now", "it was used this month", ["2026-11"]),
        ("last-month", "it was used last month, and moves", ["2026-10"]),
        ("oldest", "it was used three months ago, and moves", ["2026-08"]),
        ("forgotten", "it was used too long ago", ["2026-07"]),
        ("both", "this month's wins", ["2026-10", "2026-11"]),
        ("none", "there is none", []),
    ]:
        yield scenario(f"thread-load-{name}", comment, holding(*months), load)
    yield scenario(
        "thread-load-unreadable",
        "it cannot be read",
        holding("2026-11"),
        load,
        fails={"read thread/2026-11": "denied"},
    )
    for effect, failure in [
        ("make-folder threads/2026-11", "read-only"),
        ("move thread/2026-10", "failed"),
    ]:
        yield scenario(
            f"thread-load-{effect.split()[0]}-fails",
            "it stays where it is, and is used all the same",
            holding("2026-10"),
            load,
            fails={effect: failure},
        )
    january = Folder()
    january.clock = 1799280000 * NANOSECOND  # 2027-01-07
    january.files["thread/2026-10"] = january.file("{}")
    yield scenario("thread-load-new-year", "the year has changed", january, load)
    yield scenario("thread-save-first", "the first record", Folder(), save)
    yield scenario("thread-save", "it is replaced", holding("2026-11", "2026-10"), save)
    for count in [3, 40]:
        yield scenario(
            f"thread-save-expiry-{count}",
            "old records go, 16 at a time, of one month",
            holding("2026-08", old=["2026-07", "2025-12"], count=count),
            save,
        )
    yield scenario(
        "thread-save-unrelated",
        "what is no month is left alone",
        unrelated(Folder()),
        save,
    )
    for effect in [
        "list threads",
        "list threads/2026-07",
        "remove threads/2026-07/00.json",
    ]:
        yield scenario(
            f"thread-save-{effect.replace(' ', '-').replace('/', '-').removesuffix('.json')}-fails",
            "what cannot be removed is left for the next time",
            holding(old=["2026-07"], count=2),
            save,
            fails={effect: "denied"},
        )
    for effect, failure in [
        ("make-folder threads", "read-only"),
        ("make-folder threads/2026-11", "denied"),
        ("create thread/2026-11", "no-room"),
        ("install thread/2026-11", "failed"),
        ("sync threads/2026-11", "unsupported"),
    ]:
        for operation, start in [("save", save), ("probe", probe)]:
            kind = effect.split()[0]
            if operation == "probe" and kind in ["install", "sync"]:
                continue
            name = effect.replace(" ", "-").replace("/", "-")
            yield scenario(
                f"thread-{operation}-{name}-{failure}",
                f"{effect} fails: {failure}",
                Folder(),
                start,
                fails={effect: failure},
            )
    yield scenario("thread-probe", "it is tried whether there is room", Folder(), probe)
    yield scenario(
        "thread-delete",
        "it goes from all months",
        holding("2026-11", "2026-09"),
        delete,
    )
    yield scenario("thread-delete-none", "there is none", Folder(), delete)
    yield scenario(
        "thread-delete-denied",
        "it cannot be removed",
        holding("2026-11"),
        delete,
        fails={"remove thread/2026-11": "denied"},
    )


def unrelated(folder):
    """Put things into the threads' folder that are no months."""
    for name in ["2026-7", "2026-13", "notes", "0000-0a", "2026-07-01"]:
        folder.files[f"threads/{name}/x"] = folder.file("")
    return folder


def refused():
    """Yield what is the host's mistake."""

    def vector(name, comment, event, code, **params):
        event = {"type": "start", "now": NOW} | event
        params = {"event": event} | params
        return call(
            f"file-{name}-refused", comment, OURS, "file.step", params, error=code
        )

    for name, comment, event in [
        (
            "no-operation",
            "an operation that there is not",
            {"operation": "move", "slot": "identity"},
        ),
        (
            "no-slot",
            "a slot that there is not",
            {"operation": "load", "slot": "tokens"},
        ),
        ("slot-missing", "no slot", {"operation": "load"}),
        (
            "thread-empty",
            "a thread without an id",
            {"operation": "load", "slot": "thread/"},
        ),
        (
            "save-identity",
            "the identity is swapped",
            {"operation": "save", "slot": "identity", "record": utf8("{}")},
        ),
        ("save-nothing", "nothing to save", {"operation": "save", "slot": "backoff"}),
        (
            "delete-identity",
            "the identity is swapped",
            {"operation": "delete", "slot": "identity"},
        ),
        ("swap-thread", "a thread's record is not swapped", swap(slot="thread/x")),
    ]:
        yield vector(name, comment, event, "invalid_request")
    yield vector(
        "year-10000",
        "after the last second that can be written",
        {"now": 253402300800, "operation": "credentials"},
        "invalid_time",
    )
    yield vector("first-event", "no start", {"type": "done"}, "unexpected_event")
    yield vector(
        "event-type",
        "an event that there is not",
        {"type": "answered"},
        "unexpected_event",
    )
    yield vector(
        "state",
        "a state that is none",
        {"type": "done"},
        "invalid_state",
        state=hexadecimal(b"state"),
    )


def borders():
    """Yield what is rare: the first and the last of something, and two things at once."""
    yield from odd_hosts()
    yield from odd_times()
    yield from odd_journals()
    yield from odd_others()
    yield from odd_places()


def odd_hosts():
    """Yield hosts that say little, or what they should not."""
    yield scenario(
        "probe-content-without-stat",
        "what has content, and is not there, is not there",
        Folder(document()),
        PROBE,
        forgets=["read target"],
    )
    vector = scenario("event-type-later", "", Folder(document()), LOAD)
    steps = vector["steps"]
    for kind in ["answered", "loaded", "start"]:
        event = {"type": kind, "now": NOW}
        steps.insert(1, {"event": event, "error": {"code": "unexpected_event"}})
    yield vector | {"comment": "an event that there is not; the right one then works"}
    for failure in ["not-regular", "folder"]:
        yield scenario(
            f"swap-missing-create-{failure}",
            f"there was no auth.json, and it cannot be made: {failure}",
            Folder(),
            swap(expected=""),
            fails={"create target": failure},
        )


def odd_times():
    """Yield what happens at the borders of times."""
    for name, now in [("first", MIN_TIME), ("last", MAX_TIME)]:
        folder = Folder(document())
        folder.clock = now * NANOSECOND
        yield scenario(
            f"time-{name}-second",
            "RFC 3339 can write it",
            folder,
            LOAD,
            source=protocol("Timestamps"),
        )
    folder = Folder()
    folder.clock = (MIN_TIME + 40 * 86400) * NANOSECOND
    yield scenario(
        "thread-load-year-0",
        "there is no month before the first",
        folder,
        {"operation": "load", "slot": "thread/thread-1"},
    )
    for name, seconds in [("past", -2), ("future", 2)]:
        yield scenario(
            f"settled-2-seconds-{name}",
            "what was changed two seconds from now is waited for once, and not again",
            Folder("", modified=(NOW + seconds) * NANOSECOND),
            CREDENTIALS,
            source=LOCKS,
        )
    for name, seconds in [("past", -2), ("future", 2)]:
        modified = (NOW + seconds) * NANOSECOND - seconds // 2
        yield scenario(
            f"unsettled-2-seconds-{name}",
            "what was changed a nanosecond nearer is waited for again",
            Folder("", modified=modified),
            CREDENTIALS,
            source=LOCKS,
            meanwhile={("wait", 2): lambda f: f.rewrite(document("token-2"))},
        )


def odd_journals():
    """Yield journals that say nothing, and torn files that are somebody's."""
    old, new = document(), document(record=B)
    at = len(os.path.commonprefix([old, new])) + 10
    torn = new[:at] + old[at:]
    encoded = json.loads(journal(old, new))
    not_json = base64.b64encode(b"{").decode()
    for name, comment, parts in [
        ("old", "the old content", {"new": encoded["new"]}),
        ("new", "the new content", {"old": encoded["old"]}),
        ("old-text", "no base64", encoded | {"old": "~"}),
        ("new-text", "no base64", encoded | {"new": "~"}),
        ("old-number", "no text", encoded | {"old": 1}),
        ("new-number", "no text", encoded | {"new": 1}),
        ("new-no-json", "no JSON", encoded | {"new": not_json}),
    ]:
        folder = Folder(torn, links=2)
        folder.files["journal"] = folder.file(compact(parts))
        missing = "lacks" if name in ["old", "new"] else "has for one"
        yield scenario(
            f"journal-without-{name}",
            f"a journal that {missing}: {comment}. It goes, and the file stays",
            folder,
            LOAD,
        )

    def left(content, old=old, new=new):
        folder = Folder(content, links=2)
        folder.files["journal"] = folder.file(journal(old, new))
        return folder

    yield scenario(
        "journal-old-no-json",
        "what was there before need be no JSON",
        left(new[:at], "{", new),
        LOAD,
    )
    yield scenario(
        "torn-locked-credentials",
        "whoever writes has the locks: the journal has who is signed in",
        left(torn),
        CREDENTIALS,
        fails={"lock client-lock": "locked"},
    )
    folder = left(torn)
    late = folder.files.pop("target")
    yield scenario(
        "torn-late-credentials",
        "the same, where there was no file a moment ago",
        folder,
        CREDENTIALS,
        fails={"lock client-lock": "locked"},
        meanwhile={("read target", 2): lambda f: f.files.update(target=late)},
    )
    yield scenario(
        "torn-reader-denied-credentials",
        "who may only read takes it from the journal",
        left(torn),
        CREDENTIALS,
        fails={"write target": "denied"},
    )
    yield scenario(
        "torn-unreadable",
        "it can no longer be read once there is a lock",
        left(torn),
        LOAD,
        fails={("read target", 2): "denied"},
    )
    for operation, start in [("load", LOAD), ("swap", swap(B, C))]:
        yield scenario(
            f"journal-new-and-tilde-{operation}",
            "the new content, and more than spaces behind it, is somebody else's",
            left(new + "~"),
            start,
        )
        content = new[: len(old)]
        assert is_torn(content, new, old)
        yield scenario(
            f"torn-undone-cut-{operation}",
            "as much of the longer old content as the new one has: its undo was cut off",
            left(content, new, old),
            start,
        )


def odd_others():
    """Yield others who do more than one thing, or the same many times."""
    renewed = document("token-2")

    def steps(**at):
        """Return what happens at the numbered reads of the target and the replaced file."""
        return {
            (f"read {name.split('_')[0]}", int(name.split("_")[1])): do
            for name, do in at.items()
        }

    def registered(folder):
        folder.write(folder.previous, document("token-2", C))

    def emptied(folder):
        folder.rewrite("")
        folder.files["target"].modified -= 60 * NANOSECOND

    for name, comment, meanwhile in [
        (
            "overtaken-then-removed",
            "a new token before the rename, and then somebody signs out",
            steps(
                target_2=lambda f: f.replace(renewed),
                target_3=lambda f: f.files.pop("target"),
            ),
        ),
        (
            "yielded-then-overtaken",
            "another identity was written to the replaced file, and then a new token",
            steps(
                previous_1=registered,
                target_4=lambda f: f.replace(document("token-4", C)),
            ),
        ),
        (
            "yielded-then-emptied",
            "another identity was written to the replaced file, and then nothing at all",
            steps(previous_1=registered, target_5=emptied),
        ),
        (
            "previous-gone",
            "the replaced file is gone",
            steps(previous_1=lambda f: setattr(f, "previous", None)),
        ),
        (
            "previous-torn-forever",
            "an old client does not end its writing to the replaced file",
            steps(previous_1=lambda f: f.write(f.previous, "")),
        ),
        (
            "previous-and-other-target",
            "an old client writes to the replaced file, and somebody else replaces ours",
            steps(
                previous_1=lambda f: f.write(f.previous, renewed),
                target_3=lambda f: f.replace(document("token-3")),
            ),
        ),
        (
            "previous-and-torn-target",
            "the same, and that one is still being written",
            steps(
                previous_1=lambda f: f.write(f.previous, renewed),
                target_3=lambda f: f.rewrite(""),
            )
            | {("wait", 2): lambda f: f.rewrite(document("token-3"))},
        ),
        (
            "previous-always",
            "old clients write to each file that is replaced: eight attempts are enough",
            {("read previous", n): previous(n + 1) for n in range(1, 9)},
        ),
        (
            "changed-after-always",
            "others write after each rename: eight attempts are enough",
            {("read target", n): change(n) for n in range(3, 18, 2)},
        ),
        (
            "changed-after-and-removed",
            "others write after each rename, and the last signs out",
            {("read target", n): change(n) for n in range(3, 17, 2)}
            | steps(target_17=lambda f: f.files.pop("target")),
        ),
    ]:
        yield scenario(
            f"swap-{name}", comment, Folder(document()), swap(), meanwhile=meanwhile
        )
    for name, comment, fails, meanwhile in [
        (
            "previous-wait-canceled",
            "whoever waits for the replaced file gives up",
            {"wait": "canceled"},
            steps(previous_1=lambda f: f.write(f.previous, "")),
        ),
        (
            "previous-and-unreadable",
            "an old client writes to the replaced file, and ours cannot be read",
            {("read target", 3): "denied"},
            steps(previous_1=lambda f: f.write(f.previous, renewed)),
        ),
        (
            "nothing-beside-and-overtaken",
            "nothing can be put beside it, and a new token comes before the write over it",
            {"create target": "denied"},
            steps(target_2=lambda f: f.rewrite(renewed)),
        ),
    ]:
        yield scenario(
            f"swap-{name}",
            comment,
            Folder(document()),
            swap(),
            fails=fails,
            meanwhile=meanwhile,
        )
    yield scenario(
        "swap-first-overtaken-then-removed",
        "there was no identity; a new token, and then somebody signs out: no file is made",
        Folder(document(record="")),
        swap(""),
        meanwhile=steps(
            target_2=lambda f: f.replace(document("token-2", "")),
            target_3=lambda f: f.files.pop("target"),
        ),
    )
    yield scenario(
        "swap-hard-link-registered",
        "another identity before the write over the file: the journal goes once",
        Folder(document(), links=2),
        swap(),
        meanwhile=steps(target_2=lambda f: f.rewrite(document("token-2", C))),
    )
    yield scenario(
        "swap-undo-fails-half-way",
        "a write fails in the middle, and so does its undo: the journal stays",
        Folder(document(), links=2),
        swap(),
        fails={"write target": "failed"},
        meanwhile=steps(target_3=lambda f: f.rewrite(document()[:40])),
    )


def previous(number):
    """Return a change of the replaced file to yet another token."""
    return lambda folder: folder.write(folder.previous, document(f"token-{number}"))


def odd_places():
    """Yield files with odd modes, and folders that are empty."""
    for mode in [0o401, 0o577]:
        yield scenario(
            f"swap-mode-{mode:o}",
            "its owner may not write it, whoever else may",
            Folder(document(), mode=mode),
            swap(),
        )
    yield scenario(
        "swap-mode-200",
        "its owner may write it",
        Folder(document(), mode=0o200),
        swap(),
    )
    folder = Folder()
    for name in ["2026-07/", "2026-06/"]:
        folder.files[f"threads/{name}"] = folder.file("")
    yield scenario(
        "thread-save-expiry-empty",
        "the folder of an old month is empty: it goes",
        folder,
        {
            "operation": "save",
            "slot": "thread/thread-1",
            "record": utf8('{"task_id":"t"}'),
        },
    )
    odd = '{"":1,"agent_runtime_id":"a b"}'
    yield scenario(
        "swap-white-space",
        "an identity is the same with white space between its tokens, not within",
        Folder(document(record=odd)),
        swap(' {\r\n\t"" : 1 , "agent_runtime_id" : "a b" } ', B),
    )
    yield scenario(
        "swap-white-space-within",
        "within a string it is another",
        Folder(document(record=odd)),
        swap('{"":1,"agent_runtime_id":"ab"}', B),
    )
