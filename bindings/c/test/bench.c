/* Measures what a user of the library waits for, beside what the bare signature would take,
 * and prints it as JSON: times in microseconds, memory in KiB. */
#define _POSIX_C_SOURCE 200809L

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agentassert.h"
#include "value.h"

#if defined(HAVE_OPENSSL)
#include <openssl/evp.h>
#endif
#if defined(HAVE_SODIUM)
#include <sodium.h>
#endif

/* How many calls a run has, and how many runs there are: the fastest counts, for what else the
 * machine does makes it only slower. */
enum { CALLS = 100, RUNS = 40 };

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

static void code_message(void)
{
	aa_arena *arena = aa_arena_new();
	aa_value *params = aa_map(arena), *decoded;
	aa_bytes message;
	aa_set(params, "private_key", aa_text(arena, (aa_bytes){private_key, strlen(private_key)}));
	aa_set(params, "agent_runtime_id", aa_text(arena, AA_LITERAL("agent-rt-2")));
	aa_set(params, "task_id", aa_text(arena, AA_LITERAL("task-4")));
	aa_set(params, "now", aa_integer(arena, now));
	if (aa_encode_cbor(arena, params, &message) != AA_OK || aa_decode_cbor(arena, message, &decoded) != AA_OK) {
		exit(1);
	}
	aa_arena_free(arena);
}

static void open_core(void)
{
	agentassert_error error;
	agentassert *opened;
	check(agentassert_open(NULL, &opened, &error), &error);
	agentassert_close(opened);
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

static const char *separator = "";

static void print(const char *name, double value)
{
	printf("%s\n  \"%s\": %.2f", separator, name, value);
	separator = ",";
}

/* Prints how long a function takes. */
static void measure(const char *name, void (*function)(void), int calls)
{
	double best = 0;
	for (int run = 0; run < RUNS; run++) {
		double start = microseconds();
		for (int i = 0; i < calls; i++) {
			function();
		}
		double taken = (microseconds() - start) / calls;
		best = run == 0 || taken < best ? taken : best;
	}
	print(name, best);
}

int main(void)
{
	agentassert_error error;
	static const unsigned char entropy[32] = {1};
	/* Before the first instance: this run makes no other before it. */
	long before = resident_kib();
	double start = microseconds();
	printf("{");
	check(agentassert_open(&(agentassert_options){.size = sizeof(agentassert_options), .instances = 1}, &core,
			       &error),
	      &error);
	print("open_first_us", microseconds() - start);
	print("memory_opened_kib", (double)(resident_kib() - before));
	check(agentassert_generate_key(core, NULL, entropy, sizeof entropy, &private_key, &public_key, &error), &error);
	agentassert_forget(core);

	start = microseconds();
	make_header();
	print("first_header_after_forget_us", microseconds() - start);
	agentassert *fresh;
	double best = 0;
	for (int run = 0; run < RUNS; run++) {
		check(agentassert_open(NULL, &fresh, &error), &error);
		start = microseconds();
		char *made;
		check(agentassert_assert(fresh, private_key, "agent-rt-2", "task-4", now, &made, NULL, &error), &error);
		double taken = microseconds() - start;
		best = run == 0 || taken < best ? taken : best;
		agentassert_free(made);
		agentassert_close(fresh);
	}
	print("first_header_us", best);
	check(agentassert_assert(core, private_key, "agent-rt-2", "task-4", 1795533368, &header, NULL, &error), &error);
	measure("header_us", make_header, CALLS);
	print("memory_after_headers_kib", (double)(resident_kib() - before));
	measure("header_json_us", make_header_json, CALLS);
	measure("verify_us", verify_header, CALLS / 4);
	measure("codec_round_trip_us", code_message, 10 * CALLS);
	measure("open_and_close_us", open_core, 10);
#if defined(HAVE_OPENSSL)
	openssl_key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, entropy, sizeof entropy);
	size_t size = sizeof openssl_signature;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_DigestSignInit(context, NULL, NULL, NULL, openssl_key);
	EVP_DigestSign(context, openssl_signature, &size, payload, sizeof payload - 1);
	EVP_MD_CTX_free(context);
	measure("openssl_sign_us", sign_openssl, CALLS);
	measure("openssl_verify_us", verify_openssl, CALLS);
	EVP_PKEY_free(openssl_key);
#endif
#if defined(HAVE_SODIUM)
	if (sodium_init() < 0) {
		return 1;
	}
	crypto_sign_seed_keypair(sodium_public, sodium_secret, entropy);
	measure("libsodium_sign_us", sign_sodium, CALLS);
	measure("libsodium_verify_us", verify_sodium, CALLS);
#endif
	printf("\n}\n");
	agentassert_free(header);
	agentassert_free(private_key);
	agentassert_free(public_key);
	agentassert_close(core);
	return 0;
}
