// Signs as a new agent, and verifies it.
#include <agentassert.hpp>
#include <ctime>
#include <iostream>

int main()
{
	try {
		agent_assert::core core;
		const auto now = std::time(nullptr);
		const auto keys = core.generate_key();
		const auto header = core.assert_task(keys.private_key, "agent-1", "task-1", now);
		core.verify(keys.public_key, header, now);
		std::cout << "Authorization: " << header << '\n';
	} catch (const agent_assert::error &e) {
		std::cerr << e.code() << ": " << e.what() << '\n';
		return 1;
	}
}
