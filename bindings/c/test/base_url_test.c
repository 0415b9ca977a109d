/* Tests of what is below the base URL, and of which hosts get what. */
#define _DEFAULT_SOURCE
#include <string.h>
#include <strings.h>

#include "base_url.h"
#include "check.h"
#include "decision.h"
#include "text.h"
#include "vectors.h"

#define BASE "https://chatgpt.com/backend-api"

static aa_arena *arena;

static int is_below(const char *base, aa_bytes url)
{
	aa_bytes rest;
	return aa_path_below(arena, aa_text_of(base), url, &rest) == 0;
}

static int is_path_below(const char *path)
{
	return is_below(BASE, aa_format(arena, "%s%s", BASE, path));
}

static void test_paths(void)
{
	/* Paths that lead upwards for some server or other. */
	static const char *const above[] = {
	    "/..", "/../x", "/x/../../y", "/..?x", "/..#x",
	    /* Decoded, as often as it takes. */
	    "/%2e%2e/x", "/.%2E/x", "/%252e%252e/x", "/%25252525252e./x", "/%2525252525252525252525252e/x",
	    "/%2%65%2e/x", "/%25%32%65./x",
	    /* Separators that are none for others. */
	    "/..%2fx", "/x%5c..%5cy", "/..%255cx", "/..;/x", "/..;a=b/x", "/x;..", "/%2e%2e%3bx",
	    /* What some servers leave out. */
	    "/..%20/x", "/%20../x", "/.%20./x", "/%2e%2e%00/x", "/..%00x/../y", "/.%09./x", "/..%0a/x", "/..%0d%0a",
	    "/..%7f/x", "/..%2520/x", "/.%2500./x", "/%2%00e%2e/x",
	    /* More dots than two. */
	    "/.../x", "/..../x", "/%2e%2e%2e/x%2E", "/%2e%2e%2e/x%2e%2E", "/...%20",
	    /* A dot, a slash and a backslash in more bytes than they take. */
	    "/%c0%ae%c0%ae/x", "/%c0%ae./x", "/..%c0%afx", "/..%c1%9cx", "/%e0%80%ae%e0%80%ae/x", "/%f0%80%80%ae./x",
	    "/%25c0%25ae./x"};
	/* Paths that look alike, and stay where they are. */
	static const char *const below[] = {"",           "/",
					    "//",         "/.",
					    "/./x",       "/%2e/x",
					    "/a..b",      "/..a/b..",
					    "/%2e%2ea",   "/a%20b",
					    "/%20/x",     "/100%",
					    "/%zz",       "/%2",
					    "/a%252fb",   "/a;b=..c",
					    "/x?../../y", "/x?a=%2e%2e/",
					    "/x#/../y",   "/%c3%a9",
					    "/%e0%a4%85", "/%f0%9f%99%82",
					    "/%ff",       "/@me/a:b"};
	for (size_t i = 0; i < sizeof above / sizeof above[0]; i++) {
		CHECK(!is_path_below(above[i]), "%s", above[i]);
	}
	for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
		CHECK(is_path_below(below[i]), "%s", below[i]);
	}
}

static void test_places(void)
{
	static const struct {
		const char *base, *url;
		int is_below;
	} cases[] = {
	    {"https://ChatGPT.com/x", "https://chatgpt.com:443/x/y", 1},
	    {"http://localhost:80", "http://localhost/x", 1},
	    {"http://[::1]:8080", "http://[::1]:8080/x", 1},
	    {"https://chatgpt.com:0443", "https://chatgpt.com/x", 1},
	    {BASE, "http://chatgpt.com/backend-api/x", 0},
	    {BASE, "https://chatgpt.com.evil.example/backend-api/x", 0},
	    {BASE, "https://xchatgpt.com/backend-api/x", 0},
	    {BASE, "https://chatgpt.com:444/backend-api/x", 0},
	    {BASE, "https://chatgpt.com/backend-apix", 0},
	    {BASE, "https://chatgpt.com/Backend-api/x", 0},
	    {BASE, "https://chatgpt.com/backend%2dapi/x", 0},
	    {BASE, "https://user@chatgpt.com/backend-api/x", 0},
	    {BASE, "https://user:password@chatgpt.com/backend-api/x", 0},
	    {BASE, "https://@chatgpt.com/backend-api/x", 0},
	    {BASE, "https://chatgpt.com@evil.example/backend-api/x", 0},
	    {BASE, "https://chatgpt.com\\backend-api/x", 0},
	    {BASE, BASE "/x\\y", 0},
	    {BASE, BASE "/x y", 0},
	    {BASE, BASE "/.\t./x", 0},
	    {BASE, BASE "/x\r\nHost: evil.example", 0},
	    {BASE, BASE "/x\x7f", 0},
	    {BASE, BASE "/\xc3\xa9", 0},
	    {BASE, "//chatgpt.com/backend-api/x", 0},
	    {BASE, "https:///backend-api/x", 0},
	    {BASE, "wss://chatgpt.com/backend-api/x", 0},
	    {BASE, "", 0},
	    {"", "", 0},
	    {BASE "?x", BASE "?x", 0},
	    {"https://u@chatgpt.com", "https://u@chatgpt.com/x", 0},
	    {"https://", "https:///x", 0},
	    {"https://chatgpt.com:0", "https://chatgpt.com:0/x", 0},
	    {"https://chatgpt.com:65536", "https://chatgpt.com:65536/x", 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CHECK(is_below(cases[i].base, aa_text_of(cases[i].url)) == cases[i].is_below, "%s", cases[i].url);
	}
	CHECK(!is_below(BASE, (aa_bytes){BASE "/x\0y", sizeof BASE + 3}), "a zero");
}

static void test_encryption(void)
{
	static const struct {
		const char *url, *code;
	} cases[] = {
	    {"https://chatgpt.com/backend-api", ""},
	    {"http://localhost:8080/x", ""},
	    {"http://LOCALHOST", ""},
	    {"http://127.0.0.1", ""},
	    {"http://127.1.2.3:80", ""},
	    {"http://[::1]:8080", ""},
	    {"http://chatgpt.com", "insecure_base_url"},
	    {"http://192.168.0.1", "insecure_base_url"},
	    {"http://128.0.0.1", "insecure_base_url"},
	    {"http://127.0.0.1.evil.example", "insecure_base_url"},
	    {"http://127.evil.example", "insecure_base_url"},
	    {"http://localhost.evil.example", "insecure_base_url"},
	    {"http://evil.localhost", "insecure_base_url"},
	    {"http://127.0.0.1@evil.example", "invalid_base_url"},
	    {"http://evil.example/127.0.0.1", "insecure_base_url"},
	    {"http://[::2]", "insecure_base_url"},
	    {"http://0.0.0.0", "insecure_base_url"},
	    {"ws://localhost", "invalid_base_url"},
	    {"http://", "invalid_base_url"},
	    {"/backend-api", "invalid_base_url"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		agentassert_error error = {{0}, {0}};
		aa_check_secure("base_url", aa_text_of(cases[i].url), &error);
		CHECK(strcmp(error.code, cases[i].code) == 0, "%s: %s", cases[i].url, error.code);
	}
}

static void test_normalized(void)
{
	static const struct {
		const char *configured, *normalized, *code;
	} cases[] = {
	    {"https://chatgpt.com", "https://chatgpt.com/backend-api", ""},
	    {"https://chatgpt.com/backend-api/codex/", "https://chatgpt.com/backend-api", ""},
	    {"https://ChatGPT.com:443/codex", "https://ChatGPT.com:443", ""},
	    {"https://chatgpt.com", "https://evil.example/backend-api", "policy_violation"},
	    {"https://chatgpt.com", "https://chatgpt.com.evil.example", "policy_violation"},
	    {"https://chatgpt.com", "https://chatgpt.com@evil.example", "policy_violation"},
	    {"https://chatgpt.com", "https://user@chatgpt.com", "policy_violation"},
	    {"https://chatgpt.com", "http://chatgpt.com", "policy_violation"},
	    {"https://chatgpt.com", "https://chatgpt.com:444", "policy_violation"},
	    {"https://chatgpt.com/a/b", "https://chatgpt.com/c", "policy_violation"},
	    {"https://chatgpt.com/abc", "https://chatgpt.com/ab", "policy_violation"},
	    {"https://chatgpt.com", "https://chatgpt.com/share", "policy_violation"},
	    {"https://chatgpt.com/a", "https://chatgpt.com/a/..", "policy_violation"},
	    {"https://chatgpt.com", "https://chatgpt.com?", "policy_violation"},
	    {"https://chatgpt.com", "https://chatgpt.com#", "policy_violation"},
	    {"https://chatgpt.com", "https://chatgpt.com\\", "policy_violation"},
	    {"https://chatgpt.com", "https://chatgpt.com/", "policy_violation"},
	    {"https://chatgpt.com", "https:/chatgpt.com", "policy_violation"},
	    {"https://chatgpt.com", "", "policy_violation"},
	    {"chatgpt.com", "https://chatgpt.com", "invalid_base_url"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		agentassert_error error = {{0}, {0}};
		aa_check_base_url(aa_text_of(cases[i].configured), aa_text_of(cases[i].normalized), &error);
		CHECK(strcmp(error.code, cases[i].code) == 0, "%s, %s: %s", cases[i].configured, cases[i].normalized,
		      error.code);
	}
}

/* The module's answers of the vectors are what this library would believe. */
static void test_vectors(const char *folder)
{
	int bases = 0, hosts = 0, locations = 0, paths = 0, surfaces = 0;
	for (const aa_value *v = first_vector(arena, folder, "base-urls"); v; v = v->next) {
		const aa_value *params = aa_get_map(v, "params"), *ok = aa_get_map(v, "ok");
		const char *id = aa_copy(arena, aa_get_text(v, "id")).data;
		struct aa_place place;
		if (!ok) {
			continue;
		}
		CHECK(!aa_check_base_url(aa_get_text(params, "url"), aa_get_text(ok, "base_url"), NULL), "%s", id);
		CHECK(!aa_place_of(aa_get_text(ok, "base_url"), &place) &&
			  aa_equal(place.host, aa_get_text(ok, "host")),
		      "%s", id);
		int is_supported = aa_is_supported_host(place.host, aa_get_array(params, "trusted_hosts"));
		CHECK(is_supported == aa_get_boolean(ok, "supported"), "%s", id);
		bases++;
		hosts += is_supported;
	}
	for (const aa_value *v = first_vector(arena, folder, "surfaces"); v; v = v->next) {
		static const char *const scopes[] = {"", "background", "thread", "bearer-only"};
		const aa_value *params = aa_get_map(v, "params"), *ok = aa_get_map(v, "ok");
		aa_bytes method = aa_get_text(v, "method"), surface = aa_get_text(ok, "surface"), rest = AA_LITERAL("");
		const char *id = aa_copy(arena, aa_get_text(v, "id")).data;
		CHECK(surface.size == 0 || aa_is(aa_get_text(ok, "scope"), scopes[aa_scope_of(surface)]), "%s", id);
		surfaces += surface.size > 0;
		if (aa_is(method, "surface.locate")) {
			int is_inside =
			    !aa_path_below(arena, aa_get_text(params, "base_url"), aa_get_text(params, "url"), &rest);
			CHECK(is_inside == aa_get_boolean(ok, "inside"), "%s", id);
			CHECK(!is_inside || aa_is(surface, aa_surface_of(rest)), "%s", id);
			locations++;
		}
		if (aa_is(method, "surface.match") && ok) {
			rest = aa_get_text(params, "path");
			size_t size = 0;
			while (size < rest.size && rest.data[size] != '?') {
				size++;
			}
			CHECK(aa_is(surface, aa_surface_of((aa_bytes){rest.data, size})), "%s", id);
			paths++;
		}
	}
	CHECK(bases > 70 && hosts > 30 && locations > 200 && paths > 100 && surfaces > 200,
	      "%d base URLs, %d hosts, %d locations, %d paths, %d surfaces; are all of them read?", bases, hosts,
	      locations, paths, surfaces);
}

/* The same numbers in every run, below a bound (xorshift). */
static size_t next(size_t below)
{
	static uint64_t seed = 88172645463325252U;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (size_t)(seed % below);
}

/* Whatever a URL is made of, what is below goes to the base URL's server, and stays below. */
static void test_any_url(void)
{
	static const char pieces[] = "/.%2eEfF5cC;:@?#\\[]-_aZ0 \t\n\x7f\xc3\xa9";
	int below = 0;
	for (int i = 0; i < 200000; i++) {
		aa_arena *own = aa_arena_new();
		char url[64] = BASE "/";
		size_t size = strlen(url), changes = 1 + next(4);
		for (size_t j = next(8); j > 0; j--) {
			url[size++] = pieces[next(sizeof pieces)]; /* its zero, too */
		}
		while (--changes > 0) {
			url[next(size)] = pieces[next(sizeof pieces)];
		}
		aa_bytes rest;
		if (!aa_path_below(own, AA_LITERAL(BASE), (aa_bytes){url, size}, &rest)) {
			below++;
			CHECK(rest.size == 0 || rest.data[0] == '/', "%s", url);
			CHECK(strncasecmp(url, "https://chatgpt.com", 19) == 0 || memchr(url, '@', size) == NULL, "%s",
			      url);
			CHECK(!strstr(aa_copy(own, rest).data, "/../"), "%s", url);
		}
		aa_arena_free(own);
	}
	CHECK(below > 1000 && below < 190000, "%d are below", below);
}

int main(int count, char **arguments)
{
	REQUIRE(count == 2, "usage: base_url_test VECTORS");
	arena = aa_arena_new();
	test_paths();
	test_places();
	test_encryption();
	test_normalized();
	test_any_url();
	test_vectors(arguments[1]);
	aa_arena_free(arena);
	return test_result();
}
