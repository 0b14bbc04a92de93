/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The forms of a container's log: see log.h. Writing is on the way of everything that a container
 * says, so that it formats by hand and keeps the text of the second that it wrote last.
 */

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

/* "2024-01-31T12:00:00" */
#define SECOND_LENGTH 19
#define NANO_DIGITS 9
#define NANO 1000000000L

/* A place in a target or a source of text. */
struct cursor {
	char *at;
	const char *end;
};

static char *put(char *at, const void *text, size_t length)
{
	memcpy(at, text, length);
	return at + length;
}

#define PUT_TEXT(at, text) put((at), (text), sizeof(text) - 1)

/* ---- writing ---- */

/* RFC 3339 with nanoseconds, UTC. */
static char *put_time(char *at, const struct timespec *time)
{
	static char second[SECOND_LENGTH + 1];
	static time_t second_of = -1;
	long nano = time->tv_nsec;

	if (time->tv_sec != second_of || !second[0]) {
		struct tm tm;

		gmtime_r(&time->tv_sec, &tm);
		/* Years of other lengths are none that a clock has. */
		if (strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &tm) != SECOND_LENGTH)
			memcpy(second, "1970-01-01T00:00:00", sizeof(second));
		second_of = time->tv_sec;
	}
	at = put(at, second, SECOND_LENGTH);
	*at = '.';
	for (int i = NANO_DIGITS; i > 0; i--, nano /= 10)
		at[i] = (char)('0' + nano % 10);
	at[NANO_DIGITS + 1] = 'Z';
	return at + NANO_DIGITS + 2;
}

static size_t format_k8s(const struct log_entry *entry, char *target)
{
	char *at = put_time(target, &entry->time);

	at = entry->is_stderr ? PUT_TEXT(at, " stderr ") : PUT_TEXT(at, " stdout ");
	*at++ = entry->is_partial ? 'P' : 'F';
	*at++ = ' ';
	at = put(at, entry->text, entry->length);
	*at++ = '\n';
	return (size_t)(at - target);
}

/* Length of the UTF-8 sequence at @text (RFC 3629, section 4), or 0 when there is none. */
static size_t utf8_length(const unsigned char *text, size_t length)
{
	unsigned char c = text[0];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3
		   : c >= 0xf0 && c < 0xf5 ? 4 : 0;

	if (n == 0 || n > length)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) ||
		(c == 0xf0 && text[1] < 0x90) || (c == 0xf4 && text[1] > 0x8f))
		return 0;
	return n;
}

static char *put_escape(char *at, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	switch (c) {
	case '"':
		return PUT_TEXT(at, "\\\"");
	case '\\':
		return PUT_TEXT(at, "\\\\");
	case '\t':
		return PUT_TEXT(at, "\\t");
	case '\r':
		return PUT_TEXT(at, "\\r");
	case '\n':
		return PUT_TEXT(at, "\\n");
	default:
		at = PUT_TEXT(at, "\\u00");
		*at++ = hex[c >> 4];
		*at++ = hex[c & 15];
		return at;
	}
}

/* JSON is UTF-8: a byte that is none becomes U+FFFD. */
static char *put_json(char *at, const char *text, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)text;

	for (size_t i = 0; i < length;) {
		size_t n = utf8_length(bytes + i, length - i);

		if (n == 0) {
			at = PUT_TEXT(at, "\\ufffd");
			n = 1;
		} else if (n == 1 && (bytes[i] < 0x20 || bytes[i] == '"' || bytes[i] == '\\')) {
			at = put_escape(at, bytes[i]);
		} else {
			at = put(at, bytes + i, n);
		}
		i += n;
	}
	return at;
}

static size_t format_json(const struct log_entry *entry, char *target)
{
	char *at = PUT_TEXT(target, "{\"log\":\"");

	at = put_json(at, entry->text, entry->length);
	if (!entry->is_partial)
		at = PUT_TEXT(at, "\\n");
	at = entry->is_stderr ? PUT_TEXT(at, "\",\"stream\":\"stderr\",\"time\":\"")
			      : PUT_TEXT(at, "\",\"stream\":\"stdout\",\"time\":\"");
	at = put_time(at, &entry->time);
	at = PUT_TEXT(at, "\"}\n");
	return (size_t)(at - target);
}

size_t log_format(enum container_log form, const struct log_entry *entry, char *target)
{
	assert(entry->length <= LOG_TEXT_MAX);
	return form == LOG_JSON_FILE ? format_json(entry, target) : format_k8s(entry, target);
}

/* ---- reading ---- */

/* @n digits, with at most @max for their value. */
static int take_digits(struct cursor *cursor, int n, int max, int *ret)
{
	int number = 0;

	if (cursor->end - cursor->at < n)
		return -EBADMSG;
	for (int i = 0; i < n; i++) {
		char c = *cursor->at++;

		if (c < '0' || c > '9')
			return -EBADMSG;
		number = number * 10 + (c - '0');
	}
	*ret = number;
	return number > max ? -EBADMSG : 0;
}

static int take_char(struct cursor *cursor, char c)
{
	if (cursor->at == cursor->end || *cursor->at != c)
		return -EBADMSG;
	cursor->at++;
	return 0;
}

/* RFC 8259, "ws"; a newline would be the end of the line. */
static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end &&
		(*cursor->at == ' ' || *cursor->at == '\t' || *cursor->at == '\r'))
		cursor->at++;
}

/* A character between the values of JSON. */
static int take_mark(struct cursor *cursor, char c)
{
	int r;

	skip_space(cursor);
	r = take_char(cursor, c);
	skip_space(cursor);
	return r;
}

static int take_text(struct cursor *cursor, const char *text)
{
	size_t length = strlen(text);

	if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, text, length) != 0)
		return -EBADMSG;
	cursor->at += length;
	return 0;
}

static int take_fraction(struct cursor *cursor, long *ret)
{
	long nano = 0, unit = NANO / 10;

	if (take_char(cursor, '.') < 0)
		return 0;
	for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++) {
		nano += (*cursor->at - '0') * unit;
		unit /= 10;
	}
	*ret = nano;
	return 0;
}

/* "Z" or "+02:00", as other programs than ours write it. */
static int take_zone(struct cursor *cursor, long *ret_seconds)
{
	int hours, minutes, r;
	bool west;

	if (take_char(cursor, 'Z') == 0)
		return 0;
	west = cursor->at < cursor->end && *cursor->at == '-';
	if (!west && take_text(cursor, "+") < 0)
		return -EBADMSG;
	cursor->at += west;
	r = take_digits(cursor, 2, 23, &hours);
	if (r == 0)
		r = take_char(cursor, ':');
	if (r == 0)
		r = take_digits(cursor, 2, 59, &minutes);
	if (r < 0)
		return r;
	*ret_seconds = (hours * 3600L + minutes * 60L) * (west ? -1 : 1);
	return 0;
}

/* RFC 3339, section 5.6 */
static int take_time(struct cursor *cursor, struct timespec *ret)
{
	static const struct {
		int digits;
		int max;
		char after;
	} parts[] = {{4, 9999, '-'}, {2, 12, '-'}, {2, 31, 'T'}, {2, 23, ':'}, {2, 59, ':'},
		{2, 60, 0}};
	int values[6];
	long zone = 0;
	struct tm tm = {};
	int r = 0;

	for (size_t i = 0; r == 0 && i < 6; i++) {
		r = take_digits(cursor, parts[i].digits, parts[i].max, &values[i]);
		if (r == 0 && parts[i].after)
			r = take_char(cursor, parts[i].after);
	}
	ret->tv_nsec = 0;
	if (r == 0)
		r = take_fraction(cursor, &ret->tv_nsec);
	if (r == 0)
		r = take_zone(cursor, &zone);
	if (r < 0 || values[1] == 0 || values[2] == 0)
		return -EBADMSG;
	tm.tm_year = values[0] - 1900;
	tm.tm_mon = values[1] - 1;
	tm.tm_mday = values[2];
	tm.tm_hour = values[3];
	tm.tm_min = values[4];
	tm.tm_sec = values[5];
	ret->tv_sec = timegm(&tm) - zone;
	return 0;
}

static int take_stream(struct cursor *cursor, bool *ret_is_stderr)
{
	*ret_is_stderr = take_text(cursor, "stderr") == 0;
	return *ret_is_stderr ? 0 : take_text(cursor, "stdout");
}

/* "TIME STREAM TAG[:TAG..] TEXT" */
static int parse_k8s(struct cursor line, struct log_entry *ret)
{
	int r;

	r = take_time(&line, &ret->time);
	if (r == 0)
		r = take_char(&line, ' ');
	if (r == 0)
		r = take_stream(&line, &ret->is_stderr);
	if (r == 0)
		r = take_char(&line, ' ');
	if (r < 0 || line.at == line.end || (*line.at != 'P' && *line.at != 'F'))
		return -EBADMSG;
	ret->is_partial = *line.at++ == 'P';
	while (line.at < line.end && *line.at != ' ')
		line.at++;
	/* Some leave out what would be an empty text. */
	if (line.at < line.end)
		line.at++;
	ret->text = line.at;
	ret->length = (size_t)(line.end - line.at);
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_hex4(struct cursor *cursor, unsigned *ret)
{
	unsigned number = 0;

	if (cursor->end - cursor->at < 4)
		return -EBADMSG;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(*cursor->at++);

		if (digit < 0)
			return -EBADMSG;
		number = number << 4 | (unsigned)digit;
	}
	*ret = number;
	return 0;
}

static char *put_utf8(char *at, unsigned c)
{
	if (c < 0x80) {
		*at++ = (char)c;
		return at;
	}
	if (c < 0x800) {
		*at++ = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		*at++ = (char)(0xe0 | c >> 12);
		*at++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*at++ = (char)(0xf0 | c >> 18);
		*at++ = (char)(0x80 | (c >> 12 & 0x3f));
		*at++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*at++ = (char)(0x80 | (c & 0x3f));
	return at;
}

/* After "\u". What is half of a surrogate pair becomes U+FFFD. Never longer than its escape. */
static int take_unicode(struct cursor *cursor, char **target)
{
	unsigned c, low = 0;
	int r = take_hex4(cursor, &c);

	if (r < 0)
		return r;
	if (c >= 0xd800 && c < 0xdc00) {
		struct cursor ahead = *cursor;

		if (take_text(&ahead, "\\u") == 0 && take_hex4(&ahead, &low) == 0 &&
			low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			*cursor = ahead;
		}
	}
	if (c >= 0xd800 && c < 0xe000)
		c = 0xfffd;
	*target = put_utf8(*target, c);
	return 0;
}

static int take_escape(struct cursor *cursor, char **target)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	const char *found;
	char c;

	if (cursor->at == cursor->end)
		return -EBADMSG;
	c = *cursor->at++;
	if (c == 'u')
		return take_unicode(cursor, target);
	found = memchr(letters, c, sizeof(letters) - 1);
	if (!found)
		return -EBADMSG;
	*(*target)++ = meanings[found - letters];
	return 0;
}

/* A string, unescaped in its place. */
static int take_string(struct cursor *cursor, char **ret_text, size_t *ret_length)
{
	char *target;
	int r = take_char(cursor, '"');

	if (r < 0)
		return r;
	*ret_text = target = cursor->at;
	while (cursor->at < cursor->end && *cursor->at != '"') {
		char c = *cursor->at++;

		if (c != '\\')
			*target++ = c;
		else if (take_escape(cursor, &target) < 0)
			return -EBADMSG;
	}
	*ret_length = (size_t)(target - *ret_text);
	return take_char(cursor, '"');
}

static bool is_text(const char *text, size_t length, const char *other)
{
	return length == strlen(other) && memcmp(text, other, length) == 0;
}

enum member { MEMBER_LOG = 1, MEMBER_STREAM = 2, MEMBER_TIME = 4 };

/* One member of the object: what is none of ours is passed over. Return: which, 0, -EBADMSG. */
static int take_member(struct cursor *line, struct log_entry *ret)
{
	size_t key_length, length;
	char *key, *value;
	struct cursor inside;
	int r;

	r = take_string(line, &key, &key_length);
	if (r == 0)
		r = take_mark(line, ':');
	if (r == 0)
		r = take_string(line, &value, &length);
	if (r < 0)
		return r;
	inside = (struct cursor){.at = value, .end = value + length};
	if (is_text(key, key_length, "log")) {
		ret->is_partial = length == 0 || value[length - 1] != '\n';
		ret->text = value;
		ret->length = ret->is_partial ? length : length - 1;
		return MEMBER_LOG;
	}
	if (is_text(key, key_length, "stream")) {
		r = take_stream(&inside, &ret->is_stderr);
		return r < 0 || inside.at != inside.end ? -EBADMSG : MEMBER_STREAM;
	}
	if (!is_text(key, key_length, "time"))
		return 0;
	r = take_time(&inside, &ret->time);
	return r < 0 || inside.at != inside.end ? -EBADMSG : MEMBER_TIME;
}

static int parse_json(struct cursor line, struct log_entry *ret)
{
	int found = 0;
	int r;

	if (take_mark(&line, '{') < 0)
		return -EBADMSG;
	do {
		r = take_member(&line, ret);
		if (r < 0)
			return r;
		found |= r;
	} while (take_mark(&line, ',') == 0);
	r = take_mark(&line, '}');
	if (r < 0 || line.at != line.end)
		return -EBADMSG;
	return found == (MEMBER_LOG | MEMBER_STREAM | MEMBER_TIME) ? 0 : -EBADMSG;
}

ssize_t log_parse(enum container_log form, char *buffer, size_t length, struct log_entry *ret,
	size_t *ret_skip)
{
	const char *end = memchr(buffer, '\n', length);
	struct log_entry entry = {};
	struct cursor line = {.at = buffer, .end = end};
	int r;

	if (!end)
		return 0;
	r = form == LOG_JSON_FILE ? parse_json(line, &entry) : parse_k8s(line, &entry);
	if (r < 0) {
		*ret_skip = (size_t)(end - buffer) + 1;
		return r;
	}
	*ret = entry;
	return end - buffer + 1;
}
