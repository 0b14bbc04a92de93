/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The table of what goes by the tap: see uplink-track.h. Full, it forgets what was silent longest;
 * nothing depends on it. */

#include "uplink-track.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "uplink-age.h"
#include "uplink-loop.h"

#define HASH_SIZE 1024
/* Then it is not shown any more: libslirp's own time-outs are 60 s for UDP (SO_EXPIRE: four
 * minutes) and two hours for TCP. */
#define SILENT_MS (4 * 60 * 1000)
#define SILENT_TCP_MS (2 * 60 * 60 * 1000)

struct track {
	struct track *next;
	struct age age;
	struct uplink_address source, destination;
	uint8_t protocol;
	bool ended;
	uint8_t path; /* enum uplink_flow_path */
	uint32_t child;
	uint64_t bytes_out, bytes_in;
	int64_t since_ms, used_ms;
};

struct uplink_tracker {
	struct track *buckets[HASH_SIZE];
	struct age_list ages;
	unsigned n;
};

int uplink_tracker_new(struct uplink_tracker **ret, struct err *err)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : err_oom(err);
}

static struct track **bucket(struct uplink_tracker *tracker, uint8_t protocol,
	const struct uplink_address *source, const struct uplink_address *destination)
{
	uint32_t h = uplink_address_hash(destination, uplink_address_hash(source, protocol));

	return &tracker->buckets[h % HASH_SIZE];
}

static struct track *of_age(struct age *age)
{
	return age ? container_of(age, struct track, age) : NULL;
}

static void forget(struct uplink_tracker *tracker, struct track *track)
{
	struct track **link =
		bucket(tracker, track->protocol, &track->source, &track->destination);

	while (*link != track)
		link = &(*link)->next;
	*link = track->next;
	age_remove(&tracker->ages, &track->age);
	tracker->n--;
	free(track);
}

void uplink_tracker_free(struct uplink_tracker *tracker)
{
	if (!tracker)
		return;
	while (tracker->ages.newest)
		forget(tracker, of_age(tracker->ages.newest));
	free(tracker);
}

static struct track *track_new(struct uplink_tracker *tracker, struct track **place,
	const struct uplink_packet *packet, uint32_t child)
{
	struct track *track;

	track = calloc(1, sizeof(*track));
	if (!track)
		return NULL;
	track->source = packet->source;
	track->destination = packet->destination;
	track->protocol = packet->protocol;
	track->child = child;
	track->since_ms = uplink_loop_now_ms();
	track->next = *place;
	*place = track;
	age_add(&tracker->ages, &track->age);
	if (++tracker->n > UPLINK_TRACKS_MAX)
		forget(tracker, of_age(tracker->ages.oldest));
	return track;
}

bool uplink_tracker_note(struct uplink_tracker *tracker, const struct uplink_scope *scope,
	const struct uplink_packet *packet, size_t length, bool inward,
	enum uplink_flow_path path)
{
	const struct uplink_address *source = inward ? &packet->destination : &packet->source;
	const struct uplink_address *destination = inward ? &packet->source : &packet->destination;
	struct track **place = bucket(tracker, packet->protocol, source, destination);
	struct track *track = *place;
	bool first = false;

	if (packet->fragment)
		return false;
	while (track && !(track->protocol == packet->protocol &&
				uplink_address_equal(&track->source, source) &&
				uplink_address_equal(&track->destination, destination)))
		track = track->next;
	if (!track && inward)
		return false;
	first = packet->protocol == IPPROTO_TCP && !inward &&
		(packet->tcp_flags & (TH_SYN | TH_ACK)) == TH_SYN && (!track || track->ended);
	if (first && track)
		forget(tracker, track);
	if (first || !track)
		track = track_new(tracker, place, packet, scope->id);
	if (!track)
		return first;
	if (!inward)
		track->path = (uint8_t)path;
	if (inward)
		track->bytes_in += length;
	else
		track->bytes_out += length;
	track->ended |= packet->protocol == IPPROTO_TCP && (packet->tcp_flags & (TH_RST | TH_FIN));
	track->used_ms = uplink_loop_now_ms();
	age_use(&tracker->ages, &track->age);
	return first;
}

static bool is_over(const struct track *track, int64_t now)
{
	return track->ended || now - track->used_ms > (track->protocol == IPPROTO_TCP ?
							      SILENT_TCP_MS :
							      SILENT_MS);
}

void uplink_tracker_report(struct uplink_tracker *tracker,
	void (*each)(void *opaque, const struct uplink_flow_info *info), void *opaque)
{
	int64_t now = uplink_loop_now_ms();

	for (struct track *track = of_age(tracker->ages.newest), *older; track; track = older) {
		const struct uplink_flow_info info = {
			.source = track->source.ip,
			.destination = track->destination.ip,
			.source_port = ntohs(track->source.port),
			.destination_port = ntohs(track->destination.port),
			.protocol = track->protocol,
			.path = track->path,
			.state = UPLINK_FLOW_OPEN,
			.child = track->child,
			.bytes_out = track->bytes_out,
			.bytes_in = track->bytes_in,
			.age_ms = (uint64_t)(now - track->since_ms),
		};

		older = of_age(track->age.older);
		if (is_over(track, now))
			forget(tracker, track);
		else
			each(opaque, &info);
	}
}
