/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the rows until all widths are known, then prints them. Owns copies of the cells.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#include "ctl.h"
#include "table.h"

struct row {
	struct row *next;
	char *cells[TABLE_COLUMNS_MAX];
};

struct table {
	const char *const *header;
	size_t columns;
	size_t widths[TABLE_COLUMNS_MAX];
	struct row *first;
	struct row **last;
	bool incomplete; /* memory was short */
};

/* Characters that the text takes on a UTF-8 terminal. */
static size_t text_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static void row_free(struct row *row)
{
	for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++)
		free(row->cells[i]);
	free(row);
}

struct table *table_new(const char *const *header)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->header = header;
	table->last = &table->first;
	for (; header[table->columns] && table->columns < TABLE_COLUMNS_MAX; table->columns++)
		table->widths[table->columns] = text_width(header[table->columns]);
	return table;
}

void table_free(struct table *table)
{
	if (!table)
		return;
	while (table->first) {
		struct row *row = table->first;

		table->first = row->next;
		row_free(row);
	}
	free(table);
}

/* Return: NULL when memory is short. */
static struct row *row_new(struct table *table, const char *lead, const char *const *cells)
{
	struct row *row = calloc(1, sizeof(*row));

	for (size_t i = 0; row && i < table->columns; i++) {
		char clean[TABLE_CELL_MAX];
		size_t width;

		text_sanitize(clean, sizeof(clean), cells[i]);
		row->cells[i] = text_format("%s%s", i ? "" : lead, clean);
		if (!row->cells[i]) {
			row_free(row);
			return NULL;
		}
		width = text_width(row->cells[i]);
		if (width > table->widths[i])
			table->widths[i] = width;
	}
	return row;
}

void table_add(struct table *table, const char *lead, const char *const *cells)
{
	struct row *row = table ? row_new(table, lead, cells) : NULL;

	if (row) {
		*table->last = row;
		table->last = &row->next;
	} else if (table) {
		table->incomplete = true;
	}
}

static void print_line(const struct table *table, const char *const *cells)
{
	for (size_t i = 0; i < table->columns; i++) {
		size_t pad = table->widths[i] - text_width(cells[i]) + 2;

		if (i + 1 == table->columns)
			pad = 0;
		printf("%s%*s", cells[i], (int)pad, "");
	}
	putchar('\n');
}

int table_print(const struct table *table)
{
	if (!table || table->incomplete) {
		ctl_error("out of memory");
		return CTL_FAILED;
	}
	print_line(table, table->header);
	for (const struct row *row = table->first; row; row = row->next)
		print_line(table, (const char *const *)row->cells);
	return CTL_OK;
}
