// The header for C++, with the vectors' values.
#include "agentassert.hpp"

#include <cstdlib>
#include <iostream>
#include <thread>
#include <type_traits>

#include "captured.h"

namespace
{

int failures = 0;

void expect(bool condition, const char *what)
{
	if (!condition) {
		failures++;
		std::cerr << what << '\n';
	}
}

template <typename F> void expect_error(const char *code, F function, const char *what)
{
	try {
		function();
		expect(false, what);
	} catch (const agent_assert::error &e) {
		expect(e.code() == code && e.what()[0] != '\0', what);
	}
}

} // namespace

int main()
{
	static_assert(!std::is_copy_constructible_v<agent_assert::core> &&
		      std::is_nothrow_move_constructible_v<agent_assert::core>);
	agent_assert::core opened(2);
	agent_assert::core core = std::move(opened);

	const std::string header = core.assert_task(CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, CAPTURED_NOW);
	expect(header == CAPTURED_HEADER, "the header");
	const auto said = core.verify(CAPTURED_PUBLIC_KEY, header, CAPTURED_NOW);
	expect(said.form == "task" && said.canonical && said.agent_runtime_id == CAPTURED_AGENT &&
		   said.task_id == CAPTURED_TASK && said.timestamp == CAPTURED_TIMESTAMP &&
		   said.signature == CAPTURED_SIGNATURE && said.id.empty(),
	       "what it says");
	expect(core.inspect(header).task_id == CAPTURED_TASK, "what it says, unverified");
	expect(core.parse_key(CAPTURED_PRIVATE_KEY).public_key == CAPTURED_PUBLIC_KEY, "the public key");
	const std::string seed = core.export_key(CAPTURED_PRIVATE_KEY, "raw");
	expect(seed.size() == 32 && core.import_key(seed).private_key == CAPTURED_PRIVATE_KEY, "a seed");
	expect(core.import_public_key(core.export_public_key(CAPTURED_PUBLIC_KEY, "pem")) == CAPTURED_PUBLIC_KEY,
	       "a public key in PEM");
	expect_error("invalid_private_key", [&] { core.import_key({}); }, "no key");
	const auto value = core.assert_instance(CAPTURED_PRIVATE_KEY, "rai-1", CAPTURED_NOW);
	const auto instance = core.verify_instance(CAPTURED_PUBLIC_KEY, value, CAPTURED_NOW, 0);
	expect(instance.form == "instance" && instance.runtime_agent_instance == "rai-1" && !instance.id.empty() &&
		   instance.iat == CAPTURED_NOW,
	       "an instance's");
	const auto proof = core.sign_registration(CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_NOW);
	expect(proof.timestamp == CAPTURED_TIMESTAMP, "the proof");
	core.verify_registration(CAPTURED_PUBLIC_KEY, CAPTURED_AGENT, proof, CAPTURED_NOW);
	const auto keys = core.generate_key();
	expect(core.open_task_id(keys.private_key, core.seal_task_id(keys.public_key, "task-1")) == "task-1",
	       "a sealed id");
	expect(core.call_json("surface.match", "{\"path\":\"/\"}") ==
		   "{\"scope\":\"background\",\"surface\":\"background\"}",
	       "a call in JSON");

	expect_error("bad_signature", [&] { core.verify(keys.public_key, header, CAPTURED_NOW); }, "another's key");
	expect_error(
	    "timestamp_skew", [&] { core.verify(CAPTURED_PUBLIC_KEY, header, CAPTURED_NOW + 301); }, "too old");
	expect_error("invalid_request", [&] { core.inspect(std::string("a\0b", 3)); }, "U+0000");
	expect_error("invalid_entropy", [&] { core.generate_key("biscuit", {1, 2, 3}); }, "too little entropy");
	expect_error("invalid_request", [] { agent_assert::core too_many(100000); }, "too many instances");

	std::thread other([&core] {
		expect(core.assert_task(CAPTURED_PRIVATE_KEY, CAPTURED_AGENT, CAPTURED_TASK, CAPTURED_NOW) ==
			   CAPTURED_HEADER,
		       "another thread");
	});
	other.join();
	core.forget();
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
