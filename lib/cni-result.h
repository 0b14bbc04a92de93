/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside the CNI client: the versions of the specification, and what plugins print.
 */

#include <stdint.h>

#include "err.h"
#include "json.h"

/* In ascending order. 0.1.0 and 0.2.0 had one address for each family and no interfaces; no plugin
 * of today needs them. */
enum cni_version {
	CNI_0_3_0,
	CNI_0_3_1,
	CNI_0_4_0,
	CNI_1_0_0,
	CNI_1_1_0,
	CNI_VERSIONS,
};

/* All of them, for messages. */
#define CNI_VERSIONS_TEXT "0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"

/* Well-known error codes (specification, section 5, "Error"). */
#define CNI_ERROR_VERSION 1
#define CNI_ERROR_UNKNOWN_CONTAINER 3

/* Most addresses in one result. */
#define CNI_ADDRESSES_MAX 64

const char *cni_version_name(enum cni_version version);
/* Return: 0, or -EINVAL when we do not speak it. */
int cni_version_from_name(const char *name, enum cni_version *ret);

/* Checks the result of an ADD and turns it, in place, into the form of @version; all that it has
 * beyond the specification stays. Return: 0, or -EPROTO with what is wrong. */
int cni_result_convert(struct json *result, enum cni_version version, struct err *err);

/* The version that a checked result is in. */
int cni_result_version(const struct json *result, enum cni_version *ret);

/* The addresses ("10.88.0.2/16") that a checked result has for the container's interface.
 * Return: 0 or -ENOMEM. */
int cni_result_addresses(
	const struct json *result, const char *ifname, char ***ret, struct err *err);

/* If @output is an error object, sets the message from it ("code 7: MSG; DETAILS"). Return: true
 * if it is one, with its code in *ret_code. */
bool cni_result_is_error(const struct json *output, int64_t *ret_code, struct err *err);
