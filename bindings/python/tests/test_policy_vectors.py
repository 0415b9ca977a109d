"""The vectors for hosts, and that no flow of the vectors is refused anything."""

from __future__ import annotations

from typing import Any

import pytest
from hosts import ask, policy_of
from vectors import from_json, vectors

from agentassert import AgentAssert, AgentAssertError
from agentassert.base_url import checked_base_url, is_below
from agentassert.decision import SCOPES, surface_of
from agentassert.policy import FlowPolicy


@pytest.mark.parametrize("vector", [pytest.param(v, id=v["id"]) for v in vectors("hosts/effects")])
def test_hosts(vector: dict[str, Any]) -> None:
    code = text = ""
    try:
        ask(from_json(vector["params"]))
    except AgentAssertError as error:
        code, text = error.code, str(error)
    assert "secret-" not in text
    assert code == vector.get("error", {}).get("code", ""), vector["comment"]


def test_every_flow_passes_whole(core: AgentAssert) -> None:
    effects = answers = others = 0
    for vector in vectors("flows"):
        policy: FlowPolicy | None = None
        last: Any = None
        for i, step in enumerate(vector.get("steps", [])):
            if "effect" not in step:
                continue  # refused, and the state before it is still good
            where = f"{vector['id']}, step {i}"
            event, message = from_json(step["event"]), from_json(step["effect"])
            if event["type"] == "start":
                configured = event["config"]["base_url"]
                base = core.call("base_url.normalize", {"url": configured})["base_url"]
                config = {**event["config"], "base_url": checked_base_url(configured, base)}
                policy = policy_of({**event, "config": config})
            elif last is not None:
                assert policy is not None
                policy.answered(last, event)
            assert policy is not None, where
            if event["type"] == "again":
                policy.again(message["authorization"], event.get("entropy", b""), event["now"])
                others += 1
                continue
            last = policy.effect(message, event["now"])
            if message["type"] == "done":
                answers += 1
            else:
                effects += 1
                assert last == message, f"{where}: it is carried out as it was asked for"
    assert effects > 4000, "are all of them read?"
    assert answers > 700
    assert others > 5


def test_the_table_of_surfaces_is_the_cores(core: AgentAssert) -> None:
    for surface, scope in SCOPES.items():
        assert core.call("surface.lookup", {"surface": surface})["scope"] == scope
    count = 0
    for vector in vectors("surfaces"):
        ok, path = vector.get("ok"), vector["params"].get("path")
        if ok and "surface" in ok:
            assert SCOPES[ok["surface"]] == ok["scope"]
        if ok and vector["method"] == "surface.match" and path is not None:
            assert surface_of(path.split("?", 1)[0]) == ok["surface"], vector["id"]
            count += 1
    assert count > 100, "are all of them read?"


def test_what_is_below_a_base_url() -> None:
    count = 0
    for vector in vectors("surfaces"):
        if vector["method"] == "surface.locate":
            params = vector["params"]
            inside = vector.get("ok", {}).get("inside", False)
            assert is_below(params["base_url"], params["url"]) is inside, vector["id"]
            count += 1
    assert count > 200, "are all of them read?"


def test_every_base_url_is_what_the_configured_one_stands_for() -> None:
    count = 0
    for vector in vectors("base-urls"):
        url, base = vector["params"].get("url"), vector.get("ok", {}).get("base_url")
        if url is not None and base is not None:
            assert checked_base_url(url, base) == base, vector["id"]
            count += 1
    assert count > 30, "are all of them read?"
