/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Detach keys, see detach.h. What could be the beginning of them is held back until it is clear. */

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "text.h"

#include "detach.h"

#define CTRL_PREFIX "ctrl-"
#define CTRL_MASK 0x1f

/* One key. Return: 0 or -EINVAL. */
static int parse_key(const char *text, unsigned char *ret)
{
	char letter;

	if (text[0] >= '!' && text[0] <= '~' && !text[1]) {
		*ret = (unsigned char)text[0];
		return 0;
	}
	if (!text_starts_with(text, CTRL_PREFIX))
		return -EINVAL;
	text += strlen(CTRL_PREFIX);
	letter = text[0];
	if (letter >= 'A' && letter <= 'Z')
		letter = (char)(letter - 'A' + 'a');
	if (!letter || text[1] || !((letter >= 'a' && letter <= 'z') || strchr("@[\\]^_", letter)))
		return -EINVAL;
	*ret = (unsigned char)(letter & CTRL_MASK);
	return 0;
}

int detach_parse(const char *text, struct detach *ret, struct err *err)
{
	struct detach detach = {};
	autostrv keys = NULL;
	int r;

	r = strv_split(text ? text : DETACH_KEYS_DEFAULT, ',', &keys);
	if (r < 0)
		return err_oom(err);
	if (strv_length(keys) > DETACH_KEYS_MAX)
		return err_set(err, -EINVAL, "there are more than %d detach keys", DETACH_KEYS_MAX);
	for (size_t i = 0; keys && keys[i]; i++) {
		r = parse_key(keys[i], &detach.keys[detach.n++]);
		if (r < 0)
			return err_set(err, r,
				"detach keys are characters or ctrl-X, separated by ',', not \"%s\"",
				keys[i]);
	}
	*ret = detach;
	return 0;
}

/* How many of the keys end what was matched with @byte after it. */
static size_t longest_match(const struct detach *detach, unsigned char byte)
{
	unsigned char typed[DETACH_KEYS_MAX + 1];
	size_t n = detach->matched + 1;

	memcpy(typed, detach->keys, detach->matched);
	typed[n - 1] = byte;
	for (size_t length = n; length > 0; length--)
		if (memcmp(detach->keys, typed + n - length, length) == 0)
			return length;
	return 0;
}

int detach_filter(struct detach *detach, const unsigned char *input, size_t length,
	unsigned char *output, size_t *ret_length)
{
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		size_t held = detach->matched + 1;
		size_t matched = detach->n ? longest_match(detach, input[i]) : 0;

		/* What was held back and begins no match any more; the last of it is this byte. */
		for (size_t j = 0; j < held - matched; j++)
			output[n++] = j < detach->matched ? detach->keys[j] : input[i];
		detach->matched = matched;
		if (detach->n && matched == detach->n) {
			detach->matched = 0;
			*ret_length = n;
			return 1;
		}
	}
	*ret_length = n;
	return 0;
}
