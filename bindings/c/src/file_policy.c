#include "file_policy.h"

#include <stdlib.h>
#include <string.h>

#include "auth_json.h"
#include "call.h"
#include "file_journal.h"
#include "kept.h"
#include "month.h"
#include "no_memory.h"
#include "text.h"
#include "untrusted.h"

/* The bounds. Each is as much as the core asks for, or a little above. A lock is waited for as
 * long as the client does, in milliseconds; a pause is 5. */
#define MAX_EFFECTS 1000
#define MAX_LOCK_MS 5000
#define MAX_WAIT_MS 10
/* How many names of the threads' months are looked at, and how many of other files. */
#define MAX_MONTHS 64
#define MAX_FILES 16
/* The largest file, and what a probe adds to one, in bytes. */
#define MAX_FILE ((size_t)512 << 10)
#define MAX_ROOM ((size_t)16 << 10)
/* How old a temporary is at the least that is nobody's, in seconds. */
#define LEFTOVER_AGE 3600
/* In how many months before this one a thread's record is looked for. */
#define MONTHS_BEFORE 3
/* How many months there are in one operation, how many temporaries, and how many folders are
 * listed: with these names there cannot be more. */
#define MAX_NOW 4
#define MAX_MADE 8
#define MAX_LISTED (MAX_MONTHS + 2)

/* A set of operations, as bits. */
enum operation { CREDENTIALS = 1, LOAD = 2, SAVE = 4, DELETE = 8, SWAP = 16, PROBE = 32 };

/* What an operation is about: auth.json, a thread's record, or another record. */
enum about { ABOUT_TARGET, ABOUT_THREAD, ABOUT_RECORD };

/* What is known of a file. */
enum found { NOT_READ, NO_FILE, A_FILE };

/* What became of a lock: nobody else can have it if it was had, or cannot be made. */
enum lock { NOT_ASKED, NOT_HAD, IS_HAD };

/* What is known of the journal: no more than of another file, or that it says nothing. */
enum journal_found { JOURNAL_NOT_READ, NO_JOURNAL, DAMAGED_JOURNAL, A_JOURNAL };

struct journal {
	enum journal_found found;
	aa_kept before, after;
};

/* A temporary of this operation's. */
struct made {
	aa_kept name, content;
	aa_kept target; /* what the target was when it was made */
	int has_attributes;
};

/* The names in a folder that was listed. */
struct listed {
	aa_kept folder;
	int failed;
	aa_kept names[MAX_MONTHS];
	size_t count;
};

struct aa_file_policy {
	enum operation operation;
	enum about about;
	aa_kept slot, expected, record;
	aa_month now[MAX_NOW]; /* the months that it has been since the operation began */
	size_t now_count;
	int effects;
	/* The effect before, if it was about the target. */
	enum aa_file_effect_type last;
	int is_last_of_target;
	/* The target as it was last read. */
	enum found target;
	aa_kept target_content;
	int64_t target_mode, target_links;
	/* What this operation has put in the target's place, and what is in the file that was
	 * there. */
	aa_kept installed, previous;
	aa_kept written; /* what was last written over the target */
	/* The journal that was there, and this operation's own. */
	struct journal journal, own_journal;
	int is_journal_tried;
	/* Whether the target is what a write that did not end has left, by the journal; and whether
	 * it still is, or is what this operation's own has. */
	int is_torn, is_broken;
	/* The record's file, or the thread's in the month that was last read. */
	enum found found;
	aa_kept found_name, found_content;
	struct made made[MAX_MADE];
	enum lock client_lock, target_lock;
	int is_unlocking;
	struct listed *listed[MAX_LISTED];
	size_t listed_count;
	/* Whether there was too little memory for something that was looked at. */
	int no_memory;
};

static const aa_bytes nothing = {NULL, 0};

/* Reports whether a name is that of a folder, a slash, and something. */
static int is_in(aa_bytes name, const char *folder, aa_bytes rest)
{
	size_t size = strlen(folder);
	return name.size == size + 1 + rest.size && memcmp(name.data, folder, size) == 0 && name.data[size] == '/' &&
	       aa_equal((aa_bytes){name.data + size + 1, rest.size}, rest);
}

/* Reports whether two records are the same, byte for byte; data NULL is none. */
static int is_same(aa_bytes a, aa_bytes b)
{
	return (a.data == NULL) == (b.data == NULL) && aa_equal(a, b);
}

static aa_bytes not_empty(aa_bytes bytes)
{
	return bytes.size > 0 ? bytes : nothing;
}

static void keep(aa_file_policy *p, aa_kept *kept, aa_bytes bytes)
{
	if (aa_keep(kept, bytes) != 0) {
		p->no_memory = 1;
	}
}

/* Fails for want of memory, if something was not kept or not looked at. */
static int check_memory(const aa_file_policy *p, agentassert_error *error)
{
	return p->no_memory ? aa_no_memory(error) : 0;
}

static enum operation operation_of(aa_bytes name)
{
	static const char *const names[] = {"credentials", "load", "save", "delete", "swap", "probe"};
	for (int i = 0; i < 6; i++) {
		if (aa_is(name, names[i])) {
			return (enum operation)(1 << i);
		}
	}
	return 0; /* which the core refuses */
}

aa_file_policy *aa_file_policy_new(const aa_value *start)
{
	aa_file_policy *p = calloc(1, sizeof *p);
	if (p == NULL) {
		return NULL;
	}
	aa_bytes slot = aa_get_text(start, "slot");
	p->operation = operation_of(aa_get_text(start, "operation"));
	if (p->operation == CREDENTIALS || (aa_is(slot, "identity") && !aa_get_boolean(start, "beside"))) {
		p->about = ABOUT_TARGET;
	} else {
		int is_thread = slot.size >= 7 && memcmp(slot.data, "thread/", 7) == 0;
		p->about = is_thread ? ABOUT_THREAD : ABOUT_RECORD;
	}
	keep(p, &p->slot, slot);
	keep(p, &p->expected, not_empty(aa_get_binary(start, "expected")));
	keep(p, &p->record, not_empty(aa_get_binary(start, "record")));
	if (p->no_memory) {
		aa_file_policy_free(p);
		return NULL;
	}
	return p;
}

static void drop_made(struct made *made)
{
	aa_drop(&made->name);
	aa_drop(&made->content);
	aa_drop(&made->target);
	made->has_attributes = 0;
}

void aa_file_policy_free(aa_file_policy *p)
{
	if (p == NULL) {
		return;
	}
	aa_kept *kept[] = {&p->slot,
			   &p->expected,
			   &p->record,
			   &p->target_content,
			   &p->installed,
			   &p->previous,
			   &p->written,
			   &p->journal.before,
			   &p->journal.after,
			   &p->own_journal.before,
			   &p->own_journal.after,
			   &p->found_name,
			   &p->found_content};
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
		aa_drop(kept[i]);
	}
	for (size_t i = 0; i < MAX_MADE; i++) {
		drop_made(&p->made[i]);
	}
	for (size_t i = 0; i < p->listed_count; i++) {
		struct listed *listed = p->listed[i];
		aa_drop(&listed->folder);
		for (size_t j = 0; j < listed->count; j++) {
			aa_drop(&listed->names[j]);
		}
		free(listed);
	}
	free(p);
}

static struct made *made_of(aa_file_policy *p, aa_bytes name)
{
	for (size_t i = 0; i < MAX_MADE; i++) {
		if (p->made[i].name.bytes.data != NULL && aa_equal(p->made[i].name.bytes, name)) {
			return &p->made[i];
		}
	}
	return NULL;
}

static struct listed *listed_of(const aa_file_policy *p, aa_bytes folder)
{
	for (size_t i = 0; i < p->listed_count; i++) {
		if (aa_equal(p->listed[i]->folder.bytes, folder)) {
			return p->listed[i];
		}
	}
	return NULL;
}

/* Returns a name in a folder that was listed, or NULL. */
static aa_kept *name_in(struct listed *listed, aa_bytes name)
{
	for (size_t i = 0; listed != NULL && i < listed->count; i++) {
		if (listed->names[i].bytes.data != NULL && aa_equal(listed->names[i].bytes, name)) {
			return &listed->names[i];
		}
	}
	return NULL;
}

static int has_names(const struct listed *listed)
{
	for (size_t i = 0; i < listed->count; i++) {
		if (listed->names[i].bytes.data != NULL) {
			return 1;
		}
	}
	return 0;
}

static void note_month(aa_file_policy *p, int64_t now)
{
	aa_month month = aa_month_before(now, 0);
	for (size_t i = 0; i < p->now_count; i++) {
		if (strcmp(p->now[i].text, month.text) == 0) {
			return;
		}
	}
	if (p->now_count < MAX_NOW) {
		p->now[p->now_count++] = month;
	}
}

static int is_record(const aa_file_policy *p, aa_bytes name)
{
	return p->about == ABOUT_RECORD && is_in(name, "record", p->slot.bytes);
}

/* Reports whether a name is this month's of a folder, or of the thread's records. */
static int is_this_months(const aa_file_policy *p, const char *folder, aa_bytes name)
{
	for (size_t i = 0; i < p->now_count && p->about == ABOUT_THREAD; i++) {
		if (is_in(name, folder, (aa_bytes){p->now[i].text, 7})) {
			return 1;
		}
	}
	return 0;
}

/* Reports whether a name is the thread's record in one of the months in which it is looked
 * for. */
static int is_thread(const aa_file_policy *p, aa_bytes name, int64_t now)
{
	for (int before = 0; before <= MONTHS_BEFORE && p->about == ABOUT_THREAD; before++) {
		aa_month month = aa_month_before(now, before);
		if (is_in(name, "thread", (aa_bytes){month.text, 7})) {
			return 1;
		}
	}
	return is_this_months(p, "thread", name);
}

/* Reports whether a name is that of a folder of a month that is over for long, of which a list
 * has told. */
static int is_old_month(const aa_file_policy *p, aa_bytes name, int64_t now)
{
	if (name.size != 15 || memcmp(name.data, "threads/", 8) != 0) {
		return 0;
	}
	aa_bytes month = {name.data + 8, 7};
	aa_month oldest = aa_month_before(now, MONTHS_BEFORE);
	return aa_is_month(month) && memcmp(month.data, oldest.text, 7) < 0 &&
	       name_in(listed_of(p, AA_LITERAL("threads")), month) != NULL;
}

static int may_read(const aa_file_policy *p, aa_bytes name, int64_t now)
{
	if (p->about == ABOUT_TARGET) {
		return aa_is(name, "target") || aa_is(name, "journal") ||
		       (aa_is(name, "previous") && (p->operation & (SWAP | PROBE)));
	}
	return (p->operation & (LOAD | SWAP)) && (is_record(p, name) || is_thread(p, name, now));
}

/* Each lock is taken once, the client's first. */
static int may_lock(const aa_file_policy *p, aa_bytes name)
{
	if (p->target_lock != NOT_ASKED) {
		return 0;
	}
	if (p->about == ABOUT_TARGET) {
		return aa_is(name, p->client_lock == NOT_ASKED ? "client-lock" : "target-lock");
	}
	return p->about == ABOUT_RECORD && p->operation == SWAP && aa_is(name, "target-lock");
}

/* Gives a lock back that was asked for. */
static int may_unlock(aa_file_policy *p, aa_bytes name)
{
	enum lock *lock = aa_is(name, "client-lock")   ? &p->client_lock
			  : aa_is(name, "target-lock") ? &p->target_lock
						       : NULL;
	int was_asked = lock != NULL && *lock != NOT_ASKED;
	if (was_asked) {
		*lock = NOT_ASKED;
	}
	return was_asked;
}

/* Reports whether nobody else can have the locks that a change needs. */
static int is_locked(const aa_file_policy *p)
{
	return p->target_lock == IS_HAD && (p->about != ABOUT_TARGET || p->client_lock == IS_HAD);
}

/* Reports whether auth.json can be replaced: under the locks, once it and its journal were read,
 * and if it is whole. */
static int is_replaceable(const aa_file_policy *p)
{
	return p->about == ABOUT_TARGET && (p->operation & (SWAP | PROBE)) && is_locked(p) &&
	       p->journal.found == NO_JOURNAL && p->target != NOT_READ && !p->is_broken;
}

/* Reports whether a document is another one in which the new identity has taken the place of the
 * expected one, or has it already. */
static int is_swapped(aa_file_policy *p, aa_arena *arena, aa_bytes content, aa_bytes document)
{
	static const aa_json empty = {.kind = AA_JSON_OBJECT};
	aa_auth_reader reader = {arena, 0};
	const aa_json *before = document.data == NULL ? &empty : aa_auth_json_read(&reader, document);
	const aa_json *after = aa_auth_json_read(&reader, content);
	int is_swap = before != NULL && after != NULL &&
		      (aa_auth_json_has(&reader, before, p->expected.bytes) ||
		       aa_auth_json_has(&reader, before, p->record.bytes)) &&
		      aa_auth_json_is_replacement(after, before, p->record.bytes);
	p->no_memory |= reader.no_memory;
	return is_swap;
}

/* Reports whether a document can take the place of another one, or with data NULL of none. */
static int can_replace(aa_file_policy *p, aa_arena *arena, aa_bytes content, aa_bytes document)
{
	return aa_is_padded(content, document.data == NULL ? AA_LITERAL("{}\n") : document) ||
	       (document.data == NULL && p->operation == PROBE && aa_is_blank(content)) ||
	       (p->operation == SWAP && is_swapped(p, arena, content, document));
}

/* Reports whether a document can take the place of auth.json: it is what was last read, with
 * spaces after it, or in a swap the same with the new identity, if it has the expected one.
 * Where this operation's own is in its place, what somebody has written to the file before that
 * counts, too. */
static int is_document(aa_file_policy *p, aa_arena *arena, aa_bytes content)
{
	aa_bytes target = p->target == A_FILE ? p->target_content.bytes : nothing;
	int is_ours = target.data != NULL && p->previous.bytes.data != NULL && is_same(target, p->installed.bytes);
	return can_replace(p, arena, content, target) || (is_ours && can_replace(p, arena, content, p->previous.bytes));
}

/* Reports whether a swap has found the record that it is to replace. */
static int is_expected(const aa_file_policy *p)
{
	return p->operation != SWAP ||
	       (is_locked(p) && p->found != NOT_READ && is_same(not_empty(p->found_content.bytes), p->expected.bytes));
}

static int may_create(aa_file_policy *p, aa_arena *arena, aa_bytes name, aa_bytes content)
{
	if (aa_is(name, "target")) {
		/* A rename parts it from its other names. */
		int can_be_replaced = p->target != A_FILE || ((p->target_mode & 0200) != 0 && p->target_links <= 1);
		return is_replaceable(p) && can_be_replaced && content.size <= MAX_FILE &&
		       is_document(p, arena, content);
	}
	if (aa_is(name, "journal")) {
		aa_journal journal;
		int is_journal = is_replaceable(p) ? aa_journal_read_exactly(arena, content, &journal) : 0;
		p->no_memory |= is_journal < 0;
		return is_journal > 0 && p->target == A_FILE && aa_equal(journal.before, p->target_content.bytes) &&
		       is_document(p, arena, journal.after);
	}
	if (!(p->operation & (SAVE | SWAP | PROBE)) || !(is_record(p, name) || is_this_months(p, "thread", name))) {
		return 0;
	}
	if (p->operation == PROBE) {
		return content.size <= MAX_ROOM && aa_is_blank(content);
	}
	return is_same(content, p->record.bytes) && is_expected(p);
}

/* A temporary of auth.json is installed if that is the file it was made from, and it has what
 * that has. */
static int may_install(aa_file_policy *p, aa_bytes name)
{
	const struct made *made = made_of(p, name);
	if (made == NULL || (p->operation == PROBE && p->about != ABOUT_TARGET)) {
		return 0;
	}
	if (!aa_is(name, "target")) {
		return !aa_is(name, "journal") || is_replaceable(p);
	}
	aa_bytes target = p->target == A_FILE ? p->target_content.bytes : nothing;
	int is_unchanged = p->last == AA_FILE_READ && p->is_last_of_target && is_same(target, made->target.bytes);
	return is_replaceable(p) && is_unchanged && (p->target != A_FILE || made->has_attributes);
}

/* Auth.json is written over right after it was read, or to undo that: with a document that can
 * take its place once a journal was tried, or, where it is torn, with one of its journal. */
static int may_write(aa_file_policy *p, aa_arena *arena, aa_bytes name, aa_bytes content)
{
	int is_next = p->is_last_of_target && (p->last == AA_FILE_READ || p->last == AA_FILE_WRITE ||
					       p->last == AA_FILE_TRUNCATE || p->last == AA_FILE_SYNC);
	if (!aa_is(name, "target") || p->about != ABOUT_TARGET || !is_locked(p) || !is_next || p->target != A_FILE ||
	    content.size > MAX_FILE) {
		return 0;
	}
	if (p->is_torn) {
		return aa_is_padded(content, p->journal.after.bytes) || aa_is_padded(content, p->journal.before.bytes);
	}
	return (p->operation & (SWAP | PROBE)) && p->is_journal_tried && is_document(p, arena, content);
}

/* Only spaces are cut off, which cover what is left of a longer document. */
static int may_cut(const aa_file_policy *p, aa_bytes name, int64_t size)
{
	aa_bytes written = p->written.bytes;
	return aa_is(name, "target") && p->last == AA_FILE_WRITE && p->is_last_of_target && written.data != NULL &&
	       (uint64_t)size <= written.size &&
	       aa_is_blank((aa_bytes){written.data + size, written.size - (size_t)size});
}

static int may_sync(const aa_file_policy *p, aa_bytes name)
{
	if (aa_is(name, "target")) {
		return p->written.bytes.data != NULL;
	}
	if (aa_is(name, "home")) {
		return p->about != ABOUT_THREAD && (p->operation & (SAVE | SWAP | PROBE));
	}
	return p->operation == SAVE && is_this_months(p, "threads", name);
}

static int may_make_folder(const aa_file_policy *p, aa_bytes name)
{
	int is_saved = p->about == ABOUT_THREAD && (p->operation & (SAVE | PROBE));
	return (is_saved && aa_is(name, "threads")) ||
	       ((is_saved || p->found == A_FILE) && is_this_months(p, "threads", name));
}

static int may_move(const aa_file_policy *p, aa_bytes name, aa_bytes to)
{
	return p->operation == LOAD && p->about == ABOUT_THREAD && p->found == A_FILE &&
	       aa_equal(p->found_name.bytes, name) && is_this_months(p, "thread", to);
}

static int may_list(const aa_file_policy *p, aa_bytes name, int64_t now)
{
	if (listed_of(p, name) != NULL || p->listed_count == MAX_LISTED) {
		return 0;
	}
	if (aa_is(name, "leftovers")) {
		return p->about == ABOUT_TARGET && (p->operation & (SWAP | PROBE));
	}
	return p->about == ABOUT_THREAD && p->operation == SAVE &&
	       (aa_is(name, "threads") || is_old_month(p, name, now));
}

static int may_remove_journal(const aa_file_policy *p)
{
	enum journal_found found = p->journal.found == JOURNAL_NOT_READ || p->journal.found == NO_JOURNAL
				       ? p->own_journal.found
				       : p->journal.found;
	int is_known = found == DAMAGED_JOURNAL || (found == A_JOURNAL && p->target != NOT_READ);
	return p->about == ABOUT_TARGET && is_locked(p) && is_known && !p->is_broken;
}

static int may_remove(aa_file_policy *p, aa_bytes name, int64_t now)
{
	if (aa_is(name, "journal")) {
		return may_remove_journal(p);
	}
	if (is_record(p, name)) {
		return p->operation == DELETE ||
		       (p->operation == SWAP && p->record.bytes.data == NULL && is_expected(p));
	}
	if (is_thread(p, name, now)) {
		return p->operation == DELETE;
	}
	if (is_old_month(p, name, now)) {
		const struct listed *listed = listed_of(p, name);
		return listed != NULL && !listed->failed && !has_names(listed);
	}
	size_t slash = name.size;
	while (slash > 0 && name.data[slash - 1] != '/') {
		slash--;
	}
	aa_bytes folder = {name.data, slash > 0 ? slash - 1 : 0};
	if (!aa_is(folder, "leftovers") && !is_old_month(p, folder, now)) {
		return 0;
	}
	aa_kept *listed = name_in(listed_of(p, folder), (aa_bytes){name.data + slash, name.size - slash});
	if (listed == NULL) {
		return 0;
	}
	aa_drop(listed); /* each is removed once */
	return 1;
}

static int is_loaded(aa_file_policy *p, aa_arena *arena, aa_bytes record)
{
	if (p->about != ABOUT_TARGET) {
		return p->found != NOT_READ && is_same(record, not_empty(p->found_content.bytes));
	}
	if (p->target != A_FILE) {
		return p->target == NO_FILE && record.data == NULL;
	}
	/* What is in it, and if it is torn, what its journal has. */
	aa_bytes readable[] = {p->target_content.bytes, p->journal.after.bytes, p->journal.before.bytes};
	aa_auth_reader reader = {arena, 0};
	int is_found = 0;
	for (size_t i = 0; i < (p->is_torn ? 3U : 1U) && !is_found; i++) {
		const aa_json *document = aa_auth_json_read(&reader, readable[i]);
		is_found = document != NULL && aa_auth_json_has_exactly(&reader, document, record);
	}
	p->no_memory |= reader.no_memory;
	return is_found;
}

static int is_same_member(const aa_value *a, const aa_value *b)
{
	return a == NULL || b == NULL ? a == b
				      : a->kind == b->kind && a->integer == b->integer && aa_equal(a->bytes, b->bytes);
}

/* Reports whether credentials are those that were read. What an id token says may be left out:
 * the core reads tokens that it cannot trust more strictly. */
static int are_read(const aa_value *given, const aa_value *read)
{
	for (const aa_value *member = given->first; member != NULL; member = member->next) {
		const aa_value *same = read->first;
		while (same != NULL && !aa_equal(same->name, member->name)) {
			same = same->next;
		}
		if (!aa_equal(member->name, AA_LITERAL("problem")) && !is_same_member(member, same)) {
			return 0;
		}
	}
	return is_same_member(aa_get(given, "kind"), aa_get(read, "kind")) &&
	       is_same_member(aa_get(given, "access_token"), aa_get(read, "access_token"));
}

static int are_believed(aa_file_policy *p, aa_arena *arena, const aa_value *given)
{
	if (p->target != A_FILE) {
		const aa_value *none = aa_set(aa_map(arena), "kind", aa_text(arena, AA_LITERAL("none")));
		p->no_memory |= none == NULL;
		return p->target == NO_FILE && none != NULL && are_read(given, none);
	}
	aa_bytes readable[] = {p->target_content.bytes, p->journal.after.bytes, p->journal.before.bytes};
	aa_auth_reader reader = {arena, 0};
	int is_found = 0;
	for (size_t i = 0; i < (p->is_torn ? 3U : 1U) && !is_found; i++) {
		const aa_json *document = aa_auth_json_read(&reader, readable[i]);
		const aa_value *read = document == NULL ? NULL : aa_auth_json_credentials(&reader, document);
		is_found = read != NULL && are_read(given, read);
	}
	p->no_memory |= reader.no_memory;
	return is_found;
}

/* Hands out credentials that were read, with a problem that can be shown. */
static int check_credentials(aa_file_policy *p, aa_arena *arena, const aa_value *result, aa_file_effect *effect,
			     agentassert_error *error)
{
	const aa_value *given, *problem;
	if (aa_untrusted_map(result, "credentials", &given, error) != 0 ||
	    aa_untrusted_problem(arena, given, "problem", &problem, error) != 0) {
		return -1;
	}
	if (given == NULL || !are_believed(p, arena, given)) {
		return aa_violation(error, "credentials", "that were not read");
	}
	aa_value *credentials = aa_map(arena);
	for (const aa_value *member = given->first; member != NULL; member = member->next) {
		const aa_value *from = aa_equal(member->name, AA_LITERAL("problem")) ? problem : member;
		aa_bytes name = aa_copy(arena, member->name);
		credentials = name.data == NULL ? NULL : aa_set(credentials, name.data, aa_clone(arena, from));
	}
	p->no_memory |= credentials == NULL;
	effect->credentials = credentials;
	return 0;
}

/* Hands out a result that can be believed: what it says was read is what was read. */
static int check_result(aa_file_policy *p, aa_arena *arena, const aa_value *message, aa_file_effect *effect,
			agentassert_error *error)
{
	const aa_value *result;
	if (aa_untrusted_map(message, "result", &result, error) != 0 ||
	    aa_untrusted_problem(arena, result, "error", &effect->error, error) != 0) {
		return -1;
	}
	if (effect->error != NULL) {
		return 0;
	}
	if (aa_untrusted_bytes(result, "record", &effect->record, error) != 0) {
		return -1;
	}
	if (p->operation == CREDENTIALS) {
		effect->record = nothing;
		return check_credentials(p, arena, result, effect, error);
	}
	if (p->operation == LOAD ? !is_loaded(p, arena, effect->record) : effect->record.data != NULL) {
		return aa_violation(error, "a record", "that was not read");
	}
	return 0;
}

static const char *const effect_names[] = {"read",    "look",    "lock",  "unlock",   "create", "own",
					   "install", "discard", "write", "truncate", "sync",   "make-folder",
					   "move",    "remove",  "list",  "wait",     "done"};

const char *aa_file_effect_name(enum aa_file_effect_type type)
{
	return effect_names[type];
}

/* Hands out the members of an effect that its type has, checked by themselves. */
static int take_apart(const aa_value *message, aa_file_effect *effect, agentassert_error *error)
{
	aa_bytes type;
	if (aa_untrusted_text(message, "type", &type, error) != 0 ||
	    aa_untrusted_text(message, "name", &effect->name, error) != 0) {
		return -1;
	}
	int i = AA_FILE_READ;
	while (i <= AA_FILE_DONE && !aa_is(type, effect_names[i])) {
		i++;
	}
	if (i > AA_FILE_DONE) {
		return aa_violation(error, "an effect on files", "that this library does not know");
	}
	effect->type = (enum aa_file_effect_type)i;
	switch (effect->type) {
	case AA_FILE_LOCK:
		return aa_untrusted_integer(message, "timeout_ms", 1, MAX_LOCK_MS, &effect->timeout_ms, error);
	case AA_FILE_CREATE:
	case AA_FILE_WRITE:
		if (aa_untrusted_bytes(message, "content", &effect->content, error) != 0) {
			return -1;
		}
		if (effect->content.data == NULL) {
			effect->content = AA_LITERAL("");
		}
		return 0;
	case AA_FILE_TRUNCATE:
		return aa_untrusted_integer(message, "size", 1, MAX_FILE, &effect->size, error);
	case AA_FILE_MOVE:
		return aa_untrusted_text(message, "to", &effect->to, error);
	case AA_FILE_LIST:
		if (aa_untrusted_integer(message, "limit", 1, aa_is(effect->name, "threads") ? MAX_MONTHS : MAX_FILES,
					 &effect->limit, error) != 0) {
			return -1;
		}
		return aa_untrusted_integer(message, "older_than", aa_is(effect->name, "leftovers") ? LEFTOVER_AGE : 0,
					    INT64_C(1) << 40, &effect->older_than, error);
	case AA_FILE_WAIT:
		return aa_untrusted_integer(message, "wait_ms", 1, MAX_WAIT_MS, &effect->wait_ms, error);
	default:
		return 0;
	}
}

/* Reports whether an effect may name its file, and takes note of what it is about to do. */
static int is_allowed(aa_file_policy *p, aa_arena *arena, const aa_file_effect *e, int64_t now)
{
	switch (e->type) {
	case AA_FILE_READ:
		return may_read(p, e->name, now);
	case AA_FILE_LOOK:
		return aa_is(e->name, "journal") && p->about == ABOUT_TARGET;
	case AA_FILE_LOCK:
		return may_lock(p, e->name);
	case AA_FILE_UNLOCK:
		p->is_unlocking = 1;
		return may_unlock(p, e->name);
	case AA_FILE_CREATE:
		if (made_of(p, e->name) != NULL || !may_create(p, arena, e->name, e->content)) {
			return 0;
		}
		p->is_journal_tried |= aa_is(e->name, "journal");
		return 1;
	case AA_FILE_OWN:
		return aa_is(e->name, "target") && made_of(p, e->name) != NULL;
	case AA_FILE_INSTALL:
		return may_install(p, e->name);
	case AA_FILE_DISCARD:
		return made_of(p, e->name) != NULL;
	case AA_FILE_WRITE:
		if (!may_write(p, arena, e->name, e->content)) {
			return 0;
		}
		keep(p, &p->written, e->content);
		return 1;
	case AA_FILE_TRUNCATE:
		return may_cut(p, e->name, e->size);
	case AA_FILE_SYNC:
		return may_sync(p, e->name);
	case AA_FILE_MAKE_FOLDER:
		return may_make_folder(p, e->name);
	case AA_FILE_MOVE:
		return may_move(p, e->name, e->to);
	case AA_FILE_REMOVE:
		return may_remove(p, e->name, now);
	case AA_FILE_LIST:
		return may_list(p, e->name, now);
	case AA_FILE_WAIT:
		return p->about == ABOUT_TARGET;
	case AA_FILE_DONE:
		return 1; /* what it says is looked at by itself */
	}
	return 0;
}

int aa_file_policy_effect(aa_file_policy *p, aa_arena *arena, const aa_value *message, int64_t now,
			  aa_file_effect *effect, agentassert_error *error)
{
	*effect = (aa_file_effect){.type = AA_FILE_DONE};
	note_month(p, now);
	if (++p->effects > MAX_EFFECTS) {
		return aa_violation(error, "an effect", "after more than any operation takes");
	}
	if (message == NULL) {
		return aa_violation(error, "a part of a message", "that is none");
	}
	if (take_apart(message, effect, error) != 0) {
		return -1;
	}
	if (p->is_unlocking && effect->type != AA_FILE_UNLOCK && effect->type != AA_FILE_DONE) {
		return aa_violation(error, "an effect", "after a lock was given back");
	}
	if (!is_allowed(p, arena, effect, now)) {
		return check_memory(p, error) != 0
			   ? -1
			   : aa_violation(error, "a file", "that is not this operation's, or not for that");
	}
	if (effect->type == AA_FILE_DONE && check_result(p, arena, message, effect, error) != 0) {
		return p->no_memory ? check_memory(p, error) : -1;
	}
	p->last = effect->type;
	p->is_last_of_target = aa_is(effect->name, "target");
	return check_memory(p, error);
}

/* Takes note of a file that was read, or could not be. */
static void has_read_target(aa_file_policy *p, enum found found, const aa_file_answer *answer)
{
	p->target = found;
	p->target_mode = answer->stat.mode;
	p->target_links = answer->stat.links;
	aa_bytes content = found != A_FILE ? nothing : answer->content.data == NULL ? AA_LITERAL("") : answer->content;
	keep(p, &p->target_content, content);
	aa_journal theirs = {p->journal.before.bytes, p->journal.after.bytes};
	aa_journal own = {p->own_journal.before.bytes, p->own_journal.after.bytes};
	p->is_torn = found == A_FILE && p->journal.found == A_JOURNAL && aa_journal_is_torn(&theirs, content);
	p->is_broken = p->is_torn || (found == A_FILE && p->written.bytes.data != NULL &&
				      p->own_journal.found == A_JOURNAL && aa_journal_is_torn(&own, content));
}

/* Takes note of what a journal says. */
static void has_journal(aa_file_policy *p, struct journal *journal, aa_arena *arena, aa_bytes content)
{
	aa_journal read;
	int result = aa_journal_read(arena, content, &read);
	p->no_memory |= result < 0;
	journal->found = result > 0 ? A_JOURNAL : DAMAGED_JOURNAL;
	if (result > 0) {
		keep(p, &journal->before, read.before);
		keep(p, &journal->after, read.after);
	}
}

static void has_read(aa_file_policy *p, aa_arena *arena, aa_bytes name, const aa_file_answer *answer)
{
	enum found found = answer->failure != NULL ? NOT_READ : answer->has_stat ? A_FILE : NO_FILE;
	aa_bytes content = found != A_FILE ? nothing : answer->content.data == NULL ? AA_LITERAL("") : answer->content;
	if (aa_is(name, "target")) {
		has_read_target(p, found, answer);
	} else if (aa_is(name, "previous")) {
		keep(p, &p->previous, content);
	} else if (aa_is(name, "journal")) {
		p->journal.found = NO_JOURNAL;
		if (found == A_FILE) {
			has_journal(p, &p->journal, arena, content);
		}
		p->target = NOT_READ; /* it is read anew */
		p->is_torn = 0;
	} else {
		p->found = found;
		keep(p, &p->found_name, name);
		keep(p, &p->found_content, content);
	}
}

static void has_created(aa_file_policy *p, const aa_file_effect *effect)
{
	for (size_t i = 0; i < MAX_MADE; i++) {
		struct made *made = &p->made[i];
		if (made->name.bytes.data == NULL) {
			keep(p, &made->name, effect->name);
			keep(p, &made->content, effect->content);
			keep(p, &made->target, p->target == A_FILE ? p->target_content.bytes : nothing);
			return;
		}
	}
	p->no_memory = 1;
}

static void has_installed(aa_file_policy *p, aa_arena *arena, aa_bytes name)
{
	struct made *made = made_of(p, name);
	if (made == NULL) {
		return;
	}
	if (aa_is(name, "target")) {
		keep(p, &p->installed, made->content.bytes);
		aa_drop(&p->previous);
	} else if (aa_is(name, "journal")) {
		has_journal(p, &p->own_journal, arena, made->content.bytes);
	}
	drop_made(made);
}

static void has_listed(aa_file_policy *p, aa_bytes folder, const aa_file_answer *answer)
{
	struct listed *listed = p->listed_count < MAX_LISTED ? calloc(1, sizeof *listed) : NULL;
	if (listed == NULL) {
		p->no_memory = 1;
		return;
	}
	p->listed[p->listed_count++] = listed;
	keep(p, &listed->folder, folder);
	listed->failed = answer->failure != NULL;
	for (size_t i = 0; i < answer->name_count && i < MAX_MONTHS; i++) {
		keep(p, &listed->names[listed->count++], answer->names[i]);
	}
}

static void has_locked(aa_file_policy *p, aa_bytes name, const char *failure)
{
	int nobody_can = failure != NULL && (strcmp(failure, "missing") == 0 || strcmp(failure, "denied") == 0 ||
					     strcmp(failure, "read-only") == 0);
	enum lock lock = failure == NULL || nobody_can ? IS_HAD : NOT_HAD;
	if (aa_is(name, "client-lock")) {
		p->client_lock = lock;
	} else {
		p->target_lock = lock;
	}
}

int aa_file_policy_answered(aa_file_policy *p, const aa_file_effect *effect, const aa_file_answer *answer,
			    agentassert_error *error)
{
	int done = answer->failure == NULL;
	struct made *made = made_of(p, effect->name);
	aa_arena *arena = aa_arena_new();
	p->no_memory |= arena == NULL;
	switch (arena == NULL ? AA_FILE_DONE : effect->type) {
	case AA_FILE_READ:
		has_read(p, arena, effect->name, answer);
		break;
	case AA_FILE_LOCK:
		has_locked(p, effect->name, answer->failure);
		break;
	case AA_FILE_CREATE:
		if (done) {
			has_created(p, effect);
		}
		break;
	case AA_FILE_OWN:
		if (made != NULL) {
			made->has_attributes = done;
		}
		break;
	case AA_FILE_INSTALL:
		if (done) {
			has_installed(p, arena, effect->name);
		}
		break;
	case AA_FILE_DISCARD:
		if (made != NULL) {
			drop_made(made);
		}
		break;
	case AA_FILE_WRITE:
		p->is_broken = !done;
		break;
	case AA_FILE_LIST:
		has_listed(p, effect->name, answer);
		break;
	case AA_FILE_REMOVE:
		if (aa_is(effect->name, "journal")) {
			p->journal.found = NO_JOURNAL;
			p->own_journal.found = NO_JOURNAL;
		}
		break;
	default:
		break;
	}
	aa_arena_free(arena);
	return check_memory(p, error);
}
