/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Every fd and pointer is born with one of these attributes; ownership leaves a scope only
 * through take_fd() and take_ptr().
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(function) __attribute__((__cleanup__(function)))

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define autofree cleanup(cleanup_free)
#define autoclose cleanup(cleanup_close)
#define autofclose cleanup(cleanup_fclose)

/* Defines cleanup_<type>() for an "autoptr(type)" variable from the type's free function. */
#define CLEANUP_DEFINE(type, free_function)                                                        \
	static inline void cleanup_ptr_##type(struct type **pointer)                               \
	{                                                                                          \
		free_function(*pointer);                                                           \
	}
#define autoptr(type) cleanup(cleanup_ptr_##type) struct type *

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define take_ptr(pointer)                                                                          \
	({                                                                                         \
		__typeof__(pointer) taken_ = (pointer);                                            \
		(pointer) = NULL;                                                                  \
		taken_;                                                                            \
	})
