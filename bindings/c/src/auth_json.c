#include "auth_json.h"

#include <string.h>

#include "base64.h"

/* Where an auth.json keeps the identity. */
#define IDENTITY "agent_identity"

/* An identity's members, which in some files stand in the document itself. */
static const char *const flat_members[] = {
    "agent_runtime_id", "agent_private_key",          "workspace_id",  "account_id",         "chatgpt_user_id", "email",
    "plan_type",        "chatgpt_account_is_fedramp", "registered_at", "background_task_id", "task_id",
};

/* Those of them that go with the identity. */
static const char *const removed_members[] = {"agent_runtime_id", "agent_private_key", "background_task_id", "task_id"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const aa_json *aa_auth_json_read(aa_auth_reader *reader, aa_bytes document)
{
	const aa_json *root;
	if (aa_json_read(reader->arena, document, AA_JSON_STORED_LIMIT, &root) == AA_NO_MEMORY) {
		reader->no_memory = 1;
	}
	return root != NULL && root->kind == AA_JSON_OBJECT ? root : NULL;
}

/* Returns an object's member that is not null, or NULL. */
static const aa_json *get_some(const aa_json *object, const char *name)
{
	const aa_json *member = aa_json_get(object, name);
	return member != NULL && member->kind != AA_JSON_NULL ? member : NULL;
}

/* Reports whether an identity's members stand in the document itself. */
static int is_flat(const aa_json *document)
{
	return aa_json_get_text(document, "agent_runtime_id").data != NULL &&
	       aa_json_get_text(document, "agent_private_key").data != NULL;
}

/* Returns the identity whose members stand in the document itself. */
static aa_bytes flat_identity(aa_auth_reader *reader, const aa_json *document)
{
	size_t room = 2;
	for (size_t i = 0; i < COUNT(flat_members); i++) {
		const aa_json *member = get_some(document, flat_members[i]);
		room += member == NULL ? 0 : strlen(flat_members[i]) + member->source.size + 4;
	}
	char *text = aa_alloc(reader->arena, room);
	if (text == NULL) {
		reader->no_memory = 1;
		return (aa_bytes){NULL, 0};
	}
	char *at = text;
	for (size_t i = 0; i < COUNT(flat_members); i++) {
		const aa_json *member = get_some(document, flat_members[i]);
		if (member == NULL) {
			continue;
		}
		size_t size = strlen(flat_members[i]);
		*at = at == text ? '{' : ',';
		at++;
		*at++ = '"';
		memcpy(at, flat_members[i], size);
		at += size;
		*at++ = '"';
		*at++ = ':';
		memcpy(at, member->source.data, member->source.size);
		at += member->source.size;
	}
	*at++ = '}';
	return (aa_bytes){text, (size_t)(at - text)};
}

/* Returns the text of the identity in a document; data is NULL if there is none. */
static aa_bytes identity_in(aa_auth_reader *reader, const aa_json *document)
{
	const aa_json *identity = get_some(document, IDENTITY);
	if (identity != NULL) {
		return identity->source;
	}
	return is_flat(document) ? flat_identity(reader, document) : (aa_bytes){NULL, 0};
}

int aa_auth_json_has_exactly(aa_auth_reader *reader, const aa_json *document, aa_bytes record)
{
	aa_bytes identity = identity_in(reader, document);
	return (identity.data == NULL) == (record.data == NULL) && aa_equal(identity, record);
}

int aa_auth_json_has(aa_auth_reader *reader, const aa_json *document, aa_bytes record)
{
	aa_bytes identity = identity_in(reader, document);
	return (identity.data == NULL) == (record.data == NULL) && aa_json_same_tokens(identity, record);
}

/* Reports whether a member of a document goes when its identity goes. */
static int is_removed(const aa_json *member, int with_flat)
{
	if (aa_equal(member->name, AA_LITERAL(IDENTITY))) {
		return 1;
	}
	for (size_t i = 0; with_flat && i < COUNT(removed_members); i++) {
		if (aa_equal(member->name, (aa_bytes){removed_members[i], strlen(removed_members[i])})) {
			return 1;
		}
	}
	return 0;
}

/* Returns the first of these members that stays, or NULL. */
static const aa_json *next_kept(const aa_json *member, int with_flat)
{
	while (member != NULL && is_removed(member, with_flat)) {
		member = member->next;
	}
	return member;
}

int aa_auth_json_is_replacement(const aa_json *after, const aa_json *before, aa_bytes record)
{
	const aa_json *identity = aa_json_get(after, IDENTITY);
	if ((identity == NULL) != (record.data == NULL) ||
	    (identity != NULL && !aa_json_same_tokens(identity->source, record))) {
		return 0;
	}
	int with_flat = record.data == NULL && is_flat(before);
	const aa_json *found = next_kept(after->first, 0), *kept = next_kept(before->first, with_flat);
	while (found != NULL && kept != NULL) {
		if (!aa_equal(found->name, kept->name) || !aa_equal(found->source, kept->source)) {
			return 0;
		}
		found = next_kept(found->next, 0);
		kept = next_kept(kept->next, with_flat);
	}
	return found == NULL && kept == NULL;
}

/* Returns the claims of a JWT, without a look at its signature, or NULL. */
static const aa_json *claims_in(aa_auth_reader *reader, aa_bytes jwt)
{
	const char *end = jwt.data == NULL ? NULL : jwt.data + jwt.size;
	const char *first = jwt.size == 0 ? NULL : memchr(jwt.data, '.', jwt.size);
	const char *second = first == NULL ? NULL : memchr(first + 1, '.', (size_t)(end - first - 1));
	if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL) {
		return NULL;
	}
	aa_bytes payload;
	aa_bytes encoded = {first + 1, (size_t)(second - first - 1)};
	const aa_json *claims = NULL;
	enum aa_codec_result result = aa_base64_decode(reader->arena, AA_BASE64_URL, encoded, &payload);
	if (result == AA_OK) {
		result = aa_json_read(reader->arena, payload, AA_JSON_NETWORK_LIMIT, &claims);
	}
	if (result == AA_NO_MEMORY) {
		reader->no_memory = 1;
	}
	return claims;
}

/* Adds a member if there is something in it: messages have no empty ones. */
static void add(aa_arena *arena, aa_value **map, const char *name, aa_bytes text)
{
	if (text.size > 0) {
		*map = aa_set(*map, name, aa_text(arena, text));
	}
}

static aa_value *new_credentials(aa_auth_reader *reader, const char *kind)
{
	aa_arena *arena = reader->arena;
	return aa_set(aa_map(arena), "kind", aa_text(arena, (aa_bytes){kind, strlen(kind)}));
}

/* Returns the first of two that is not empty. */
static aa_bytes one_of(aa_bytes a, aa_bytes b)
{
	return a.size > 0 ? a : b;
}

/* Returns the credentials of a document that has an identity and nobody's sign-in. */
static aa_value *of_identity(aa_auth_reader *reader, const aa_json *document)
{
	const aa_json *record = get_some(document, IDENTITY);
	if (record == NULL && is_flat(document)) {
		record = document;
	}
	if (record == NULL || record->kind != AA_JSON_OBJECT) {
		int is_jwt = record != NULL && record->kind == AA_JSON_STRING;
		return new_credentials(reader, is_jwt ? "other" : "none");
	}
	aa_bytes workspace = aa_json_get_text(record, "workspace_id");
	aa_value *c = new_credentials(reader, "agent-identity");
	add(reader->arena, &c, "account_id",
	    workspace.data != NULL ? workspace : aa_json_get_text(record, "account_id"));
	add(reader->arena, &c, "user_id", aa_json_get_text(record, "chatgpt_user_id"));
	add(reader->arena, &c, "email", aa_json_get_text(record, "email"));
	add(reader->arena, &c, "plan_type", aa_json_get_text(record, "plan_type"));
	if (aa_json_is_true(record, "chatgpt_account_is_fedramp")) {
		c = aa_set(c, "fedramp", aa_boolean(reader->arena, 1));
	}
	return c;
}

/* Returns the credentials of a user who has signed in. */
static aa_value *of_tokens(aa_auth_reader *reader, const aa_json *tokens)
{
	const aa_json *claims = claims_in(reader, aa_json_get_text(tokens, "id_token"));
	const aa_json *auth = aa_json_get(claims, "https://api.openai.com/auth");
	aa_value *c = new_credentials(reader, "chatgpt");
	add(reader->arena, &c, "access_token", aa_json_get_text(tokens, "access_token"));
	add(reader->arena, &c, "account_id",
	    one_of(aa_json_get_text(tokens, "account_id"), aa_json_get_text(auth, "chatgpt_account_id")));
	add(reader->arena, &c, "user_id",
	    one_of(aa_json_get_text(auth, "chatgpt_user_id"), aa_json_get_text(auth, "user_id")));
	add(reader->arena, &c, "email", aa_json_get_text(claims, "email"));
	add(reader->arena, &c, "plan_type", aa_json_get_text(auth, "chatgpt_plan_type"));
	if (aa_json_is_true(auth, "chatgpt_account_is_fedramp")) {
		c = aa_set(c, "fedramp", aa_boolean(reader->arena, 1));
	}
	return c;
}

static aa_value *credentials_in(aa_auth_reader *reader, const aa_json *document)
{
	aa_bytes mode = aa_json_get_text(document, "auth_mode");
	aa_bytes key = aa_json_get_text(document, "OPENAI_API_KEY");
	if (aa_equal(mode, AA_LITERAL("agentIdentity"))) {
		return of_identity(reader, document);
	}
	if (mode.data == NULL ? key.size > 0 : aa_equal(mode, AA_LITERAL("apikey"))) {
		aa_value *c = new_credentials(reader, key.size > 0 ? "api-key" : "none");
		add(reader->arena, &c, "access_token", key);
		return c;
	}
	if (mode.data != NULL && !aa_equal(mode, AA_LITERAL("chatgpt"))) {
		return new_credentials(reader, "other");
	}
	const aa_json *tokens = aa_json_get(document, "tokens");
	if (tokens != NULL && tokens->kind == AA_JSON_OBJECT) {
		return of_tokens(reader, tokens);
	}
	if (aa_json_get_text(document, "access_token").data == NULL) {
		return new_credentials(reader, "none");
	}
	return of_tokens(reader, document);
}

const aa_value *aa_auth_json_credentials(aa_auth_reader *reader, const aa_json *document)
{
	aa_value *credentials = credentials_in(reader, document);
	if (credentials == NULL) {
		reader->no_memory = 1;
	}
	return credentials;
}
