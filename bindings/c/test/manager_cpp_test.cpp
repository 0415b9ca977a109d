// Tests of the manager's header for C++.
#include <agentassert_manager.hpp>

#include <cstdlib>
#include <iostream>

namespace
{

void require(bool condition, const char *what)
{
	if (!condition) {
		std::cerr << "not so: " << what << '\n';
		std::exit(1);
	}
}

agentassert_sent refuse(void *, const agentassert_http_request *, agentassert_http_response *response,
			const agentassert_context *)
{
	agentassert_http_response_status(response, 403);
	return AGENTASSERT_SENT;
}

} // namespace

int main()
{
	using namespace std::chrono_literals;
	const agent_assert::core core;
	const auto store = agent_assert::store::memory();
	agentassert_credentials credentials{};
	credentials.kind = "chatgpt";
	credentials.access_token = "secret-token";
	credentials.account_id = "acct-1";
	auto options = agent_assert::manager_options();
	options.base_url = "https://chatgpt.com";
	options.store = store.get();
	options.credentials = &credentials;
	options.agent_identity = 1;
	options.send = refuse;
	agent_assert::manager manager(core, options);
	require(manager.base_url() == "https://chatgpt.com/backend-api", "the base URL");

	const auto answer = manager.authorization("models", {}, 30s);
	require(std::string(answer->mode) == "bearer" && std::string(answer->cause_code) == "http_status",
		"the answer");
	require(answer.headers().size() == 2 && answer.headers()[0].second == "Bearer secret-token", "header fields");
	require(answer.removals().size() == 3, "what is removed");
	require(std::string(manager.recover(answer)->header) == answer->header, "a bearer token is not recovered");
	require(std::string(manager.bearer()->reason) == "bearer-only-surface", "the bearer token");
	manager.prewarm();
	manager.forget("thread-1");
	try {
		manager.authorization("responses", "thread-1");
		require(false, "a turn that fails");
	} catch (const agent_assert::error &error) {
		require(error.code() == "thread_failed", "a turn that fails");
	}
	manager.close();
	try {
		manager.bearer();
		require(false, "a closed manager");
	} catch (const agent_assert::error &error) {
		require(error.code() == "closed", "a closed manager");
	}
	return 0;
}
