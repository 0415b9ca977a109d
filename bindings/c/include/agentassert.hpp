// agentassert for C++17: agentassert.h with objects that clean up, and exceptions.
//
// It is this header alone, over the library for C. Text is UTF-8. Times are Unix seconds. What
// fails throws agent_assert::error. A string that holds a private key is the caller's, and
// overwritten by nobody: C++ copies strings as it likes.
#ifndef AGENTASSERT_HPP
#define AGENTASSERT_HPP

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "agentassert.h"

namespace agent_assert
{

/// What went wrong. The code is stable, and the same in every language; what() is for people.
/// Neither holds a secret.
class error : public std::runtime_error
{
      public:
	explicit error(const agentassert_error &failure) : std::runtime_error(failure.message), code_(failure.code)
	{
	}

	const std::string &code() const noexcept
	{
		return code_;
	}

      private:
	std::string code_;
};

/// A private key, which is secret, and its public key.
struct key_pair {
	std::string private_key;
	std::string public_key;
};

/// The proof that registers a task.
struct registration_proof {
	std::string signature;
	std::string timestamp;
};

/// What an assertion says: agentassert_inspection. Text that its form does not have is empty.
struct inspection {
	std::string form;
	bool canonical = false;
	std::string agent_runtime_id, task_id, timestamp;
	std::string runtime_agent_instance, id;
	std::int64_t iat = 0;
	std::string signature;
};

/// Random bytes for those who draw them themselves. Without any, the system's are taken.
using entropy = std::vector<unsigned char>;

/// The core: the sandboxed module and a pool of its instances. Threads can share one. Each
/// method is that of agentassert.h with its name, which says what it does and its errors; text
/// with U+0000 in it is refused with invalid_request.
class core
{
      public:
	/// Opens a core that answers as many calls at the same time as there are instances, each of
	/// which takes so many pages of memory at most; 0 is the default of either.
	explicit core(std::size_t instances = 0, std::size_t memory_pages = 0)
	{
		agentassert_options options{};
		options.size = sizeof options;
		options.instances = instances;
		options.memory_pages = memory_pages;
		agentassert_error failure;
		::agentassert *opened = nullptr;
		check(agentassert_open(&options, &opened, &failure), failure);
		handle_.reset(opened);
	}

	/// Overwrites what the core remembers: agentassert_forget.
	void forget() noexcept
	{
		agentassert_forget(handle_.get());
	}

	/// The handle, for functions of agentassert.h. It stays this object's.
	::agentassert *get() const noexcept
	{
		return handle_.get();
	}

	key_pair generate_key(const std::string &profile = "biscuit", const entropy &random = {}) const
	{
		text private_key, public_key;
		agentassert_error failure;
		check(agentassert_generate_key(get(), terminated(profile), data(random), random.size(),
					       private_key.place(), public_key.place(), &failure),
		      failure);
		return {private_key.str(), public_key.str()};
	}

	key_pair parse_key(const std::string &private_key) const
	{
		text kept, public_key;
		agentassert_error failure;
		check(agentassert_parse_key(get(), terminated(private_key), kept.place(), public_key.place(), &failure),
		      failure);
		return {kept.str(), public_key.str()};
	}

	/// A private key in whatever form: a text, or a file's bytes.
	key_pair import_key(const std::string &key) const
	{
		text kept, public_key;
		agentassert_error failure;
		check(agentassert_import_key(get(), key.data(), key.size(), kept.place(), public_key.place(), &failure),
		      failure);
		return {kept.str(), public_key.str()};
	}

	/// A public key in whatever form, as the other methods take it.
	std::string import_public_key(const std::string &key) const
	{
		text public_key;
		agentassert_error failure;
		check(agentassert_import_public_key(get(), key.data(), key.size(), public_key.place(), &failure),
		      failure);
		return public_key.str();
	}

	/// A private key in another form, which is secret: text, or as "raw" 32 bytes.
	std::string export_key(const std::string &private_key, const std::string &format) const
	{
		text exported;
		std::size_t size = 0;
		agentassert_error failure;
		check(agentassert_export_key(get(), terminated(private_key), terminated(format), exported.place(),
					     &size, &failure),
		      failure);
		return exported.str(size);
	}

	/// A public key in another form: text, or as "raw" 32 bytes.
	std::string export_public_key(const std::string &public_key, const std::string &format) const
	{
		text exported;
		std::size_t size = 0;
		agentassert_error failure;
		check(agentassert_export_public_key(get(), terminated(public_key), terminated(format), exported.place(),
						    &size, &failure),
		      failure);
		return exported.str(size);
	}

	/// The value of Authorization, for calls of this second.
	std::string assert_task(const std::string &private_key, const std::string &agent_runtime_id,
				const std::string &task_id, std::int64_t now) const
	{
		text header;
		agentassert_error failure;
		check(agentassert_assert(get(), terminated(private_key), terminated(agent_runtime_id),
					 terminated(task_id), now, header.place(), nullptr, &failure),
		      failure);
		return header.str();
	}

	/// The assertion of a runtime agent instance, for one request.
	std::string assert_instance(const std::string &private_key, const std::string &runtime_agent_instance,
				    std::int64_t now, const entropy &random = {}) const
	{
		text value;
		agentassert_error failure;
		check(agentassert_assert_instance(get(), terminated(private_key), terminated(runtime_agent_instance),
						  now, data(random), random.size(), value.place(), &failure),
		      failure);
		return value.str();
	}

	inspection inspect(const std::string &header) const
	{
		agentassert_error failure;
		agentassert_inspection *said = nullptr;
		check(agentassert_inspect(get(), terminated(header), &said, &failure), failure);
		return copy(said);
	}

	inspection verify(const std::string &public_key, const std::string &header, std::int64_t now,
			  std::int64_t skew = AGENTASSERT_DEFAULT_SKEW) const
	{
		agentassert_error failure;
		agentassert_inspection *said = nullptr;
		check(agentassert_verify(get(), terminated(public_key), terminated(header), now, skew, &said, &failure),
		      failure);
		return copy(said);
	}

	inspection verify_instance(const std::string &public_key, const std::string &header, std::int64_t now,
				   std::int64_t skew = AGENTASSERT_DEFAULT_SKEW) const
	{
		agentassert_error failure;
		agentassert_inspection *said = nullptr;
		check(agentassert_verify_instance(get(), terminated(public_key), terminated(header), now, skew, &said,
						  &failure),
		      failure);
		return copy(said);
	}

	registration_proof sign_registration(const std::string &private_key, const std::string &agent_runtime_id,
					     std::int64_t now) const
	{
		text signature, timestamp;
		agentassert_error failure;
		check(agentassert_sign_registration(get(), terminated(private_key), terminated(agent_runtime_id), now,
						    signature.place(), timestamp.place(), &failure),
		      failure);
		return {signature.str(), timestamp.str()};
	}

	void verify_registration(const std::string &public_key, const std::string &agent_runtime_id,
				 const registration_proof &proof, std::int64_t now,
				 std::int64_t skew = AGENTASSERT_DEFAULT_SKEW) const
	{
		agentassert_error failure;
		check(agentassert_verify_registration(get(), terminated(public_key), terminated(agent_runtime_id),
						      terminated(proof.signature), terminated(proof.timestamp), now,
						      skew, &failure),
		      failure);
	}

	std::string seal_task_id(const std::string &public_key, const std::string &task_id,
				 const entropy &random = {}) const
	{
		text sealed;
		agentassert_error failure;
		check(agentassert_seal_task_id(get(), terminated(public_key), terminated(task_id), data(random),
					       random.size(), sealed.place(), &failure),
		      failure);
		return sealed.str();
	}

	std::string open_task_id(const std::string &private_key, const std::string &encrypted_task_id) const
	{
		text task_id;
		agentassert_error failure;
		check(agentassert_open_task_id(get(), terminated(private_key), terminated(encrypted_task_id),
					       task_id.place(), &failure),
		      failure);
		return task_id.str();
	}

	/// Calls any method of the ABI, with JSON: agentassert_call_json.
	std::string call_json(const std::string &method, const std::string &params) const
	{
		text result;
		agentassert_error failure;
		check(agentassert_call_json(get(), terminated(method), terminated(params), result.place(), &failure),
		      failure);
		return result.str();
	}

      private:
	struct closer {
		void operator()(::agentassert *handle) const noexcept
		{
			agentassert_close(handle);
		}
	};

	struct freer {
		void operator()(void *memory) const noexcept
		{
			agentassert_free(memory);
		}
	};

	/// Text that the library has handed out.
	class text
	{
	      public:
		text() = default;
		text(const text &) = delete;
		text &operator=(const text &) = delete;

		~text()
		{
			agentassert_free(data_);
		}

		char **place() noexcept
		{
			return &data_;
		}

		std::string str() const
		{
			return data_ == nullptr ? std::string() : std::string(data_);
		}

		std::string str(std::size_t size) const
		{
			return data_ == nullptr ? std::string() : std::string(data_, size);
		}

	      private:
		char *data_ = nullptr;
	};

	static void check(int failed, const agentassert_error &failure)
	{
		if (failed != 0) {
			throw error(failure);
		}
	}

	/// Returns text for C, which would take a U+0000 for its end.
	static const char *terminated(const std::string &value)
	{
		if (value.find('\0') != std::string::npos) {
			agentassert_error failure = {"invalid_request", "text has U+0000 in it"};
			throw error(failure);
		}
		return value.c_str();
	}

	static const unsigned char *data(const entropy &random) noexcept
	{
		return random.empty() ? nullptr : random.data();
	}

	static inspection copy(agentassert_inspection *said)
	{
		std::unique_ptr<agentassert_inspection, freer> owned(said);
		auto string = [](const char *value) { return value == nullptr ? std::string() : std::string(value); };
		inspection result;
		result.form = string(said->form);
		result.canonical = said->canonical != 0;
		result.agent_runtime_id = string(said->agent_runtime_id);
		result.task_id = string(said->task_id);
		result.timestamp = string(said->timestamp);
		result.runtime_agent_instance = string(said->runtime_agent_instance);
		result.id = string(said->id);
		result.iat = said->iat;
		result.signature = string(said->signature);
		return result;
	}

	std::unique_ptr<::agentassert, closer> handle_;
};

} // namespace agent_assert

#endif
