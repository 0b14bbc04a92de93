/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Aligned columns on standard output, for people. */

#define TABLE_COLUMNS_MAX 9
#define TABLE_CELL_MAX 256

struct table;

/* @header has one title for each column, at most TABLE_COLUMNS_MAX, ended by NULL; it must
 * outlive the table. Return: NULL when memory is short, which table_add() and table_print() bear. */
struct table *table_new(const char *const *header);
void table_free(struct table *table);
static inline void cleanup_table(struct table **table)
{
	table_free(*table);
}

/* Adds a row with as many cells as there are titles. Bytes in them that a terminal could take for
 * a command are replaced; @lead is our own and stands before the first cell as it is. */
void table_add(struct table *table, const char *lead, const char *const *cells);

/* Prints the titles and the rows; the last column is not padded. Return: the exit status; memory
 * that was short at any time is told here. */
int table_print(const struct table *table);
