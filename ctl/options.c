/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parses a verb's command line by its table, and prints its --help from the same table. Options
 * and operands may be mixed as GNU programs allow; "--" ends the options. Names are never
 * abbreviated, so that a script keeps its meaning when options are added.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#include "options.h"

/* One parse: where it is, and what it fills. */
struct cursor {
	const struct ctl_verb *verb;
	const struct option *options;
	int argc;
	char **argv;
	int next;          /* index of the argument to look at */
	size_t command_at; /* options end with so many operands; 0: never */
};

#define GO_ON (-1)
#define HELP_COLUMN 34

static void print_option(const struct option *option)
{
	char name[HELP_COLUMN * 2];

	snprintf(name, sizeof(name), "  %c%c%s--%s%s%s", option->letter ? '-' : ' ',
		option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
		option->argument ? " " : "", option->argument ? option->argument : "");
	if (strlen(name) >= HELP_COLUMN)
		printf("%s\n%*s%s\n", name, HELP_COLUMN, "", option->help);
	else
		printf("%-*s%s\n", HELP_COLUMN, name, option->help);
}

static int print_help(const struct ctl_verb *verb, const struct option *options)
{
	static const struct option help = {
		.name = "help", .letter = 'h', .help = "print this and exit"};

	printf("Usage: podctl [--root DIR] %s [OPTIONS] %s\n\n%s.\n", verb->name, verb->operands,
		verb->summary);
	if (verb->details)
		printf("\n%s\n", verb->details);
	printf("\nOptions:\n");
	for (; options->name; options++)
		print_option(options);
	print_option(&help);
	printf("\nExample:\n  %s\n", verb->example);
	return CTL_OK;
}

static const struct option *find_long(const struct option *options, const char *name, size_t length)
{
	for (; options->name; options++)
		if (strlen(options->name) == length && strncmp(options->name, name, length) == 0)
			return options;
	return NULL;
}

static const struct option *find_short(const struct option *options, char letter)
{
	for (; options->name; options++)
		if (options->letter == letter)
			return options;
	return NULL;
}

static int set_number(const struct ctl_verb *verb, const struct option *option, const char *value)
{
	if (text_to_uint32(value, option->min, option->max, option->number) < 0)
		return ctl_usage_error(verb, "--%s must be a number from %u to %u, not \"%s\"",
			option->name, option->min, option->max, value);
	return GO_ON;
}

/* "--sig-proxy=false": as podman. */
static int set_flag(const struct ctl_verb *verb, const struct option *option, const char *value)
{
	bool is_true = !value || strcmp(value, "true") == 0;

	if (!is_true && strcmp(value, "false") != 0)
		return ctl_usage_error(verb, "--%s takes no value but true or false, not \"%s\"",
			option->name, value);
	*option->flag = is_true;
	return GO_ON;
}

static int set_value(const struct ctl_verb *verb, const struct option *option, const char *value)
{
	if (option->number)
		return set_number(verb, option, value);
	if (option->text) {
		*option->text = value;
		return GO_ON;
	}
	if (strv_length(*option->list) >= OPTION_LIST_MAX)
		return ctl_usage_error(verb, "--%s may be given at most %d times", option->name,
			OPTION_LIST_MAX);
	if (strv_add(option->list, value) < 0) {
		ctl_error("out of memory");
		return CTL_FAILED;
	}
	return GO_ON;
}

/* The value of an option that does not have it in the same argument. */
static int take_value(struct cursor *cursor, const struct option *option)
{
	if (cursor->next >= cursor->argc)
		return ctl_usage_error(
			cursor->verb, "--%s needs a value: %s", option->name, option->argument);
	return set_value(cursor->verb, option, cursor->argv[cursor->next++]);
}

static int parse_long(struct cursor *cursor, const char *argument)
{
	size_t length = strcspn(argument, "=");
	const struct option *option = find_long(cursor->options, argument, length);

	if (strcmp(argument, "help") == 0)
		return print_help(cursor->verb, cursor->options);
	if (!option)
		return ctl_usage_error(
			cursor->verb, "unknown option --%.*s", (int)length, argument);
	if (option->stands_for_operand)
		cursor->command_at = 1;
	if (option->flag)
		return set_flag(cursor->verb, option,
			argument[length] ? argument + length + 1 : NULL);
	if (argument[length])
		return set_value(cursor->verb, option, argument + length + 1);
	return take_value(cursor, option);
}

/* A cluster: "-af", "-t5", "-t" and the next argument. */
static int parse_short(struct cursor *cursor, const char *letters)
{
	for (; *letters; letters++) {
		const struct option *option = find_short(cursor->options, *letters);

		if (*letters == 'h' && !option)
			return print_help(cursor->verb, cursor->options);
		if (!option)
			return ctl_usage_error(cursor->verb, "unknown option -%c", *letters);
		if (!option->flag && letters[1])
			return set_value(cursor->verb, option, letters + 1);
		if (!option->flag)
			return take_value(cursor, option);
		*option->flag = true;
	}
	return GO_ON;
}

static int check_operands(const struct ctl_verb *verb, char **argv, size_t n)
{
	if (n < verb->operands_min)
		return ctl_usage_error(verb, "%s is missing; usage: podctl %s [OPTIONS] %s",
			n ? "an argument" : "the argument", verb->name, verb->operands);
	if (n > verb->operands_max)
		return ctl_usage_error(
			verb, "unexpected argument \"%s\"", argv[verb->operands_max]);
	return GO_ON;
}

int options_parse(const struct ctl_verb *verb, const struct option *options, int argc, char **argv,
	size_t *ret_operands)
{
	struct cursor cursor = {.verb = verb, .options = options, .argc = argc, .argv = argv,
		.command_at = verb->command_first ? 1 : verb->command_follows ? 2 : 0};
	bool only_operands = false;
	size_t n = 0;

	while (cursor.next < argc) {
		char *argument = argv[cursor.next++];
		int status = GO_ON;

		if (!only_operands && strcmp(argument, "--") == 0) {
			only_operands = true;
		} else if (!only_operands && text_starts_with(argument, "--")) {
			status = parse_long(&cursor, argument + 2);
		} else if (!only_operands && argument[0] == '-' && argument[1]) {
			status = parse_short(&cursor, argument + 1);
		} else {
			argv[n++] = argument;
			only_operands |= cursor.command_at > 0 && n >= cursor.command_at;
		}
		if (status != GO_ON)
			return status;
	}
	argv[n] = NULL;
	*ret_operands = n;
	return check_operands(verb, argv, n);
}
