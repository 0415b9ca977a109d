/* What is inside the base URL, and which hosts are supported, is decided here, and not by the
 * module: whoever decides that decides who gets the user's token. */
#ifndef AGENTASSERT_BASE_URL_H
#define AGENTASSERT_BASE_URL_H

#include "agentassert.h"
#include "value.h"

/* The longest host (RFC 1035). */
enum { AA_LONGEST_HOST = 253 };

/* What two URLs have in common if they lead to one server, and the path. */
struct aa_place {
	int is_https;
	/* Of a name or an address, in lower case, without brackets; it points into name. */
	aa_bytes host;
	/* The scheme's own where the URL has none. */
	unsigned port;
	/* As it is written, with nothing decoded. */
	aa_bytes path;
	char name[AA_LONGEST_HOST];
};

/* Takes a URL apart that has neither query nor fragment, user info, spaces, backslashes, nor
 * anything beyond ASCII. Returns 0, or -1 if it is none. */
int aa_place_of(aa_bytes url, struct aa_place *place);

/* Gets the rest of a URL's path that is the base URL's or below, without the query. Returns 0, or
 * -1 if it is elsewhere: only what is below may be authorized.
 *
 * A URL below has the same scheme, host and port, and its path, with nothing decoded, is the base
 * URL's or goes on with a slash. What one reader could take for something else is not below: a
 * path that leads upwards for a server that decodes it, however often, among them. */
int aa_path_below(aa_arena *arena, aa_bytes base_url, aa_bytes url, aa_bytes *rest);

/* Reports whether background calls to a host carry assertions. The list may be NULL. */
int aa_is_supported_host(aa_bytes host, const aa_value *trusted_hosts);

/* Reports whether calls to responses may be sent to an origin, with what they carry: it is one with
 * https, written without a path, and its host is supported or trusted. */
int aa_is_supported_origin(aa_bytes origin, const aa_value *trusted_hosts);

/* Refuses a URL to which credentials would go unencrypted: one with http that leads to another
 * machine. Errors: insecure_base_url, invalid_base_url. */
int aa_check_secure(const char *option, aa_bytes url, agentassert_error *error);

/* Wants the base URL that the module has made of the configured one to stand for it: it has that
 * one's origin, and its path up to some slash, with or without "/backend-api" after it.
 * Errors: policy_violation, invalid_base_url. */
int aa_check_base_url(aa_bytes configured, aa_bytes normalized, agentassert_error *error);

#endif
