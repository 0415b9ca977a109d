/* Measures what a process pays for the library, beside what signs in C without it, and prints
 * JSON: medians in microseconds, memory in KiB. `make bench` puts them into docs/benchmarks.md, into
 * the table of all languages. */
#define _POSIX_C_SOURCE 200809L

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agentassert.h"

#if defined(HAVE_OPENSSL)
#include <openssl/evp.h>
#endif
#if defined(HAVE_SODIUM)
#include <sodium.h>
#endif

/* How many rounds there are, and how many calls a function has in each. */
enum { ROUNDS = 15, CALLS = 200, FUNCTIONS = 8 };

static agentassert *core;
static char *private_key, *public_key, *header;
static int64_t now = 1795533368;

static void check(int failed, const agentassert_error *error)
{
	if (failed) {
		fprintf(stderr, "bench: %s: %s\n", error->code, error->message);
		exit(1);
	}
}

static double microseconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* Returns the size of the process in memory, or 0 where that is not in /proc. */
static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;
	if (file != NULL) {
		if (fscanf(file, "%*d %ld", &pages) != 1) {
			pages = 0;
		}
		fclose(file);
	}
	return pages * 4;
}

static void make_header(void)
{
	agentassert_error error;
	char *made;
	check(agentassert_assert(core, private_key, "agent-rt-2", "task-4", now++, &made, NULL, &error), &error);
	agentassert_free(made);
}

static void make_header_json(void)
{
	agentassert_error error;
	char params[512], *made;
	snprintf(params, sizeof params,
		 "{\"private_key\":\"%s\",\"agent_runtime_id\":\"agent-rt-2\",\"task_id\":\"task-4\",\"now\":%lld}",
		 private_key, (long long)now++);
	check(agentassert_call_json(core, "assertion.build", params, &made, &error), &error);
	agentassert_free(made);
}

static void verify_header(void)
{
	agentassert_error error;
	check(agentassert_verify(core, public_key, header, 1795533368, AGENTASSERT_DEFAULT_SKEW, NULL, &error), &error);
}

/* What the clients sign is as long. */
static const unsigned char payload[] = "agent-rt-2:task-4:2026-11-24T15:16:08Z";

#if defined(HAVE_OPENSSL)
static EVP_PKEY *openssl_key;

static void sign_openssl(void)
{
	unsigned char signature[64];
	size_t size = sizeof signature;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (EVP_DigestSignInit(context, NULL, NULL, NULL, openssl_key) != 1 ||
	    EVP_DigestSign(context, signature, &size, payload, sizeof payload - 1) != 1) {
		exit(1);
	}
	EVP_MD_CTX_free(context);
}

static unsigned char openssl_signature[64];

static void verify_openssl(void)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (EVP_DigestVerifyInit(context, NULL, NULL, NULL, openssl_key) != 1 ||
	    EVP_DigestVerify(context, openssl_signature, 64, payload, sizeof payload - 1) != 1) {
		exit(1);
	}
	EVP_MD_CTX_free(context);
}
#endif

#if defined(HAVE_SODIUM)
static unsigned char sodium_public[crypto_sign_PUBLICKEYBYTES], sodium_secret[crypto_sign_SECRETKEYBYTES];
static unsigned char sodium_signature[crypto_sign_BYTES];

static void sign_sodium(void)
{
	crypto_sign_detached(sodium_signature, NULL, payload, sizeof payload - 1, sodium_secret);
}

static void verify_sodium(void)
{
	if (crypto_sign_verify_detached(sodium_signature, payload, sizeof payload - 1, sodium_public) != 0) {
		exit(1);
	}
}
#endif

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static double median(double *times, size_t count)
{
	qsort(times, count, sizeof *times, compare);
	return times[count / 2];
}

typedef struct measured {
	const char *name;
	void (*function)(void);
	double times[ROUNDS], median;
} measured;

/* Measures functions. They take turns, so that a busy moment hits all alike. */
static void measure(measured *functions, size_t count)
{
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < count; i++) {
			double start = microseconds();
			for (int call = 0; call < CALLS; call++) {
				functions[i].function();
			}
			functions[i].times[round] = (microseconds() - start) / CALLS;
		}
	}
	for (size_t i = 0; i < count; i++) {
		functions[i].median = median(functions[i].times, ROUNDS);
	}
}

int main(void)
{
	agentassert_error error;
	static const unsigned char entropy[32] = {1};
	const agentassert_options options = {.size = sizeof options, .instances = 1};
	long before = resident_kib();
	double load[ROUNDS], first[ROUNDS];
	for (int round = 0; round < ROUNDS; round++) {
		char *made;
		agentassert_close(core);
		double start = microseconds();
		check(agentassert_open(&options, &core, &error), &error);
		load[round] = microseconds() - start;
		if (round == 0) {
			check(agentassert_generate_key(core, NULL, entropy, sizeof entropy, &private_key, &public_key,
						       &error),
			      &error);
			agentassert_forget(core);
		}
		start = microseconds();
		check(agentassert_assert(core, private_key, "agent-rt-2", "task-4", now, &made, NULL, &error), &error);
		first[round] = microseconds() - start;
		agentassert_free(made);
	}
	check(agentassert_assert(core, private_key, "agent-rt-2", "task-4", 1795533368, &header, NULL, &error), &error);
	measured own[] = {{.function = make_header}, {.function = verify_header}, {.function = make_header_json}};
	measure(own, 3); /* before the peers take memory */
	double memory = (double)(resident_kib() - before);

	measured all[FUNCTIONS] = {
	    {.function = make_header}, {.function = verify_header}, {.function = make_header_json}};
	size_t count = 3;
	const char *goal = "";
#if defined(HAVE_OPENSSL)
	openssl_key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, entropy, sizeof entropy);
	size_t size = sizeof openssl_signature;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_DigestSignInit(context, NULL, NULL, NULL, openssl_key);
	EVP_DigestSign(context, openssl_signature, &size, payload, sizeof payload - 1);
	EVP_MD_CTX_free(context);
	all[count++] = (measured){.name = "OpenSSL", .function = sign_openssl};
	all[count++] = (measured){.function = verify_openssl};
	goal = "\"peer\":\"OpenSSL\",\"goal\":4,"; /* a header in so many of its signatures */
#endif
#if defined(HAVE_SODIUM)
	if (sodium_init() < 0) {
		return 1;
	}
	crypto_sign_seed_keypair(sodium_public, sodium_secret, entropy);
	all[count++] = (measured){.name = "libsodium", .function = sign_sodium};
	all[count++] = (measured){.function = verify_sodium};
	sign_sodium();
#endif
	measure(all, count);
#if WASM_RT_MEMCHECK_GUARD_PAGES
	const char *form = "translated to C, guard pages";
#else
	const char *form = "translated to C, bounds checked";
#endif
	double loaded = median(load, ROUNDS), signed_first = median(first, ROUNDS);
	printf("{\"engines\":[");
	for (int json = 0; json < 2; json++) {
		printf("%s{\"name\":\"%s%s\",%s\"load\":%.2f,\"first\":%.2f,\"header\":%.2f,\"verify\":%.2f,\"memory\":"
		       "%.0f}",
		       json ? "," : "", form, json ? ", called in JSON" : "", goal, loaded, signed_first,
		       all[json ? 2 : 0].median, all[1].median, memory);
	}
	printf("],\"peers\":[");
	for (size_t i = 3; i < count; i += 2) {
		printf("%s{\"name\":\"%s\",\"sign\":%.2f,\"verify\":%.2f}", i > 3 ? "," : "", all[i].name,
		       all[i].median, all[i + 1].median);
	}
	printf("]}\n");
#if defined(HAVE_OPENSSL)
	EVP_PKEY_free(openssl_key);
#endif
	agentassert_free(header);
	agentassert_free(private_key);
	agentassert_free(public_key);
	agentassert_close(core);
	return 0;
}
