#include "members.h"

#include <stdlib.h>
#include <string.h>

int aa_compare_names(aa_bytes a, aa_bytes b)
{
	if (a.size != b.size) {
		return a.size < b.size ? -1 : 1;
	}
	return a.size == 0 ? 0 : memcmp(a.data, b.data, a.size);
}

static int compare_members(const void *a, const void *b)
{
	return aa_compare_names((*(const aa_value *const *)a)->name, (*(const aa_value *const *)b)->name);
}

enum aa_codec_result aa_sort_members(aa_arena *arena, const aa_value *map, const aa_value ***out)
{
	const aa_value **sorted = aa_alloc(arena, map->count * sizeof *sorted);
	if (sorted == NULL) {
		return AA_NO_MEMORY;
	}
	size_t n = 0;
	int in_order = 1;
	for (const aa_value *member = map->first; member != NULL; member = member->next) {
		in_order = in_order && (n == 0 || aa_compare_names(sorted[n - 1]->name, member->name) < 0);
		sorted[n++] = member;
	}
	if (!in_order) {
		qsort(sorted, n, sizeof *sorted, compare_members);
		for (size_t i = 1; i < n; i++) {
			if (aa_compare_names(sorted[i - 1]->name, sorted[i]->name) == 0) {
				return AA_MALFORMED;
			}
		}
	}
	*out = sorted;
	return AA_OK;
}
