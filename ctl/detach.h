/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The keys that let go of a container's terminal: recognised in what is typed, whatever pieces it
 * comes in.
 */

#include <stddef.h>

#include "err.h"

#define DETACH_KEYS_MAX 16
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct detach {
	size_t n;                         /* 0: there are none */
	unsigned char keys[DETACH_KEYS_MAX];
	size_t matched;                   /* of the keys, so far; they are held back */
};

/* Understands podman's form: keys separated by ',', each a character or ctrl-X with X a letter or
 * one of @ [ \ ] ^ _; "" for none; NULL for the default. Return: 0 or -EINVAL. */
int detach_parse(const char *text, struct detach *ret, struct err *err);

/* Copies @input to @output, which has room for @length + DETACH_KEYS_MAX bytes, up to the keys.
 * *ret_length: bytes copied. Return: 1 when the keys were typed, else 0. */
int detach_filter(struct detach *detach, const unsigned char *input, size_t length,
	unsigned char *output, size_t *ret_length);
