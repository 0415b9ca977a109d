"""The vectors for hosts, which are no calls of a module."""

from __future__ import annotations

from typing import Any, cast

from agentassert.messages import FlowEvent, HTTPEffect
from agentassert.policy import FlowPolicy
from agentassert.policy_profile import PolicyCall


def policy_of(question: dict[str, Any]) -> FlowPolicy:
    """Returns the policy of the call in the parameters of host.effect, or in a flow's start."""
    return FlowPolicy(
        PolicyCall(
            config=question["config"],
            surface=question["surface"],
            credentials=question["credentials"],
            thread_id=question.get("thread_id"),
            entropy=question.get("entropy"),
        )
    )


def policy_after(question: dict[str, Any]) -> FlowPolicy:
    """Returns the policy of a call, after the effects before the one in question. Raises what it raises."""
    policy = policy_of(question)
    for before in question.get("before", []):
        effect = policy.effect(before["effect"], question["now"])
        event: dict[str, Any] = {
            "type": "response",
            "status": 200,
            "headers": before.get("response_headers", []),
        }
        if "entropy" in before:
            event = {"type": "entropy", "entropy": before["entropy"]}
        policy.answered(cast(HTTPEffect, effect), cast(FlowEvent, event))
    return policy


def ask(question: dict[str, Any]) -> None:
    """Asks the policy about an effect, after those before it. Raises what it raises."""
    policy_after(question).effect(question["effect"], question["now"])
