"""Flows of identities that belong to a backend, this one or another."""

from areas.decisions import SUPPORTED, UNSUPPORTED, config
from areas.flows.script import (
    BACKENDS,
    DONE,
    LOAD_BACKEND,
    LOAD_BACKOFF,
    LOCK_IDENTITY,
    NEW_IDENTITY_ENTROPY,
    OURS,
    REJECTED_TASK,
    THREAD_RECORD,
    WITH_TASK,
    Run,
    ThreadRun,
    belongs,
    failed,
    identity,
    loaded,
    save,
)
from primitives import compact

ELSEWHERE = "https://backend.example/backend-api"
# Which backend an identity belongs to that does not say so itself.
SILENT = identity(base_url=None)
PUBLIC = "https://chatgpt.com/backend-api"


def other_backend(run, event):
    """End because the identity belongs to another backend."""
    return run.falls_back(event, "store-failed", "other_backend")


def backends():
    """Yield flows with identities of this backend and of others."""
    for name, comment, base_url, cfg in [
        ("path", "another path", "http://agent.chatgpt.com/other", config()),
        ("no-path", "no path", "http://agent.chatgpt.com", config()),
        ("case", "in capitals", "http://Agent.ChatGPT.com/backend-api", config()),
        ("port", "with its port", "http://agent.chatgpt.com:80/backend-api", config()),
        ("older-name", "its other name", "https://chat.openai.com", config(PUBLIC)),
        (
            "newer-name",
            "its other name",
            PUBLIC,
            config("https://chat.openai.com/backend-api"),
        ),
    ]:
        run = Run(cfg=cfg)
        run.start()
        run.asserts(loaded(identity(base_url=base_url)))
        yield run.end(
            f"backend-same-{name}", f"this backend's identity, {comment}", BACKENDS
        )
    for name, comment, base_url in [
        ("host", "another host", ELSEWHERE),
        ("parent", "a host above", "http://chatgpt.com/backend-api"),
        ("suffix", "a longer host", "http://agent.chatgpt.com.example/backend-api"),
        ("scheme", "another scheme", "https://agent.chatgpt.com/backend-api"),
        ("port", "another port", "http://agent.chatgpt.com:8080/backend-api"),
        ("no-url", "no URL", "agent.chatgpt.com"),
        ("no-base-url", "no base URL", "HTTP://agent.chatgpt.com/backend-api"),
    ]:
        record = identity(base_url=base_url)
        run = Run()
        run.start()
        other_backend(run, loaded(record))
        yield run.end(
            f"backend-other-{name}", f"{comment}: it is shown nothing", BACKENDS
        )
        run = ThreadRun()
        run.start()
        other_backend(run, loaded(record))
        yield run.end(
            f"backend-other-{name}-thread", f"{comment}: nor in a turn", BACKENDS
        )
    run = Run()
    run.start()
    other_backend(run, loaded(identity(base_url=ELSEWHERE, task_id=None)))
    yield run.end(
        "backend-other-taskless", "nor is a task registered for it here", BACKENDS
    )
    run = Run(rejected=REJECTED_TASK | {"code": "unknown_agent"})
    run.start()
    other_backend(run, loaded(identity(base_url=ELSEWHERE)))
    yield run.end(
        "backend-other-unknown",
        "what this backend does not know of it is no reason to drop it",
        BACKENDS,
    )

    # What the slot says.
    run = Run()
    run.start()
    run.finds(SILENT, lambda: run.assertion())
    yield run.end(
        "backend-noted",
        "an identity that does not say belongs to the first backend that it is used with",
        BACKENDS,
    )
    for name, base_url in [("same", SUPPORTED), ("same-host", SUPPORTED + "/x")]:
        run = Run()
        run.start()
        run.step(loaded(SILENT), LOAD_BACKEND)
        run.asserts(loaded(belongs(base_url)))
        yield run.end(f"backend-noted-{name}", "which is this one", BACKENDS)
    run = Run()
    run.start()
    run.step(loaded(SILENT), LOAD_BACKEND)
    other_backend(run, loaded(belongs(ELSEWHERE)))
    yield run.end("backend-noted-other", "which is another", BACKENDS)
    run = Run()
    run.start()
    run.asserts(loaded(WITH_TASK))
    yield run.end(
        "backend-not-looked-up", "where the record says, nobody asks", BACKENDS
    )
    for name, empty in [("empty", ""), ("null", None), ("number", 1)]:
        record = compact(OURS | {"base_url": empty})
        run = Run()
        run.start()
        run.step(loaded(record), LOAD_BACKEND)
        run.asserts(loaded(belongs(SUPPORTED)))
        yield run.end(f"backend-{name}", "a record that does not say", BACKENDS)
    mine = f'"agent-rt-2":"{SUPPORTED}"'
    theirs = f'"agent-rt-1":"{ELSEWHERE}"'
    many = [f'"agent-{n}":"{ELSEWHERE}"' for n in range(64)]
    for name, comment, before, after in [
        ("added", "another's stays", f"{{{theirs}}}", f"{{{theirs},{mine}}}"),
        (
            "added-63",
            "those of 63 others stay",
            f"{{{','.join(many[:63])}}}",
            f"{{{','.join([*many[:63], mine])}}}",
        ),
        (
            "added-64",
            "of 64 others the oldest goes",
            f"{{{','.join(many)}}}",
            f"{{{','.join([*many[1:], mine])}}}",
        ),
        ("damaged", "a damaged record starts anew", "damaged", f"{{{mine}}}"),
        ("array", "and so does one in another form", "[]", f"{{{mine}}}"),
        ("note-null", "null says nothing", '{"agent-rt-2":null}', f"{{{mine}}}"),
        ("note-empty", "nor does this", '{"agent-rt-2":""}', f"{{{mine}}}"),
    ]:
        run = Run()
        run.start()
        run.step(loaded(SILENT), LOAD_BACKEND)
        run.step(loaded(before), save("backend", after))
        run.asserts(DONE)
        yield run.end(f"backend-{name}", comment, BACKENDS)
    for failure in ["store", "read-only", "timeout"]:
        run = Run()
        run.start()
        run.step(loaded(SILENT), LOAD_BACKEND)
        run.step(loaded(), save("backend", belongs(SUPPORTED)))
        run.asserts(failed(failure))
        yield run.end(
            f"backend-not-saved-{failure}",
            "what cannot be noted is noted by the next call",
            BACKENDS,
        )
    run = Run()
    run.start()
    run.step(loaded(SILENT), LOAD_BACKEND)
    run.falls_back(failed("store"), "store-failed", "store_failed")
    yield run.end(
        "backend-not-loaded",
        "nobody knows where it belongs: it is shown to none",
        BACKENDS,
    )
    run = Run(cfg=config(UNSUPPORTED, trusted=["127.0.0.1"]))
    run.start()
    run.finds(SILENT, lambda: run.assertion())
    yield run.end("backend-noted-trusted", "a backend that is trusted", BACKENDS)
    run = ThreadRun()
    run.start()
    run.finds(SILENT, run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD)))
    yield run.end("backend-noted-thread", "by a turn", BACKENDS)
    run = ThreadRun(cfg=config(UNSUPPORTED))
    run.start()
    run.step(loaded(SILENT), LOAD_BACKEND)
    other_backend(run, loaded())
    yield run.end(
        "backend-not-supported-thread",
        "a turn goes to any backend, but not with an identity of nobody knows which",
        BACKENDS,
    )
    run = ThreadRun(cfg=config(UNSUPPORTED))
    run.start()
    run.step(loaded(SILENT), LOAD_BACKEND)
    run.step(loaded(belongs(UNSUPPORTED)), run.load_thread)
    run.asserts(loaded(compact(THREAD_RECORD)))
    yield run.end("backend-noted-not-supported", "unless that is noted", BACKENDS)
    run = ThreadRun(cfg=config(UNSUPPORTED))
    run.to_last_load()
    run.probed(loaded(), NEW_IDENTITY_ENTROPY)
    run.give_entropy()
    run.identity_biscuit_minted()
    run.identity_registered()
    run.identity_saved()
    yield run.end(
        "backend-not-supported-registered", "or it is registered there", BACKENDS
    )
    run = Run()
    run.start()
    run.step(loaded(identity(base_url=None, workspace_id="acct-2")), LOAD_BACKOFF)
    run.step(loaded(), LOCK_IDENTITY)
    yield run.end(
        "backend-of-unfit", "an identity that does not fit is nobody's", BACKENDS
    )
