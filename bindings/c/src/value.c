#include "value.h"

#include <string.h>

static aa_value *new_value(aa_arena *arena, enum aa_kind kind)
{
	aa_value *value = aa_alloc(arena, sizeof *value);
	if (value != NULL) {
		value->kind = kind;
	}
	return value;
}

aa_value *aa_integer(aa_arena *arena, int64_t n)
{
	aa_value *value = new_value(arena, AA_INTEGER);
	if (value != NULL) {
		value->integer = n;
	}
	return value;
}

aa_value *aa_boolean(aa_arena *arena, int b)
{
	aa_value *value = new_value(arena, AA_BOOLEAN);
	if (value != NULL) {
		value->integer = b != 0;
	}
	return value;
}

static aa_value *new_string(aa_arena *arena, enum aa_kind kind, aa_bytes bytes)
{
	aa_value *value = new_value(arena, kind);
	if (value != NULL) {
		value->bytes = bytes.data == NULL ? AA_LITERAL("") : bytes;
	}
	return value;
}

aa_value *aa_text(aa_arena *arena, aa_bytes text)
{
	return new_string(arena, AA_TEXT, text);
}

aa_value *aa_binary(aa_arena *arena, aa_bytes data)
{
	return new_string(arena, AA_BYTES, data);
}

aa_value *aa_array(aa_arena *arena)
{
	return new_value(arena, AA_ARRAY);
}

aa_value *aa_map(aa_arena *arena)
{
	return new_value(arena, AA_MAP);
}

aa_value *aa_append(aa_value *array, aa_value *element)
{
	if (array == NULL || element == NULL) {
		return NULL;
	}
	if (array->last == NULL) {
		array->first = element;
	} else {
		array->last->next = element;
	}
	array->last = element;
	array->count++;
	return array;
}

aa_value *aa_set(aa_value *map, const char *name, aa_value *member)
{
	if (member != NULL) {
		member->name = (aa_bytes){name, strlen(name)};
	}
	return aa_append(map, member);
}

const aa_value *aa_get(const aa_value *map, const char *name)
{
	if (map == NULL || map->kind != AA_MAP) {
		return NULL;
	}
	aa_bytes wanted = {name, strlen(name)};
	for (const aa_value *member = map->first; member != NULL; member = member->next) {
		if (aa_equal(member->name, wanted)) {
			return member;
		}
	}
	return NULL;
}

static const aa_value *get_kind(const aa_value *map, const char *name, enum aa_kind kind)
{
	const aa_value *member = aa_get(map, name);
	return member != NULL && member->kind == kind ? member : NULL;
}

int64_t aa_get_integer(const aa_value *map, const char *name)
{
	const aa_value *member = get_kind(map, name, AA_INTEGER);
	return member == NULL ? 0 : member->integer;
}

int aa_get_boolean(const aa_value *map, const char *name)
{
	const aa_value *member = get_kind(map, name, AA_BOOLEAN);
	return member != NULL && member->integer != 0;
}

aa_bytes aa_get_text(const aa_value *map, const char *name)
{
	const aa_value *member = get_kind(map, name, AA_TEXT);
	return member == NULL ? AA_LITERAL("") : member->bytes;
}

aa_bytes aa_get_binary(const aa_value *map, const char *name)
{
	const aa_value *member = get_kind(map, name, AA_BYTES);
	return member == NULL ? AA_LITERAL("") : member->bytes;
}

const aa_value *aa_get_array(const aa_value *map, const char *name)
{
	return get_kind(map, name, AA_ARRAY);
}

const aa_value *aa_get_map(const aa_value *map, const char *name)
{
	return get_kind(map, name, AA_MAP);
}

aa_value *aa_clone(aa_arena *arena, const aa_value *value)
{
	if (value == NULL) {
		return NULL;
	}
	aa_value *clone = new_value(arena, value->kind);
	if (clone == NULL) {
		return NULL;
	}
	clone->integer = value->integer;
	if (value->kind == AA_TEXT || value->kind == AA_BYTES) {
		clone->bytes = aa_copy(arena, value->bytes);
		if (clone->bytes.data == NULL) {
			return NULL;
		}
	}
	for (const aa_value *element = value->first; element != NULL; element = element->next) {
		aa_value *copy = aa_clone(arena, element);
		if (copy != NULL && value->kind == AA_MAP) {
			copy->name = aa_copy(arena, element->name);
			if (copy->name.data == NULL) {
				return NULL;
			}
		}
		if (aa_append(clone, copy) == NULL) {
			return NULL;
		}
	}
	return clone;
}
