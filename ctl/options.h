/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The command line of one verb. A verb describes its options in a table whose entries point to
 * where the values go; parsing, the messages about wrong use, and --help all come from the table.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctl.h"

/* Most values that one repeatable option takes. */
#define OPTION_LIST_MAX 256

struct option {
	const char *name;     /* without the dashes; NULL ends the table */
	char letter;          /* 0: none */
	const char *argument; /* how --help calls the value; NULL for a flag */
	const char *help;
	/* Exactly one of these. */
	bool *flag;
	const char **text;
	char ***list;
	uint32_t *number;     /* within [min, max] */
	uint32_t min;
	uint32_t max;
	/* With it, the command begins at the first operand. */
	bool stands_for_operand;
};

#define OPTION_FORMAT(target)                                                                      \
	{                                                                                          \
		.name = "format", .argument = "json|table", .help = "form of the output",          \
		.text = (target)                                                                   \
	}

/* Parses the arguments; what is no option is left at the front of @argv, counted in
 * *ret_operands and ended by NULL. Return: -1 to go on; otherwise the exit status with which
 * podctl ends now (--help was printed, or a message about wrong use). */
int options_parse(const struct ctl_verb *verb, const struct option *options, int argc, char **argv,
	size_t *ret_operands);
