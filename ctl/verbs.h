/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One verb, one file: verb-NAME.c defines verb_NAME. */

#include "ctl.h"

extern const struct ctl_verb verb_apply;
extern const struct ctl_verb verb_attach;
extern const struct ctl_verb verb_bundle;
extern const struct ctl_verb verb_capture;
extern const struct ctl_verb verb_create;
extern const struct ctl_verb verb_disable;
extern const struct ctl_verb verb_doctor;
extern const struct ctl_verb verb_egress;
extern const struct ctl_verb verb_enable;
extern const struct ctl_verb verb_enter;
extern const struct ctl_verb verb_events;
extern const struct ctl_verb verb_exec;
extern const struct ctl_verb verb_flows;
extern const struct ctl_verb verb_hooks;
extern const struct ctl_verb verb_inspect;
extern const struct ctl_verb verb_kill;
extern const struct ctl_verb verb_logs;
extern const struct ctl_verb verb_metrics;
extern const struct ctl_verb verb_network;
extern const struct ctl_verb verb_pause;
extern const struct ctl_verb verb_port;
extern const struct ctl_verb verb_prune;
extern const struct ctl_verb verb_ps;
extern const struct ctl_verb verb_rename;
extern const struct ctl_verb verb_restart;
extern const struct ctl_verb verb_rm;
extern const struct ctl_verb verb_run;
extern const struct ctl_verb verb_start;
extern const struct ctl_verb verb_stats;
extern const struct ctl_verb verb_stop;
extern const struct ctl_verb verb_top;
extern const struct ctl_verb verb_unpause;
extern const struct ctl_verb verb_update;
extern const struct ctl_verb verb_upgrade;
extern const struct ctl_verb verb_version;
extern const struct ctl_verb verb_wait;
