// The manager for C++17: agentassert_manager.h with objects that clean up, and exceptions.
//
// It is this header alone, over the library for C, which says what each function does. What fails
// throws agent_assert::error. Strings that hold what is secret are the caller's, and overwritten by
// nobody.
#ifndef AGENTASSERT_MANAGER_HPP
#define AGENTASSERT_MANAGER_HPP

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agentassert.hpp"
#include "agentassert_file.h"
#include "agentassert_manager.h"

namespace agent_assert
{

/// What a call carries, and why. It is there for good, and can be moved.
class authorization
{
      public:
	/// Takes over what a function of agentassert_manager.h has handed out.
	explicit authorization(agentassert_authorization *handle) noexcept : handle_(handle)
	{
	}

	/// The members are agentassert_authorization's.
	const agentassert_authorization *operator->() const noexcept
	{
		return handle_.get();
	}

	const agentassert_authorization *get() const noexcept
	{
		return handle_.get();
	}

	/// The header fields to set on the call, by their names. They are secret.
	std::vector<std::pair<std::string, std::string>> headers() const
	{
		agentassert_header all[AGENTASSERT_HEADERS];
		const std::size_t count = agentassert_authorization_headers(get(), all);
		std::vector<std::pair<std::string, std::string>> fields;
		for (std::size_t i = 0; i < count; i++) {
			fields.emplace_back(all[i].name, all[i].value);
		}
		return fields;
	}

	/// The names of the header fields that the call must not carry.
	std::vector<std::string> removals() const
	{
		const char *names[AGENTASSERT_HEADERS];
		const std::size_t count = agentassert_authorization_removals(get(), names);
		return {names, names + count};
	}

      private:
	struct freer {
		void operator()(agentassert_authorization *handle) const noexcept
		{
			agentassert_authorization_free(handle);
		}
	};

	std::unique_ptr<agentassert_authorization, freer> handle_;
};

/// Keeps records. It has to outlive the managers that use it.
class store
{
      public:
	/// A store that ends with the program.
	static store memory()
	{
		agentassert_error failure;
		agentassert_store *opened = nullptr;
		if (agentassert_memory_store(&opened, &failure) != 0) {
			throw error(failure);
		}
		return store(opened);
	}

	/// A store of an auth.json.
	static store file(const std::string &path, const agentassert_file_store_options *options = nullptr)
	{
		agentassert_error failure;
		agentassert_store *opened = nullptr;
		if (agentassert_file_store(path.c_str(), options, &opened, &failure) != 0) {
			throw error(failure);
		}
		return store(opened);
	}

	/// Takes over a store: it is closed with this object.
	explicit store(agentassert_store *handle) noexcept : handle_(handle)
	{
	}

	const agentassert_store *get() const noexcept
	{
		return handle_.get();
	}

      private:
	struct closer {
		void operator()(agentassert_store *handle) const noexcept
		{
			agentassert_store_close(handle);
		}
	};

	std::unique_ptr<agentassert_store, closer> handle_;
};

/// How long a caller waits; nothing for as long as it takes.
using patience = std::optional<std::chrono::milliseconds>;

/// Returns options of which nothing is set.
inline agentassert_manager_options manager_options() noexcept
{
	agentassert_manager_options options{};
	options.size = sizeof options;
	return options;
}

/// Decides which authorization a backend call gets, and gets it. Threads can share one. The core and
/// the store have to outlive it.
class manager
{
      public:
	/// Begin with manager_options().
	manager(const core &core, const agentassert_manager_options &options)
	{
		agentassert_error failure;
		agentassert_manager *opened = nullptr;
		check(agentassert_manager_open(core.get(), &options, &opened, &failure), failure);
		handle_.reset(opened);
	}

	std::string base_url() const
	{
		return agentassert_manager_base_url(get());
	}

	/// What a call on a background or bearer-only surface carries now; of a conversation with its id.
	agent_assert::authorization authorization(const std::string &surface, const std::string &thread = {},
						  patience wait = {}) const
	{
		agentassert_error failure;
		agentassert_authorization *given = nullptr;
		check(agentassert_manager_authorization(get(), surface.c_str(), thread.c_str(), milliseconds(wait),
							&given, &failure),
		      failure);
		return agent_assert::authorization(given);
	}

	agent_assert::authorization bearer(patience wait = {}) const
	{
		return authorization("bootstrap", {}, wait);
	}

	void prewarm(const std::string &thread = {}, patience wait = {}) const
	{
		agentassert_error failure;
		check(agentassert_manager_prewarm(get(), thread.c_str(), milliseconds(wait), &failure), failure);
	}

	/// What a call carries in place of an assertion that was answered with 401: with that answer's header
	/// field Date and its body, as far as they are known.
	agent_assert::authorization recover(const agent_assert::authorization &rejected, const std::string &date = {},
					    const std::string &body = {}, patience wait = {}) const
	{
		agentassert_error failure;
		agentassert_authorization *given = nullptr;
		const agentassert_refusal refusal = {date.c_str(), body.data(), body.size()};
		check(
		    agentassert_manager_recover(get(), rejected.get(), &refusal, milliseconds(wait), &given, &failure),
		    failure);
		return agent_assert::authorization(given);
	}

	void forget(const std::string &thread) const
	{
		agentassert_error failure;
		check(agentassert_manager_forget(get(), thread.c_str(), &failure), failure);
	}

	/// Ends what is under way, and waits for it. The destructor does so, too.
	void close() noexcept
	{
		agentassert_manager_close(get());
	}

	/// The handle, for functions of agentassert_manager.h. It stays this object's.
	agentassert_manager *get() const noexcept
	{
		return handle_.get();
	}

      private:
	struct freer {
		void operator()(agentassert_manager *handle) const noexcept
		{
			agentassert_manager_free(handle);
		}
	};

	static void check(int failed, const agentassert_error &failure)
	{
		if (failed != 0) {
			throw error(failure);
		}
	}

	static std::int64_t milliseconds(patience wait) noexcept
	{
		return wait ? static_cast<std::int64_t>(wait->count()) : AGENTASSERT_FOREVER;
	}

	std::unique_ptr<agentassert_manager, freer> handle_;
};

} // namespace agent_assert

#endif
