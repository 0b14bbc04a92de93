/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* podctl stats --network: what goes through the pods' uplinks. */

#include <stdbool.h>

#include "ctl.h"

/* Looks once, at these pods or, without any, at all that run, and prints it. Return: the exit
 * status. */
int stats_network(const struct ctl *ctl, char *const *pods, bool json);
