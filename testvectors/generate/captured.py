"""What the real client's transcripts hold."""

import json
import pathlib

from primitives import Key, unb64, unb64url, unix_time

DIRECTORY = pathlib.Path(__file__).resolve().parent.parent / "captures"


def exchanges(name):
    """Return the exchanges of a run, each by the number of its line."""
    lines = (DIRECTORY / name).read_text().splitlines()
    return {n: json.loads(line) for n, line in enumerate(lines, 1)}


ENABLED = exchanges("enabled.jsonl")
BISCUIT_FORBIDDEN = exchanges("biscuit-forbidden.jsonl")
TASK_REGISTRATION_500 = exchanges("task-registration-500.jsonl")
UNSUPPORTED_HOST = exchanges("unsupported-host.jsonl")
GATE_OFF = exchanges("gate-off.jsonl")

AUTH_JSON = (DIRECTORY / "enabled.auth.json").read_text()
AUTH = json.loads(AUTH_JSON)
IDENTITY = AUTH["agent_identity"]
# The file that a later client left.
LATER_AUTH_JSON = (DIRECTORY / "codex-0.171-enabled.auth.json").read_text()
LATER_AUTH = json.loads(LATER_AUTH_JSON)
LATER_IDENTITY = LATER_AUTH["agent_identity"]
LATER = exchanges("codex-0.171-enabled.jsonl")

KEY = Key(unb64(IDENTITY["agent_private_key"])[16:48])
assert IDENTITY["agent_private_key"] == KEY.stored

ACCESS_TOKEN = AUTH["tokens"]["access_token"]
ACCOUNT_ID = IDENTITY["workspace_id"]
USER_ID = IDENTITY["chatgpt_user_id"]
RUNTIME_ID = IDENTITY["agent_runtime_id"]
TASK_ID = IDENTITY["background_task_id"]
LATER_KEY = Key(unb64(LATER_IDENTITY["agent_private_key"])[16:48])
assert LATER_IDENTITY["agent_private_key"] == LATER_KEY.stored

# The second in which the identity and its background task were registered.
TIME = unix_time(IDENTITY["registered_at"])
# The header of every background call of the run.
HEADER = ENABLED[6]["headers"]["authorization"]
# The header of its thread's call, and what is in it.
THREAD_HEADER = ENABLED[13]["headers"]["authorization"]
THREAD_TASK_ID = "task-6"
THREAD_TIME = unix_time("2026-11-24T15:16:15Z")

# The primitives reproduce the run.
assert KEY.assertion(RUNTIME_ID, TASK_ID, TIME) == HEADER
assert KEY.assertion(RUNTIME_ID, THREAD_TASK_ID, THREAD_TIME) == THREAD_HEADER

LATER_TIME = unix_time("2026-11-26T20:38:45Z")
# The header of the two calls of the later run that carry an assertion.
LATER_HEADER = LATER[17]["headers"]["authorization"]
assert LATER_HEADER == LATER_KEY.assertion(
    LATER_IDENTITY["agent_runtime_id"], LATER_IDENTITY["task_id"], LATER_TIME
)


def request_id(exchange):
    """Return the 16 random bytes in an exchange's request id."""
    text = exchange["headers"]["x-request-id"]
    data = unb64url(text.removeprefix("codex-agent-identity-"))
    assert len(data) == 16
    return data
