/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Answers to libslirp's questions for hardware addresses. Whatever libslirp sends goes to the tap's
 * own address, whose kernel routes it: to itself, or to a child behind a bridge, whose address
 * nobody on the tap would answer for.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UPLINK_NEIGHBOUR_FRAME 86

/* If @frame, which libslirp wants to send, asks for a hardware address (ARP, RFC 826; neighbour
 * solicitation, RFC 4861), fills the answer that names @mac. Return: its length, or 0. */
size_t uplink_neighbour_answer(const uint8_t *frame, size_t length, const uint8_t mac[6],
	uint8_t ret[UPLINK_NEIGHBOUR_FRAME]);

/* Questions that libslirp may have at once; it repeats them. */
#define UPLINK_QUESTIONS_MAX 32

/* Answers that wait until libslirp may be given them. */
struct uplink_neighbours {
	unsigned n;
	struct {
		size_t length;
		uint8_t frame[UPLINK_NEIGHBOUR_FRAME];
	} answers[UPLINK_QUESTIONS_MAX];
};

/* Return: true when @frame was a question, whose answer is kept now. */
bool uplink_neighbours_ask(struct uplink_neighbours *neighbours, const uint8_t *frame,
	size_t length, const uint8_t mac[6]);
