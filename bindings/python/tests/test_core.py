from agentassert import AgentAssert


def test_signs() -> None:
    with AgentAssert.load() as core:
        assert core.call("key.generate", {"entropy": bytes(32)})["private_key"]
