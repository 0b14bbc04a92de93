/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One verb, one file: verb-NAME.c defines verb_NAME. */

#include "ctl.h"

extern const struct ctl_verb verb_bundle;
extern const struct ctl_verb verb_create;
extern const struct ctl_verb verb_enter;
extern const struct ctl_verb verb_hooks;
extern const struct ctl_verb verb_inspect;
extern const struct ctl_verb verb_network;
extern const struct ctl_verb verb_ps;
extern const struct ctl_verb verb_rm;
extern const struct ctl_verb verb_start;
extern const struct ctl_verb verb_stop;
extern const struct ctl_verb verb_version;
