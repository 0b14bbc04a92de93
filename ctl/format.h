/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Quantities as the tables of several verbs show them. */

#include <stddef.h>
#include <stdint.h>

/* "999B", "1.50kB": units of 1000. Return: @text. */
const char *format_bytes(uint64_t bytes, char *text, size_t size);

/* "250ms", "12s", "5m07s", "3h02m", "4d06h". Return: @text. */
const char *format_duration(uint64_t milliseconds, char *text, size_t size);
