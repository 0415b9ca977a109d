#include "base_url.h"

#include <string.h>

#include "call.h"
#include "text.h"
#include "untrusted.h"

static size_t index_of(aa_bytes text, const char *any)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] != 0 && strchr(any, text.data[i])) {
			return i;
		}
	}
	return text.size;
}

static aa_bytes before(aa_bytes text, size_t n)
{
	return (aa_bytes){text.data, n < text.size ? n : text.size};
}

/* Takes the beginning of a text off, up to a separator or the whole of it. Returns 0 at its end. */
static int next_part(aa_bytes *text, int *has_more, char separator, aa_bytes *part)
{
	if (!*has_more) {
		return 0;
	}
	const char any[2] = {separator, 0};
	size_t n = index_of(*text, any);
	*part = before(*text, n);
	*has_more = n < text->size;
	*text = aa_after(*text, n + 1);
	return 1;
}

/* Reads a decimal number without sign and without zeroes before it. */
static int decimal(aa_bytes text, unsigned most, unsigned *n)
{
	*n = 0;
	if (text.size == 0 || text.size > 5 || (text.size > 1 && text.data[0] == '0') ||
	    !aa_has_only(text, "", '0', '9')) {
		return -1;
	}
	for (size_t i = 0; i < text.size; i++) {
		*n = *n * 10 + (unsigned)(text.data[i] - '0');
	}
	return *n <= most ? 0 : -1;
}

static int is_ipv4(aa_bytes text)
{
	int count = 0, more = 1;
	unsigned n = 0;
	for (aa_bytes part; next_part(&text, &more, '.', &part); count++) {
		if (decimal(part, 255, &n)) {
			return 0;
		}
	}
	return count == 4;
}

/* Counts the groups of 16 bits in one half of an IPv6 address, or returns -1. At its end an IPv4
 * address can stand for two. */
static int groups_in(aa_bytes text, int may_end_in_ipv4)
{
	int count = 0, more = text.size > 0;
	for (aa_bytes group; next_part(&text, &more, ':', &group); count++) {
		if (!more && may_end_in_ipv4 && is_ipv4(group)) {
			count++;
			continue;
		}
		if (group.size < 1 || group.size > 4 || !aa_has_only(group, "abcdef", '0', '9') || count > 8) {
			return -1;
		}
	}
	return count;
}

/* Reports whether text in lower case is an IPv6 address (RFC 3986, section 3.2.2): there are no
 * zones in a URL's host. */
static int is_ipv6(aa_bytes text)
{
	for (size_t i = 0; i + 1 < text.size; i++) {
		if (text.data[i] == ':' && text.data[i + 1] == ':') {
			int first = groups_in(before(text, i), 0), last = groups_in(aa_after(text, i + 2), 1);
			return first >= 0 && last >= 0 && first + last < 8;
		}
	}
	return groups_in(text, 1) == 8;
}

/* Reads a host name, an IPv4 address, or an IPv6 address, whose brackets may be missing where
 * nothing is behind it. name has room for it in lower case. */
static int host_of(aa_bytes text, int may_lack_brackets, char name[AA_LONGEST_HOST], aa_bytes *host)
{
	int is_bracketed = text.size >= 2 && text.data[0] == '[' && text.data[text.size - 1] == ']';
	if (is_bracketed) {
		text = before(aa_after(text, 1), text.size - 2);
	}
	if (text.size == 0 || text.size > AA_LONGEST_HOST) {
		return -1;
	}
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		name[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
	}
	*host = (aa_bytes){name, text.size};
	if (is_bracketed || (may_lack_brackets && is_ipv6(*host))) {
		return is_ipv6(*host) ? 0 : -1;
	}
	for (size_t i = 0; i + 1 < host->size; i++) {
		if (name[i] == '.' && name[i + 1] == '.') {
			return -1;
		}
	}
	return name[0] != '.' && aa_has_only(*host, "0123456789._-", 'a', 'z') ? 0 : -1;
}

/* Reads a port, which can have zeroes before it. */
static int port_of(aa_bytes text, unsigned *port)
{
	while (text.size > 1 && text.data[0] == '0') {
		text = aa_after(text, 1);
	}
	return decimal(text, 65535, port) || *port == 0 ? -1 : 0;
}

int aa_place_of(aa_bytes url, struct aa_place *place)
{
	place->is_https = aa_begins(url, "https://");
	if (!place->is_https && !aa_begins(url, "http://")) {
		return -1;
	}
	if (!aa_has_only(url, "", 0x21, 0x7e) || index_of(url, "\\") < url.size) {
		return -1;
	}
	aa_bytes rest = aa_after(url, place->is_https ? 8 : 7);
	aa_bytes authority = before(rest, index_of(rest, "/"));
	place->path = aa_after(rest, authority.size);
	place->port = place->is_https ? 443 : 80;
	size_t colon = authority.size;
	for (size_t i = 0; i < authority.size && authority.data[authority.size - 1] != ']'; i++) {
		if (authority.data[i] == ':') {
			colon = i;
		}
	}
	if (colon < authority.size && port_of(aa_after(authority, colon + 1), &place->port)) {
		return -1;
	}
	return host_of(before(authority, colon), 0, place->name, &place->host);
}

static int same_origin(const struct aa_place *a, const struct aa_place *b)
{
	return a->is_https == b->is_https && a->port == b->port && aa_equal(a->host, b->host);
}

/* A path is read so often, each time decoded once more. One that has still more to decode is
 * nobody's. */
enum { most_decodings = 4 };

/* Reports whether text has bytes that no character begins with: strict readers refuse them, others
 * read a dot that is longer than it should be. */
static int has_overlong(aa_bytes path)
{
	for (size_t i = 0; i < path.size; i++) {
		unsigned char c = (unsigned char)path.data[i];
		unsigned char next = i + 1 < path.size ? (unsigned char)path.data[i + 1] : 0;
		if (c == 0xc0 || c == 0xc1 || (c == 0xe0 && next < 0xa0) || (c == 0xf0 && next < 0x90)) {
			return 1;
		}
	}
	return 0;
}

/* Reports whether a segment of a path is two dots, or more, for whoever takes a backslash for a
 * slash, or leaves out what follows a semicolon. */
static int has_dots(aa_bytes path)
{
	for (size_t i = 0, dots = 0, others = 0; i <= path.size; i++) {
		if (i == path.size || strchr("/\\;", path.data[i] ? path.data[i] : 'x')) {
			if (dots >= 2 && others == 0) {
				return 1;
			}
			dots = others = 0;
		} else if (path.data[i] == '.') {
			dots++;
		} else {
			others++;
		}
	}
	return 0;
}

static int digit_of(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Decodes a path in place, and leaves out spaces and control characters. Reports whether it was
 * another before. */
static int decode(char *path, size_t *size)
{
	size_t n = 0;
	int changed = 0;
	for (size_t i = 0; i < *size; i++) {
		unsigned char c = (unsigned char)path[i];
		if (c == '%' && i + 2 < *size && digit_of(path[i + 1]) >= 0 && digit_of(path[i + 2]) >= 0) {
			c = (unsigned char)(digit_of(path[i + 1]) * 16 + digit_of(path[i + 2]));
			i += 2;
			changed = 1;
		}
		if (c <= 0x20 || c == 0x7f) {
			changed = 1;
		} else {
			path[n++] = (char)c;
		}
	}
	*size = n;
	return changed;
}

/* Reports whether a path has a segment that leads upwards, for servers that resolve it: also those
 * that decode it first, once or several times, or leave out spaces or control characters. */
static int leads_up(aa_arena *arena, aa_bytes path)
{
	char *text = aa_alloc(arena, path.size);
	if (!text) {
		return 1;
	}
	memcpy(text, path.data, path.size);
	size_t size = path.size;
	for (int i = 0; i < most_decodings; i++) {
		if (has_overlong((aa_bytes){text, size}) || has_dots((aa_bytes){text, size})) {
			return 1;
		}
		if (!decode(text, &size)) {
			return 0;
		}
	}
	return 1;
}

int aa_path_below(aa_arena *arena, aa_bytes base_url, aa_bytes url, aa_bytes *rest)
{
	struct aa_place base, place;
	url = before(url, index_of(url, "?#"));
	if (index_of(base_url, "?#@\"<>^`{|}") < base_url.size || aa_place_of(base_url, &base) ||
	    aa_place_of(url, &place) || !same_origin(&base, &place) || place.path.size < base.path.size ||
	    !aa_equal(before(place.path, base.path.size), base.path)) {
		return -1;
	}
	*rest = aa_after(place.path, base.path.size);
	return (rest->size > 0 && rest->data[0] != '/') || leads_up(arena, *rest) ? -1 : 0;
}

int aa_is_supported_host(aa_bytes host, const aa_value *trusted_hosts)
{
	static const char *const public_hosts[] = {"chatgpt.com", "chat.openai.com", "chatgpt-staging.com", NULL};
	if (aa_is_among(host, public_hosts) || aa_ends(host, ".chatgpt.com") || aa_ends(host, ".chatgpt-staging.com")) {
		return 1;
	}
	for (const aa_value *each = trusted_hosts ? trusted_hosts->first : NULL; each; each = each->next) {
		char name[AA_LONGEST_HOST];
		aa_bytes trusted;
		if (!host_of(each->bytes, 1, name, &trusted) && aa_equal(trusted, host)) {
			return 1;
		}
	}
	return 0;
}

int aa_is_supported_origin(aa_bytes origin, const aa_value *trusted_hosts)
{
	struct aa_place place;
	return !aa_place_of(origin, &place) && place.is_https && place.path.size == 0 &&
	       aa_is_supported_host(place.host, trusted_hosts);
}

/* Reports whether a host is this machine. */
static int is_loopback(aa_bytes host)
{
	return aa_is(host, "localhost") || aa_is(host, "::1") || (is_ipv4(host) && aa_begins(host, "127."));
}

static int parsed(const char *option, aa_bytes url, struct aa_place *place, agentassert_error *error)
{
	if (index_of(url, "?#@") < url.size || aa_place_of(url, place)) {
		return aa_fail(error, "invalid_base_url", "the option %s is no absolute http or https URL", option);
	}
	return 0;
}

int aa_check_secure(const char *option, aa_bytes url, agentassert_error *error)
{
	struct aa_place place;
	if (parsed(option, url, &place, error)) {
		return -1;
	}
	if (!place.is_https && !is_loopback(place.host)) {
		return aa_fail(error, "insecure_base_url",
			       "the option %s has no https, so that everybody on the way could read the user's token; "
			       "use https, or set the option allow_http where the network is trusted",
			       option);
	}
	return 0;
}

/* Reports whether a text is the beginning of another, up to its end or a slash. */
static int is_beginning(aa_bytes text, aa_bytes of)
{
	return text.size <= of.size && aa_equal(text, before(of, text.size)) &&
	       (text.size == of.size || of.data[text.size] == '/');
}

int aa_check_base_url(aa_bytes configured, aa_bytes normalized, agentassert_error *error)
{
	struct aa_place given, made;
	if (parsed("base_url", configured, &given, error)) {
		return -1;
	}
	aa_bytes without = normalized;
	if (aa_ends(normalized, "/backend-api")) {
		without = before(normalized, normalized.size - strlen("/backend-api"));
	}
	if (index_of(normalized, "?#@") < normalized.size || aa_place_of(normalized, &made) ||
	    !same_origin(&given, &made) ||
	    !(is_beginning(normalized, configured) || is_beginning(without, configured))) {
		return aa_violation(error, "a base URL", "that the configured one does not stand for");
	}
	return 0;
}
