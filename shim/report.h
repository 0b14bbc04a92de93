/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Telling podd what happens (io.podd.Pod.Report): without waiting, and without a podd that is fine:
 * the records say the same. */

#include "place.h"

/* @key may be NULL: no attribute. */
void report(const struct place *place, const char *type, const char *key, int value);
void report_text(const struct place *place, const char *type, const char *key, const char *value);
