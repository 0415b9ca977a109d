#include "posix.h"

#include "missing_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file_paths.h"
#include "file_system.h"
#include "text.h"

/* How much of the client's configuration is looked at, in bytes. */
#define MAX_CONFIG ((size_t)1 << 20)

/* The setting by which it says that there is no auth.json, or only where there is no keyring. */
#define SETTING "cli_auth_credentials_store"

static aa_bytes skip_blanks(aa_bytes line)
{
	while (line.size > 0 && (line.data[0] == ' ' || line.data[0] == '\t')) {
		line = aa_after(line, 1);
	}
	return line;
}

/* Reports whether a line of the configuration has the sign-in kept in the keyring. */
static int is_keyring_setting(aa_bytes line)
{
	line = skip_blanks(line);
	if (!aa_begins(line, SETTING)) {
		return 0;
	}
	line = skip_blanks(aa_after(line, sizeof SETTING - 1));
	if (!aa_begins(line, "=")) {
		return 0;
	}
	line = skip_blanks(aa_after(line, 1));
	if (!aa_begins(line, "\"") && !aa_begins(line, "'")) {
		return 0;
	}
	line = aa_after(line, 1);
	aa_bytes rest = aa_after(line, aa_begins(line, "keyring") ? 7 : aa_begins(line, "auto") ? 4 : line.size);
	return aa_begins(rest, "\"") || aa_begins(rest, "'");
}

/* Reads the client's configuration, which is the user's own, and often a link. */
static aa_bytes read_config(aa_arena *arena, const char *path)
{
	aa_bytes config = {"", 0};
	aa_file_failure ignored;
	const char *folder = aa_folder_of(arena, path);
	const char *name = folder == NULL ? NULL : aa_format(arena, "%s/config.toml", folder).data;
	const char *found = name == NULL ? NULL : aa_resolve_target(arena, name);
	int fd;
	if (found != NULL && aa_open_regular(found, O_RDONLY, &fd, &ignored) == 0) {
		if (aa_read_beginning(arena, fd, MAX_CONFIG, &config, &ignored) != 0) {
			config = AA_LITERAL("");
		}
		close(fd);
	}
	return config;
}

static int is_in_keyring(aa_arena *arena, const char *path)
{
	for (aa_bytes rest = read_config(arena, path); rest.size > 0;) {
		const char *end = memchr(rest.data, '\n', rest.size);
		size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);
		if (is_keyring_setting((aa_bytes){rest.data, size})) {
			return 1;
		}
		rest = aa_after(rest, size + 1);
	}
	return 0;
}

/* Reports whether a path begins with somebody's home, as only shells know it. */
static int is_tilde(const char *path)
{
	return path[0] == '~';
}

static const aa_value *problem(aa_arena *arena, const char *code, aa_bytes message)
{
	aa_value *text = message.data == NULL ? NULL : aa_text(arena, message);
	return aa_set(aa_set(aa_map(arena), "code", aa_text(arena, aa_text_of(code))), "message", text);
}

const aa_value *aa_missing_file(aa_arena *arena, const char *given, const char *path)
{
	if (is_tilde(given)) {
		return problem(
		    arena, "auth_file_tilde",
		    aa_format(arena,
			      "there is no %s: a tilde is a shell's to replace; write the folder out, or put "
			      "the value of HOME before the rest",
			      given));
	}
	if (is_in_keyring(arena, path)) {
		return problem(arena, "auth_file_keyring",
			       aa_format(arena,
					 "there is no %s: the client's config.toml has it keep the sign-in in the "
					 "system's keyring; set cli_auth_credentials_store to \"file\" and sign in "
					 "again, or give the manager credentials",
					 path));
	}
	return problem(arena, "auth_file_missing",
		       aa_format(arena, "there is no %s; check the path, or sign in", path));
}
