/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The caller's terminal in raw mode. However podctl ends, SIGKILL included, the terminal gets back
 * what it had: a guard process, forked before, outlives podctl for that moment.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cleanup.h"
#include "err.h"

struct terminal;

/* Makes @fd's terminal raw. Return: 0, -ENOTTY, -errno. */
int terminal_new(int fd, struct terminal **ret, struct err *err);
/* Restores the terminal and ends the guard. */
void terminal_free(struct terminal *terminal);
CLEANUP_DEFINE(terminal, terminal_free)

/* For a pause: gives the terminal back what it had; and makes it raw again. NULL is fine. */
void terminal_restore(struct terminal *terminal);
void terminal_make_raw(struct terminal *terminal);

/* The size of the first terminal among the standard descriptors. Return: 0 or -ENOTTY. */
int terminal_size(uint32_t *ret_rows, uint32_t *ret_columns);
