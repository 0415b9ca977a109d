#include <string.h>

#include "buffer.h"
#include "call.h"
#include "typed.h"

/* The text of an assertion, by its form, and where it goes. */
static const struct row {
	const char *form, *name;
	size_t offset;
} rows[] = {
    {"task", "agent_runtime_id", offsetof(agentassert_inspection, agent_runtime_id)},
    {"task", "task_id", offsetof(agentassert_inspection, task_id)},
    {"task", "timestamp", offsetof(agentassert_inspection, timestamp)},
    {"task", "signature", offsetof(agentassert_inspection, signature)},
    {"instance", "runtime_agent_instance", offsetof(agentassert_inspection, runtime_agent_instance)},
    {"instance", "id", offsetof(agentassert_inspection, id)},
    {"instance", "signature", offsetof(agentassert_inspection, signature)},
};

#define ROWS (sizeof rows / sizeof rows[0])

/* The members of a result, of the rows of its form; of others NULL. */
typedef struct members {
	const char *form;
	const aa_value *claims;
	const aa_value *texts[ROWS];
	size_t size; /* of all text, with the zero bytes */
} members;

/* Finds the members. Returns 0, or fails. */
static int find_members(const aa_value *result, members *found, agentassert_error *error)
{
	*found = (members){0};
	aa_bytes form = aa_get_text(result, "form");
	if (aa_equal(form, AA_LITERAL("task"))) {
		found->form = "task";
		found->claims = aa_get_map(result, "envelope");
	} else if (aa_equal(form, AA_LITERAL("instance"))) {
		found->form = "instance";
		found->claims = aa_get_map(result, "instance");
	}
	for (size_t i = 0; i < ROWS; i++) {
		if (found->claims == NULL) {
			return aa_fail(error, "sandbox_failed", "the core's answer is no inspection");
		}
		if (strcmp(rows[i].form, found->form) != 0) {
			continue;
		}
		const aa_value *text = aa_get(found->claims, rows[i].name);
		if (text == NULL || text->kind != AA_TEXT) {
			return aa_fail(error, "sandbox_failed", "the core's answer is no inspection");
		}
		if (text->bytes.size > 0 && memchr(text->bytes.data, 0, text->bytes.size) != NULL) {
			return aa_fail(error, "invalid_assertion", "%s has U+0000 in it, which text in C cannot",
				       rows[i].name);
		}
		found->texts[i] = text;
		found->size += text->bytes.size + 1;
	}
	return 0;
}

/* Makes an inspection of a result: one piece of memory, with the text behind the structure. */
static int make_inspection(const aa_value *result, agentassert_inspection **out, agentassert_error *error)
{
	members found;
	if (find_members(result, &found, error) != 0) {
		return -1;
	}
	agentassert_inspection *inspection = aa_buffer_new(sizeof *inspection + found.size);
	if (inspection == NULL) {
		return aa_fail(error, "sandbox_failed", "there is no memory for the core's answer");
	}
	inspection->form = found.form;
	inspection->canonical = aa_get_boolean(result, "canonical");
	inspection->iat = aa_get_integer(found.claims, "iat");
	char *text = (char *)(inspection + 1);
	for (size_t i = 0; i < ROWS; i++) {
		if (found.texts[i] == NULL) {
			continue;
		}
		aa_bytes bytes = found.texts[i]->bytes;
		if (bytes.size > 0) {
			memcpy(text, bytes.data, bytes.size);
		}
		*(const char **)((char *)inspection + rows[i].offset) = text;
		text += bytes.size + 1;
	}
	*out = inspection;
	return 0;
}

/* Makes the call, and ends it. */
static int inspect(aa_typed *call, const char *method, agentassert_inspection **inspection)
{
	if (inspection != NULL) {
		*inspection = NULL;
	}
	aa_typed_call(call, method);
	if (!call->failed && inspection != NULL) {
		call->failed = make_inspection(call->result, inspection, call->error);
	}
	return aa_typed_end(call);
}

static int verify(agentassert *core, const char *method, const char *public_key, const char *header, int64_t now,
		  int64_t skew, agentassert_inspection **inspection, agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, NULL, NULL, error);
	aa_typed_text(&call, "public_key", public_key);
	aa_typed_text(&call, "header", header);
	aa_typed_integer(&call, "now", now);
	aa_typed_integer(&call, "skew", skew);
	return inspect(&call, method, inspection);
}

int agentassert_inspect(agentassert *core, const char *header, agentassert_inspection **inspection,
			agentassert_error *error)
{
	aa_typed call = aa_typed_begin(core, NULL, NULL, error);
	aa_typed_text(&call, "header", header);
	return inspect(&call, "assertion.inspect", inspection);
}

int agentassert_verify(agentassert *core, const char *public_key, const char *header, int64_t now, int64_t skew,
		       agentassert_inspection **inspection, agentassert_error *error)
{
	return verify(core, "assertion.verify", public_key, header, now, skew, inspection, error);
}

int agentassert_verify_instance(agentassert *core, const char *public_key, const char *header, int64_t now,
				int64_t skew, agentassert_inspection **inspection, agentassert_error *error)
{
	return verify(core, "instance.verify", public_key, header, now, skew, inspection, error);
}
