/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A list of things in the order of their last use, to forget what was silent longest. */

#include <stddef.h>

struct age {
	struct age *newer, *older;
};

struct age_list {
	struct age *newest, *oldest;
};

static inline void age_remove(struct age_list *list, struct age *age)
{
	if (age->newer)
		age->newer->older = age->older;
	else
		list->newest = age->older;
	if (age->older)
		age->older->newer = age->newer;
	else
		list->oldest = age->newer;
}

static inline void age_add(struct age_list *list, struct age *age)
{
	age->newer = NULL;
	age->older = list->newest;
	if (age->older)
		age->older->newer = age;
	else
		list->oldest = age;
	list->newest = age;
}

static inline void age_use(struct age_list *list, struct age *age)
{
	if (list->newest == age)
		return;
	age_remove(list, age);
	age_add(list, age);
}
