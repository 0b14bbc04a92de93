/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests for metrics: what is answered with what. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "http-request.h"

static int judge(const char *text)
{
	bool head;

	return http_request_judge(text, strlen(text), "/metrics", &head);
}

static void test_status(void **state)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{"", 0},
		{"GET /metrics HTTP/1.0\r\n", 0},
		{"GET /metrics HTTP/1.0\r\n\r\n", 200},
		{"GET /metrics HTTP/1.1\r\nHost: podd\r\nAccept: */*\r\n\r\n", 200},
		{"GET /metrics?a=b HTTP/1.1\r\n\r\n", 200},
		{"GET /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 200},
		{"GET /metrics/ HTTP/1.1\r\n\r\n", 404},
		{"GET /metric HTTP/1.1\r\n\r\n", 404},
		{"GET http://podd/metrics HTTP/1.1\r\n\r\n", 404},
		{"POST /metrics HTTP/1.1\r\n\r\n", 405},
		{"get /metrics HTTP/1.1\r\n\r\n", 405},
		{"GET /metrics HTTP/3.0\r\n\r\n", 505},
		{"GET /metrics HTTP/1.1 \r\n\r\n", 400},
		{"GET  /metrics HTTP/1.1\r\n\r\n", 400},
		{"GET /metrics\r\n\r\n", 400},
		{"\r\n\r\n", 400},
		{"GET /met\trics HTTP/1.1\r\n\r\n", 400},
		{"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", 400},
		{"GET /metrics HTTP/1.1\r\n folded: x\r\n\r\n", 400},
		{"GET /metrics HTTP/1.1\r\nA : x\r\n\r\n", 400},
		{"GET /metrics HTTP/1.1\r\nA: x\001\r\n\r\n", 400},
		{"GET /metrics HTTP/1.1\nA: x\r\n\r\n", 400},
		{"GET /metrics HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody", 400},
		{"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(judge(cases[i].text), cases[i].status);
}

static void test_limits(void **state)
{
	static char text[HTTP_REQUEST_MAX + 1];
	size_t length = 0;
	bool head;

	memset(text, 'a', sizeof(text));
	assert_int_equal(http_request_judge(text, HTTP_REQUEST_MAX - 1, "/metrics", &head), 0);
	assert_int_equal(http_request_judge(text, HTTP_REQUEST_MAX, "/metrics", &head), 431);
	assert_int_equal(http_request_judge(text, HTTP_REQUEST_MAX + 1, "/metrics", &head), 431);
	length = (size_t)snprintf(text, sizeof(text), "GET /metrics HTTP/1.1\r\n");
	for (int i = 0; i < HTTP_HEADERS_MAX; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "A: b\r\n");
	snprintf(text + length, sizeof(text) - length, "\r\n");
	assert_int_equal(judge(text), 200);
	snprintf(text + length, sizeof(text) - length, "A: b\r\n\r\n");
	assert_int_equal(judge(text), 431);
}

static void test_head(void **state)
{
	static const char text[] = "HEAD /metrics HTTP/1.1\r\n\r\n";
	char answer[HTTP_ANSWER_HEAD_MAX];
	bool head = false;
	size_t n;

	assert_int_equal(http_request_judge(text, strlen(text), "/metrics", &head), 200);
	assert_true(head);
	n = http_answer_head(405, "text/plain", 5, answer);
	assert_int_equal(n, strlen(answer));
	assert_string_equal(answer,
		"HTTP/1.0 405 Method Not Allowed\r\nContent-Type: text/plain\r\n"
		"Content-Length: 5\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
